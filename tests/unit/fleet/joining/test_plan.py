"""Plans for users and nodes that Headscale may have; tests/integration/test_joining_headscale.py carries them out."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bawn.fleet.joining.headscale import Moment, Node, PreAuthKey, User
from bawn.fleet.joining.plan import Plan, plan
from bawn.fleet.reading import read_fleet
from bawn.fleet.schema import Fleet, Person

OWN = read_fleet(Path(__file__).parents[1] / "examples" / "own-gpu.toml")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA = User(1, "ada", "ada@example.org")
GRACE = User(2, "grace", "grace@example.org")
TAGGED = User(2147455555, "tagged-devices")
ALL = [
    Node(1, "gateway", "gateway", TAGGED, ["tag:gateway"]),
    Node(2, "gpu", "gpu", TAGGED, ["tag:gpu"]),
    Node(3, "ada-laptop", "ada-laptop", ADA),
    Node(4, "grace-laptop", "grace-laptop", GRACE),
]


def planned(users: list[User], nodes: list[Node], fleet: Fleet = OWN, keys: tuple[PreAuthKey, ...] = ()) -> Plan:
    return plan(fleet, users, nodes, list(keys), NOW)


def steps(users: list[User], nodes: list[Node], fleet: Fleet = OWN) -> list[str]:
    found = planned(users, nodes, fleet)
    assert not found.problems
    return [str(step) for step in found.steps]


def people(**people: str) -> Fleet:
    return Fleet(name="t", tailnet=OWN.tailnet, people={key: Person(login) for key, login in people.items()})


def test_what_is_in_line_stays_as_it_is() -> None:
    assert planned([ADA, GRACE], ALL) == Plan([], [], [])


def test_users_are_named_after_their_key_and_known_by_their_e_mail() -> None:
    assert steps([], []) == ["create user ada (ada@example.org)", "create user grace (grace@example.org)"]


@pytest.mark.parametrize(
    "fleet",
    [people(ada="ada@b.org", bob="ada@"), people(bob="bob@b.org", zed="bob@")],
    ids=["local-part", "key"],
)
def test_a_user_is_never_given_a_name_that_is_somebody_elses_login(fleet: Fleet) -> None:
    created = planned([], [], fleet).steps
    users = [
        User(number, getattr(step, "name"), "" if login.endswith("@") else login)  # noqa: B009
        for number, step in enumerate(created, 1)
        if (login := getattr(step, "login"))  # noqa: B009
    ]
    assert planned(users, [], fleet) == Plan([], [], [])


def test_a_name_that_a_user_has_is_not_given_twice() -> None:
    fleet = people(ada="ada@b.org", lin="lin@b.org")
    assert steps([User(7, "lin", "ada@b.org")], [], fleet) == ["create user lin@b.org (lin@b.org)"]


def test_a_login_in_other_letters_is_another_user_as_it_is_for_the_policy() -> None:
    assert steps([User(1, "ada", "Ada@example.org"), GRACE], [])[-1] == "create user ada (ada@example.org)"


def test_a_user_of_an_identity_provider_is_known_by_its_e_mail() -> None:
    users = [User(9, email="ada@example.org", provider_id="https://idp.example.org/ada"), GRACE]
    assert steps(users, [Node(3, "ada-laptop", user=users[0])]) == []


def test_two_users_with_one_login_are_for_a_person_to_mend() -> None:
    found = planned([ADA, User(5, "ada2", "ada@example.org"), GRACE], ALL)
    assert found.steps == []
    assert len(found.problems) == 1
    assert "ada (id 1, ada@example.org), ada2 (id 5, ada@example.org)" in found.problems[0]


def test_nodes_and_user_of_somebody_who_left_are_removed_in_this_order() -> None:
    eve = User(3, "eve", "eve@example.org")
    assert steps(
        [ADA, GRACE, eve], [*ALL, Node(5, "eve-laptop", user=eve, ip_addresses=["100.64.0.5", "fd7a::5"])]
    ) == [
        "remove node eve-laptop (id 5, 100.64.0.5): not in the fleet",
        "remove user eve (id 3, eve@example.org) and the join keys made for it: not in the fleet",
    ]


def test_a_node_that_takes_the_name_of_another_principals_is_removed() -> None:
    thief = Node(9, "gateway", user=ADA)
    assert steps([ADA, GRACE], [*ALL[1:], thief]) == [
        "remove node gateway (id 9): it is of ada@example.org, and the fleet's gateway is of tag:gateway"
    ]


def test_a_laptop_that_changed_hands_joins_anew() -> None:
    laptop = msgspec.structs.replace(OWN.nodes["ada-laptop"], owner="grace")
    fleet = msgspec.structs.replace(OWN, nodes=OWN.nodes | {"ada-laptop": laptop})
    assert steps([ADA, GRACE], ALL, fleet) == [
        "remove node ada-laptop (id 3): it is of ada@example.org, and the fleet's ada-laptop is of grace@example.org"
    ]


def test_a_server_with_another_roles_tag_or_two_tags_is_removed() -> None:
    for tags in (["tag:gpu"], ["tag:gateway", "tag:gpu"]):
        assert len(steps([ADA, GRACE], [*ALL[1:], Node(9, "gateway", user=TAGGED, tags=tags)])) == 1


def test_the_last_machine_that_joined_as_a_node_is_it_and_gets_its_name() -> None:
    anew = Node(8, "gpu-1", "gpu", TAGGED, ["tag:gpu"])
    assert steps([ADA, GRACE], [anew, *ALL]) == [
        "remove node gpu (id 2): gpu-1 (id 8) joined later as gpu",
        "rename node gpu-1 (id 8) to gpu",
    ]


def test_of_a_laptop_that_joined_under_another_name_is_said_how_it_can_stay() -> None:
    other = Node(3, "macbook", "macbook", ADA)
    found = planned([ADA, GRACE], [*ALL[:2], other, ALL[3]])
    assert [str(step) for step in found.steps] == [
        "remove node macbook (id 3): not in the fleet. If it is ada-laptop and joined under another name, keep it with "
        "`headscale nodes rename --identifier 3 ada-laptop`"
    ]


def test_nodes_that_have_not_joined_are_told_but_for_pods() -> None:
    pods = read_fleet(Path(__file__).parents[1] / "examples" / "pods.toml")
    lin = User(1, "lin", "lin@studio.example")
    told = planned([lin], [Node(1, "gateway", user=TAGGED, tags=["tag:gateway"])], pods).notes
    assert [note.split()[0] for note in told] == ["lin-desktop", "lin-laptop"]
    assert steps([lin], [Node(2, "pod-large", user=TAGGED, tags=["tag:pod"])], pods) == []


def test_a_node_whose_key_has_expired_is_told_and_stays() -> None:
    expired = msgspec.structs.replace(ALL[0], expiry=Moment(int(NOW.timestamp()) - 1))
    found = planned([ADA, GRACE], [expired, *ALL[1:]])
    assert found == Plan([], [], ["gateway's key has expired: it joins again with `bawn fleet join-key gateway`."])


SOON = Moment(int(NOW.timestamp()) + 3600)


def key(number: int, of: User | str, **more: bool) -> PreAuthKey:
    owner = {"acl_tags": [of]} if isinstance(of, str) else {"user": of}
    return PreAuthKey("hskey-auth-***", SOON, number, **owner, **more)  # pyright: ignore[reportArgumentType]


def without(*nodes: str) -> Fleet:
    kept = {name: node for name, node in OWN.nodes.items() if name not in nodes}
    return msgspec.structs.replace(OWN, nodes=kept)


def test_an_unused_key_of_a_tag_or_a_person_without_nodes_in_the_fleet_expires_before_anything_is_removed() -> None:
    keys = (key(7, "tag:pod"), key(8, GRACE), key(9, "tag:gpu"), key(10, "tag:stranger"))
    found = planned([ADA, GRACE], [ALL[0], *ALL[2:]], without("grace-laptop"), keys)
    assert [str(step) for step in found.steps] == [
        "expire join key id 7 of tag:pod: nothing in the fleet joins with it",
        "expire join key id 8 of grace@example.org: nothing in the fleet joins with it",
        "expire join key id 10 of tag:stranger: nothing in the fleet joins with it",
        "remove node grace-laptop (id 4): not in the fleet",
    ]


def test_a_key_that_is_used_or_has_expired_is_nobodys_matter_unless_it_can_be_used_again() -> None:
    past = msgspec.structs.replace(key(6, "tag:pod"), expiration=Moment(int(NOW.timestamp())))
    used, again = key(7, "tag:pod", used=True), key(8, "tag:pod", used=True, reusable=True)
    assert [getattr(step, "id") for step in planned([ADA, GRACE], ALL, keys=(past, used, again)).steps] == [8]  # noqa: B009


def test_a_key_that_may_be_a_removed_nodes_expires_unless_another_node_of_its_owner_still_has_to_join() -> None:
    second = Node(9, "ada-desktop", "ada-desktop", ADA)
    found = planned([ADA, GRACE], [*ALL, second], keys=(key(7, ADA),))
    assert [str(step) for step in found.steps] == [
        "expire join key id 7 of ada@example.org: it may be for ada-desktop (id 9), which is removed, and all others "
        "of ada@example.org have joined",
        "remove node ada-desktop (id 9): not in the fleet",
    ]
    waits = planned([ADA, GRACE], [*ALL[:2], ALL[3], second], keys=(key(7, ADA),))
    assert [type(step).__name__ for step in waits.steps] == ["RemoveNode"]


def test_a_key_that_may_be_for_a_machine_that_is_set_up_anew_stays_and_is_told() -> None:
    found = planned([ADA, GRACE], ALL, keys=(key(7, "tag:gpu"),))
    assert found.steps == []
    assert found.notes == [
        "Join key id 7 of tag:gpu is unused, and all nodes of tag:gpu have joined. If no machine is being set up anew, "
        "run `headscale preauthkeys expire --id 7`."
    ]


def test_the_keys_of_a_user_who_is_removed_go_with_the_user() -> None:
    eve = User(3, "eve", "eve@example.org")
    (step,) = planned([ADA, GRACE, eve], ALL, keys=(key(7, eve),)).steps
    assert type(step).__name__ == "RemoveUser"


def test_names_from_outside_reach_the_terminal_without_control_characters() -> None:
    (step,) = planned([ADA, GRACE, User(3, "\x1b[2Jeve")], ALL).steps
    assert str(step).isprintable()
