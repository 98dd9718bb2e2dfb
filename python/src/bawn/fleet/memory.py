"""Whether a gateway host has the memory that its units' caps add up to."""

from collections.abc import Iterator
from typing import Final

from bawn.fleet.problems import Problem, key_of
from bawn.fleet.schema import Fleet

GATEWAY_CAPS: Final = {"gateway": 256, "tailnet": 128, "monitoring": 64, "health-gate": 48}
"""MiB that each service of a gateway host may take: the defaults of the NixOS modules of these names."""
INDEXER_CAP: Final = 384
"""MiB of the indexer, which runs where there are repositories."""
PUSH_CAP: Final = 16
"""MiB of the unit that passes pushes on to the indexer."""
FETCH_CAP: Final = 256
"""MiB of the unit that fetches, where a repository has a url or its libraries are wanted."""
EMBEDDER_CAP: Final = 128
"""MiB of the unit that has what is indexed embedded, where a node has an `embedding_model`."""
SYSTEM: Final = 384
"""MiB for the kernel, systemd, the journal, sshd and other units without a cap."""


def memory_problems(fleet: Fleet) -> Iterator[Problem]:
    """A problem for each gateway that is given less than its caps; one without `memory_mib` is not judged."""
    caps = {**GATEWAY_CAPS, **({"indexer": INDEXER_CAP, "push": PUSH_CAP} if fleet.repositories else {})}
    if any(
        repository.url is not None or repository.libraries is not None for repository in fleet.repositories.values()
    ):
        caps["fetch"] = FETCH_CAP
    if fleet.repositories and fleet.embedding_model is not None:
        caps["embedder"] = EMBEDDER_CAP
    need = sum(caps.values()) + SYSTEM
    for name, node in fleet.of_role("gateway").items():
        if node.memory_mib is not None and 0 < node.memory_mib < need:
            parts = ", ".join(f"{unit} {mib}" for unit, mib in sorted(caps.items()))
            yield Problem(
                f"{key_of('nodes', name)}.memory_mib",
                f"the host has {node.memory_mib} MiB, but its units may take {need - SYSTEM} MiB ({parts}) and "
                f"{SYSTEM} MiB are kept for the system; take a larger host.",
            )
