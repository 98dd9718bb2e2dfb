"""What a fleet file may say: the same keys in `fleet.toml`, in JSON and under `bawn.fleet` in Nix.

The types are as loose as they can be without being useless: a role is text here, and `checks` says which roles there
are. A fleet that is wrong in five places is then told all five.
"""

from typing import Any, Final

import msgspec

from bawn.service.settings import Settings

ROLES: Final = ("headscale", "gateway", "gpu", "pod", "laptop")
SERVING_ROLES: Final = ("gpu", "pod")
"""Roles of the nodes that run a model server."""
LIBRARIES: Final = ("direct", "all")
STATES_ON_DISK: Final = ("encrypted", "plain")
INDEXES: Final = ("code", "docs", "libraries")

GATEWAY_PORT: Final = 8700
MODEL_SERVER_PORT: Final = 8000
BRIDGE_PORT: Final = 8080
HEADSCALE_PORT: Final = 443
STUN_PORT: Final = 3478
SSH_PORT: Final = 22

TAILSCALE_URL: Final = "https://controlplane.tailscale.com"
"""Where nodes join a tailnet that Tailscale, Inc. runs."""


class Tailnet(Settings, frozen=True):
    """The private network that joins the nodes."""

    base_domain: str
    """A node's name in the tailnet's DNS is `<node>.<base_domain>`; it need not exist in public DNS."""
    server_url: str = TAILSCALE_URL
    """Where nodes join: the team's own Headscale, or Tailscale's where `managed` is set."""
    managed: bool = False
    """Tailscale, Inc. runs the tailnet; the fleet then has no node of the role headscale."""


class Person(Settings, frozen=True):
    """Somebody who uses the assistant."""

    login: str
    """How the tailnet knows this person, e.g. `ada@example.org`."""
    models: list[str] = []
    """Models or aliases that this person may use."""
    indexes: list[str] = []
    """Search indexes that this person may look into."""
    ssh: bool = False
    """Whether this person operates the servers: may reach port 22 of gateway and GPU hosts over the tailnet."""


class Node(Settings, frozen=True):
    """A machine; its key is its name on the tailnet."""

    role: str
    """What runs there, and which one port is open on the tailnet: one of `ROLES`."""
    owner: str | None = None
    """Whose laptop it is: a key of `people`."""
    gateway: str | None = None
    """The gateway that a laptop's bridge uses; may be left out where the fleet has one gateway."""
    models: list[str] = []
    """What a gpu or pod serves: one key of `models`."""
    embedding_model: str | None = None
    """What it embeds with beside that, for the search: a key of `models`, the same on all nodes."""
    state_on_disk: str | None = None
    """How a gpu or pod keeps the beginnings of prompts while it is stopped, one of `STATES_ON_DISK`: sealed by a key of
    the operator's, or readable by whoever can read its disk. None: it keeps none, and comes back cold."""
    memory_mib: int | None = None
    """Main memory."""
    vram_mib: int | None = None
    """Memory of the GPU."""


class Model(Settings, frozen=True):
    """A model; its key is the name that clients ask for."""

    file: str
    """Name of the weights' file, a GGUF."""
    size_mib: int
    """Memory that the weights take."""
    kv_mib: int = 0
    """Memory that the KV cache of `context_tokens` takes."""
    context_tokens: int = 8192
    """Tokens of the KV cache, shared by all slots."""
    slots: int = 4
    """Requests that are decoded at the same time."""
    url: str | None = None
    """Where the weights are fetched from; without it they are put on the host by hand."""
    sha256: str | None = None
    """SHA-256 of the file in hexadecimal, which fetched weights must have."""


BUFFERS_MIB: Final = 1024
"""What a CUDA context, its compute buffers and the driver take beside weights and cache."""


class Repository(Settings, frozen=True):
    """Something that the indexer reads; its key is the name that searches show."""

    path: str | None = None
    """Folder of the git repository on the gateway host."""
    url: str | None = None
    """Where the repository is cloned from."""
    index: str = "code"
    """The index that it goes into."""
    libraries: str | None = None
    """Of which libraries that its lock files name the documentation is fetched: `direct`, or `all`."""
    branches: list[str] = msgspec.field(default_factory=lambda: ["main"])
    """Branches whose commits are indexed; patterns with `*` and `?` too."""
    project: str | None = None
    """A folder in it; only what is below is indexed, as a scope of its own."""
    include: list[str] = []
    """Globs; where there are any, only files that one of them names are indexed."""
    exclude: list[str] = []
    """Globs of files that are not."""


class Fleet(Settings, frozen=True):
    """Everything that the team's machines are made of."""

    name: str
    """Name of the team, for people to read."""
    tailnet: Tailnet
    people: dict[str, Person] = {}
    nodes: dict[str, Node] = {}
    models: dict[str, Model] = {}
    aliases: dict[str, str] = {}
    """Further names of models: what clients are configured with stays when the model behind it changes."""
    repositories: dict[str, Repository] = {}
    documents: dict[str, dict[str, Any]] = {}
    """Documents beside the repositories. Nothing is rendered from them yet, nor from `pods` and `budgets`."""
    pods: dict[str, dict[str, Any]] = {}
    budgets: dict[str, dict[str, Any]] = {}
    """What a person may use a day, by the person's key."""

    @property
    def embedding_model(self) -> str | None:
        """The model that the search embeds with, if a node serves one."""
        return next((n.embedding_model for n in self.of_role(*SERVING_ROLES).values() if n.embedding_model), None)

    def of_role(self, *roles: str) -> dict[str, Node]:
        """The nodes that have one of `roles`, sorted by name."""
        return {name: node for name, node in sorted(self.nodes.items()) if node.role in roles}

    def address(self, node: str) -> str:
        """The node's name in the tailnet's DNS."""
        return f"{node}.{self.tailnet.base_domain}"

    def gateway_of(self, laptop: str) -> str | None:
        """The gateway that `laptop`'s bridge uses: the one that it names, else the only one; None: can't be said."""
        gateways = list(self.of_role("gateway"))
        return self.nodes[laptop].gateway or (gateways[0] if len(gateways) == 1 else None)
