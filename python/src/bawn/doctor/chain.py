"""The hops of this machine in the order of the chain."""

from collections.abc import Sequence
from pathlib import Path

from bawn.doctor.far_gateway import FarGateway
from bawn.doctor.gateway_host import GatewayHost
from bawn.doctor.gpu_host import GpuHost
from bawn.doctor.hops import Hop
from bawn.doctor.laptop import Laptop
from bawn.doctor.machine import Place, Role
from bawn.doctor.searching import Asking
from bawn.doctor.way import Way


def chain_of(places: Sequence[Place], *, socket: Path, project: Path, deep: bool) -> list[Hop]:
    """The hops of every role that this machine has.

    On a machine with several, what serves comes before what uses it, so that the walk stops at the cause.

    Args:
        places: at most one a role.
        socket: tailscaled's.
        project: folder whose assistants' configuration counts beside the user's.
        deep: ask for a token too, which may start a pod.
    """
    by_role: dict[Role, Place] = {place.role: place for place in places}
    way = Way(socket)
    laptop = Laptop(by_role["laptop"], way, project) if "laptop" in by_role else None
    gateway = GatewayHost(by_role["gateway"], socket) if "gateway" in by_role else None
    gpu = GpuHost(by_role["gpu"], socket) if "gpu" in by_role else None
    far = None if laptop is None else FarGateway(laptop)
    hops: list[Hop] = []
    if laptop is not None:
        hops += laptop.hops()
    if gateway is not None:
        hops += gateway.hops_of_service()
    if laptop is not None and far is not None:
        hops += [*way.hops(), *far.hops_of_access()]
    if gpu is not None:
        hops += gpu.hops()
    if gateway is not None:
        hops += gateway.hops_of_use()
    if laptop is not None and far is not None:
        hops += [*far.hops_of_models(), *Asking(laptop, far, deep=deep).hops()]
    return hops
