"""Questions have the answers that a reader would give, and nothing that is searched says them aloud."""

from bench.search.corpora import Corpus
from bench.search.places import Place
from bench.search.tasks import changes, docstrings, symbols, tests

MANY = 1000

SESSIONS = '''\
class SessionStore:
    """Keeps sessions."""

    def load_session(self, key):
        """Look a session up by its key, without touching its age."""
        found = self.sessions.get(key)
        return found

    def __len__(self):
        """How many sessions there are now."""
        total = len(self.sessions)
        return total

    def drop(self):
        """Remove :meth:`all <SessionStore>` of ``them`` at once.

        But not now.
        """
        self.sessions.clear()
        return self


def first_copy(a):
    """Said of two functions alike."""
    b = a
    return b


def second_copy(a):
    """Said of two functions alike."""
    b = a
    return b


def purge_expired(a):
    """Let purge_expired run to its end."""
    b = a
    return b


def short(a):
    """Two lines are no function here."""
    return a
'''
TEST = """\
from app.sessions import SessionStore


def test_session_is_loaded_after_restart():
    assert SessionStore()


def test_len():
    assert True
"""
CHANGES = """\
Version 2
---------

-   :meth:`SessionStore.load_session` no longer changes the age of a session
    when it is looked up. :issue:`123`
-   Both ``load_session`` and ``render_page`` are faster now than before.
-   Updated the documentation.
- {class}`SessionStore` can be closed more than once now. {issue}`568`, {pr}`1014` -- by {user}`ada`
"""


def corpus(**more: str) -> Corpus:
    files = {
        "app/sessions.py": SESSIONS,
        "app/pages.py": "def render_page(name):\n    return name\n",
        "tests/test_sessions.py": TEST,
        "tests/test_other.py": "def test_nothing_that_is_known_here():\n    pass\n",
        "CHANGES.rst": CHANGES,
    }
    return Corpus("app", False, files | {name.replace("__", "/") + ".py": text for name, text in more.items()})


def test_docstrings_ask_for_their_functions_in_a_copy_without_them() -> None:
    asked = docstrings.ask(corpus(), MANY)
    texts = {query.text: query.answers for query in asked.queries}
    assert set(texts) == {"Look a session up by its key, without touching its age.", "Remove all of them at once."}
    stripped = asked.files["app/sessions.py"]
    assert not any(text in stripped for text in (*texts, "Said of two functions", "How many sessions"))
    assert "Keeps sessions." in stripped
    for text, (place,) in texts.items():
        lines = stripped.split("\n")[place.start - 1 : place.end]
        assert lines[0].strip().startswith("def load_session" if "Look" in text else "def drop")
        assert lines[-1].strip().startswith("return")


def test_a_stub_s_docstrings_leave_too_and_ask_nothing() -> None:
    stub = 'def load_pages(n: int) -> int:\n    """Read so many pages from the store."""\n    ...\n'
    stubs = Corpus("app", False, {"app/pages.pyi": stub})
    asked = docstrings.ask(stubs, MANY)
    assert not asked.queries
    assert asked.files == {"app/pages.pyi": "def load_pages(n: int) -> int:\n    ...\n"}
    assert not symbols.ask_names(stubs, MANY).queries


def test_the_first_paragraph_is_plain_text() -> None:
    said = docstrings.first_paragraph
    assert said("Use :class:`~app.Pool` and ``x``.\n\nMore.") == "Use app.Pool and x."
    assert said("Joins {@link Path} parts.\n@param a one") == "Joins Path parts."
    assert said("ZSTD_free() : Frees the context.") == "Frees the context."
    assert said("@returns nothing") == ""
    assert said(":param a: one") == ""
    assert said("**********\nCounts all cores.\n**********") == "Counts all cores."


def test_names_and_their_words_ask_for_the_one_definition() -> None:
    names = {query.text: query.answers for query in symbols.ask_names(corpus(), MANY).queries}
    assert names["load_session"] == (Place("app/sessions.py", 4, 7),)
    assert "drop" not in names
    assert "__len__" not in names
    assert "test_session_is_loaded_after_restart" not in names
    words = {query.text: query.answers for query in symbols.ask_words(corpus(), MANY).queries}
    assert words["session store"][0].start == 1
    twice = corpus(app__more="def load_session():\n    return 1\n")
    assert "load_session" not in {query.text for query in symbols.ask_names(twice, MANY).queries}
    both = {query.text: query.answers for query in symbols.ask_words(twice, MANY).queries}
    assert [place.path for place in both["load session"]] == ["app/sessions.py", "app/more.py"]


def test_a_test_asks_for_the_file_that_its_file_is_named_after_and_imports() -> None:
    asked = tests.ask(corpus(), MANY)
    assert [(query.text, query.answers) for query in asked.queries] == [
        ("session is loaded after restart", (Place("app/sessions.py"),))
    ]
    assert "tests/test_sessions.py" not in asked.files
    assert "tests/test_other.py" in asked.files
    # Of two files of that name nobody knows which one is meant.
    assert not tests.ask(corpus(lib__sessions="x = 1\n"), MANY).queries


def test_a_changelog_line_asks_for_the_one_file_that_defines_what_it_names() -> None:
    asked = changes.ask(corpus(), MANY)
    assert [(query.text, query.answers) for query in asked.queries] == [
        (
            "SessionStore.load_session no longer changes the age of a session when it is looked up.",
            (Place("app/sessions.py"),),
        ),
        ("SessionStore can be closed more than once now.", (Place("app/sessions.py"),)),
    ]
    assert "CHANGES.rst" not in asked.files


def test_a_sample_is_the_same_each_time() -> None:
    functions = "".join(f"def make_thing_{n}(a):\n    b = a\n    return b\n\n\n" for n in range(50))
    many = corpus(app__things=functions)
    first = symbols.ask_names(many, 10).queries
    assert len(first) == 10
    assert first == symbols.ask_names(many, 10).queries
