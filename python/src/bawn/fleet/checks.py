"""Everything that can't work in a fleet, found at once."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

from bawn.contracts.repositories import wrong_address
from bawn.fleet import naming
from bawn.fleet.memory import memory_problems
from bawn.fleet.problems import Problem, key_of, listed
from bawn.fleet.schema import (
    BUFFERS_MIB,
    INDEXES,
    LIBRARIES,
    ROLES,
    SERVING_ROLES,
    STATES_ON_DISK,
    Fleet,
    Model,
    Node,
    Repository,
)
from bawn.fleet.tailnet import tailnet_problems


def problems(fleet: Fleet, *, caps: bool = True) -> list[Problem]:
    """What can't work, sorted by key; empty when all is well.

    With `caps` False the gateway's memory is not judged: where NixOS builds the host, evaluation adds up the caps of
    the very units that will run there, which may be other ones than the defaults.
    """
    found = itertools.chain(
        _team(fleet),
        tailnet_problems(fleet),
        _nodes(fleet),
        _people(fleet),
        _models(fleet),
        _aliases(fleet),
        _repositories(fleet),
        memory_problems(fleet) if caps else (),
    )
    return sorted(set(found))


def _team(fleet: Fleet) -> Iterator[Problem]:
    if not naming.LABEL.fullmatch(fleet.name):
        yield Problem("name", "use small letters, digits and hyphens, at most 63.")
    if not fleet.people:
        yield Problem("people", "nobody may use this fleet; add somebody, with a login.")
    for key in fleet.budgets:
        if key not in fleet.people:
            yield Problem(key_of("budgets", key), f"nobody is called {key}; known: {listed(fleet.people)}.")


def _nodes(fleet: Fleet) -> Iterator[Problem]:
    if not fleet.of_role("gateway"):
        yield Problem("nodes", "no node has the role gateway, and everything goes through one; add it.")
    if not fleet.of_role(*SERVING_ROLES):
        yield Problem("nodes", "no node has the role gpu or pod; the gateway has nobody to pass requests to.")
    spellings = Counter(name.lower() for name in fleet.nodes)
    for name, node in fleet.nodes.items():
        at = key_of("nodes", name)
        if not naming.LABEL.fullmatch(name):
            yield Problem(at, "can't be a node's name; use small letters, digits and hyphens, as in DNS.")
        if spellings[name.lower()] > 1:
            twins = listed(other for other in fleet.nodes if other.lower() == name.lower())
            yield Problem(at, f"{twins} are one name in DNS, where capitals don't count; rename all but one.")
        if node.role not in ROLES:
            yield Problem(f"{at}.role", f"there is no role {node.role}; take one of {', '.join(ROLES)}.")
            continue
        for size in ("memory_mib", "vram_mib"):
            mib = getattr(node, size)
            if mib is not None and mib < 1:
                yield Problem(f"{at}.{size}", f"is {mib}, and must be at least 1 MiB.")
        yield from _laptop(fleet, at, node) if node.role == "laptop" else _server(at, node)
        yield from _serving(fleet, at, node)


def _laptop(fleet: Fleet, at: str, node: Node) -> Iterator[Problem]:
    gateways = fleet.of_role("gateway")
    if node.owner is None:
        yield Problem(f"{at}.owner", f"a laptop belongs to somebody; name one of people: {listed(fleet.people)}.")
    elif node.owner not in fleet.people:
        yield Problem(f"{at}.owner", f"nobody is called {node.owner}; known: {listed(fleet.people)}.")
    if node.gateway is None and len(gateways) > 1:
        yield Problem(
            f"{at}.gateway", f"there are several gateways, and a bridge uses one; name one of {listed(gateways)}."
        )
    elif node.gateway is not None and node.gateway not in gateways:
        yield Problem(f"{at}.gateway", f"{node.gateway} is no node of the role gateway; known: {listed(gateways)}.")


def _server(at: str, node: Node) -> Iterator[Problem]:
    if node.owner is not None:
        yield Problem(f"{at}.owner", f"a {node.role} belongs to nobody; only laptops have an owner.")
    if node.gateway is not None:
        yield Problem(f"{at}.gateway", f"a {node.role} has no bridge; only laptops use a gateway.")


def _serving(fleet: Fleet, at: str, node: Node) -> Iterator[Problem]:
    if node.role not in SERVING_ROLES:
        if node.models:
            yield Problem(f"{at}.models", f"a {node.role} serves no models; only gpu and pod do.")
        if node.embedding_model is not None:
            yield Problem(f"{at}.embedding_model", f"a {node.role} serves no models; only gpu and pod do.")
        if node.state_on_disk is not None:
            yield Problem(f"{at}.state_on_disk", f"a {node.role} serves no models; only gpu and pod do.")
        return
    if len(node.models) != 1:
        yield Problem(f"{at}.models", f"names {len(node.models)} models; a {node.role} serves exactly one.")
    for name in _unknown(node.models, fleet.models):
        yield Problem(f"{at}.models", f"there is no model {name}; known: {listed(fleet.models)}.")
    if node.state_on_disk is not None and node.state_on_disk not in STATES_ON_DISK:
        yield Problem(f"{at}.state_on_disk", f"is {node.state_on_disk!r}; take {' or '.join(STATES_ON_DISK)}.")
    yield from _embedding(fleet, at, node)
    served = [name for name in (*node.models, node.embedding_model) if name is not None]
    if node.vram_mib is not None and node.vram_mib > 0 and served and all(name in fleet.models for name in served):
        need = BUFFERS_MIB + sum(fleet.models[name].size_mib + fleet.models[name].kv_mib for name in served)
        if need > node.vram_mib and len(node.models) == 1:
            yield Problem(
                f"{at}.vram_mib",
                f"{listed(served)} needs {need} MiB (weights, KV cache and buffers), but the GPU has {node.vram_mib} "
                "MiB; take a smaller quantisation or fewer context_tokens.",
            )


def _embedding(fleet: Fleet, at: str, node: Node) -> Iterator[Problem]:
    name = node.embedding_model
    if name is None:
        return
    if name not in fleet.models:
        yield Problem(f"{at}.embedding_model", f"there is no model {name}; known: {listed(fleet.models)}.")
    elif name in node.models:
        yield Problem(f"{at}.embedding_model", f"{name} is what the node generates with; one model can't do both.")
    if name != fleet.embedding_model:
        yield Problem(
            f"{at}.embedding_model",
            f"is {name}, and another node embeds with {fleet.embedding_model}; two models' vectors don't compare.",
        )


def _people(fleet: Fleet) -> Iterator[Problem]:
    logins = Counter(person.login.lower() for person in fleet.people.values())
    usable = {**fleet.models, **fleet.aliases}
    for key, person in fleet.people.items():
        at = key_of("people", key)
        if not naming.LOGIN.fullmatch(person.login):
            yield Problem(
                f"{at}.login", f"{person.login!r} is no login; write it as name@domain, as the tailnet has it."
            )
        elif fleet.tailnet.managed and person.login.endswith("@"):
            yield Problem(f"{at}.login", f"{person.login} is a login of Headscale only; Tailscale's are name@domain.")
        if logins[person.login.lower()] > 1:
            twins = listed(k for k, other in fleet.people.items() if other.login.lower() == person.login.lower())
            yield Problem(f"{at}.login", f"{person.login} is the login of {twins}; logins must differ.")
        for name in _unknown(person.models, usable):
            yield Problem(f"{at}.models", f"there is no model {name}; known: {listed(usable)}.")
        for name in _unknown(person.indexes, INDEXES):
            yield Problem(f"{at}.indexes", f"there is no index {name}; take {', '.join(INDEXES)}.")


def _models(fleet: Fleet) -> Iterator[Problem]:
    serving = fleet.of_role(*SERVING_ROLES).values()
    served = {name for node in serving for name in (*node.models, node.embedding_model)}
    for name, model in fleet.models.items():
        at = key_of("models", name)
        if not naming.MODEL.fullmatch(name):
            yield Problem(
                at, "can't be a model's name; use letters, digits and . _ : / -, beginning with a letter or digit."
            )
        if name not in served:
            yield Problem(at, "no node of the role gpu or pod serves it; name it in the models of one, or take it out.")
        yield from _sizes(at, model)
        yield from _weights(at, model)


def _sizes(at: str, model: Model) -> Iterator[Problem]:
    for key, low in {"size_mib": 1, "kv_mib": 0, "context_tokens": 1, "slots": 1}.items():
        if getattr(model, key) < low:
            yield Problem(f"{at}.{key}", f"is {getattr(model, key)}, and must be at least {low}.")
    if model.slots > 256:
        yield Problem(f"{at}.slots", f"is {model.slots}; a model server has at most 256.")
    elif model.slots > model.context_tokens > 0:
        yield Problem(f"{at}.slots", f"{model.slots} slots share {model.context_tokens} tokens; each needs some.")


def _weights(at: str, model: Model) -> Iterator[Problem]:
    if not naming.WEIGHTS.fullmatch(model.file):
        yield Problem(f"{at}.file", f"{model.file!r} is no name of a weights' file; expected NAME.gguf, no folder.")
    if (model.url is None) != (model.sha256 is None):
        yield Problem(at, "url and sha256 go together: weights that nobody checks are not fetched.")
    if model.url is not None and not model.url.startswith("https://"):
        yield Problem(f"{at}.url", "weights are fetched over https:// only.")
    if model.sha256 is not None and not naming.SHA256.fullmatch(model.sha256):
        yield Problem(f"{at}.sha256", "expected 64 hexadecimal digits in small letters, as `sha256sum FILE` prints.")


def _aliases(fleet: Fleet) -> Iterator[Problem]:
    for alias, target in fleet.aliases.items():
        at = key_of("aliases", alias)
        if not naming.MODEL.fullmatch(alias):
            yield Problem(
                at, "can't be a model's name; use letters, digits and . _ : / -, beginning with a letter or digit."
            )
        if alias in fleet.models:
            yield Problem(at, "a model has this name already, and the alias would hide it; choose another.")
        if target not in fleet.models:
            yield Problem(at, f"there is no model {target}; known: {listed(fleet.models)}.")


def _repositories(fleet: Fleet) -> Iterator[Problem]:
    shown = Counter(entry for name, repository in fleet.repositories.items() for entry in entries(name, repository))
    for name, repository in fleet.repositories.items():
        at = key_of("repositories", name)
        if repository.path is None and repository.url is None:
            yield Problem(at, "has neither path nor url; say where the git repository is.")
        elif repository.path is not None and repository.url is not None:
            yield Problem(at, "has both path and url; keep the one where the repository is.")
        elif repository.url is not None and (wrong := wrong_address(repository.url)):
            yield Problem(f"{at}.url", wrong)
        if repository.path is not None and not repository.path.startswith("/"):
            yield Problem(f"{at}.path", f"{repository.path!r} is no absolute path; begin it with /.")
        if repository.index not in INDEXES:
            yield Problem(f"{at}.index", f"there is no index {repository.index}; take {', '.join(INDEXES)}.")
        if repository.libraries is not None and repository.libraries not in LIBRARIES:
            yield Problem(f"{at}.libraries", f"is {repository.libraries!r}; take {' or '.join(LIBRARIES)}.")
        if not repository.branches:
            yield Problem(f"{at}.branches", "is empty; name the branches whose commits are indexed.")
        yield from _branches(at, entries(name, repository) or [name], shown)


def _branches(at: str, names: list[str], shown: Counter[str]) -> Iterator[Problem]:
    for name in names:
        if not naming.ENTRY.fullmatch(name):
            yield Problem(
                at, f"searches can't show it as {name!r}; use letters, digits and . _ - for it and its branches."
            )
        if shown[name] > 1:
            yield Problem(
                f"{at}.branches", f"searches would show {shown[name]} branches as {name}; take out all but one."
            )


def entries(name: str, repository: Repository) -> list[str]:
    """What searches call each branch that is named: `app`, or `app/main` and `app/next` where there may be several."""
    named = [branch for branch in repository.branches if not set(branch) & set("*?[")]
    if len(repository.branches) == 1 and named:
        return [name]
    return [f"{name}/{branch.replace('/', '-')}" for branch in named]


def _unknown(names: Iterable[str], known: Iterable[str]) -> list[str]:
    among = set(known)
    return sorted({name for name in names if name not in among})
