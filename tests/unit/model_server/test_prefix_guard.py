"""A session's prompts that no longer begin as they did are noticed, and where."""

from bawn.model_server.prefix_guard import Break, PrefixGuard

SYSTEM, USER, ANSWER, NEXT = [1] * 50, [2] * 10, [3] * 20, [4] * 5


def prompt(*messages: list[int]) -> tuple[list[int], list[int]]:
    """Tokens with two more where the answer begins, and the borders."""
    tokens: list[int] = []
    borders: list[int] = []
    for message in messages:
        tokens += message
        borders.append(len(tokens))
    return [*tokens, 8, 9], borders


def test_a_conversation_that_grows_is_not_broken() -> None:
    guard = PrefixGuard()
    assert guard.look("s", *prompt(SYSTEM, USER)) is None
    assert guard.look("s", *prompt(SYSTEM, USER, ANSWER, NEXT)) is None
    assert guard.look("s", *prompt(SYSTEM, USER, ANSWER, NEXT)) is None


def test_a_change_tells_the_message_and_what_it_costs() -> None:
    guard = PrefixGuard()
    guard.look("s", *prompt(SYSTEM, USER, ANSWER, NEXT))
    assert guard.look("s", *prompt(SYSTEM, USER, [7] * 20, NEXT)) == Break(2, 20 + 5 + 2)
    # A date at the head of the system prompt costs everything.
    assert guard.look("s", *prompt([0, *SYSTEM], USER, [7] * 20, NEXT)) == Break(0, 50 + 10 + 20 + 5 + 2)


def test_sessions_are_apart_and_requests_without_a_name_are_not_compared() -> None:
    guard = PrefixGuard()
    guard.look("s", *prompt(SYSTEM, USER))
    assert guard.look("t", *prompt([5] * 9, USER)) is None
    assert guard.look("", *prompt([5] * 9, USER)) is None
    assert guard.look("", *prompt([6] * 9, USER)) is None


def test_the_oldest_sessions_are_forgotten() -> None:
    guard = PrefixGuard()
    guard.look("first", *prompt(SYSTEM, USER))
    for number in range(2000):
        guard.look(str(number), *prompt(SYSTEM, USER))
    assert guard.look("first", *prompt([5], USER)) is None
