"""The gateway's host: its settings, its service, its model servers and its index."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.contracts.health import Ready
from bawn.doctor.asking import NoAnswer, ask
from bawn.doctor.hops import Fault, Hop, Seen, not_looked
from bawn.doctor.machine import Place
from bawn.doctor.settings_file import gone_with_the_service, readable
from bawn.doctor.tailscaled import Status, ask_tailscaled, check_running
from bawn.doctor.units import check_active
from bawn.doctor.upstreams import ask_upstream
from bawn.gateway.check import problems
from bawn.gateway.settings import GatewaySettings
from bawn.service.settings import read_settings
from bawn.service.tailnet import in_tailnet


class GatewayHost:
    """What is on the gateway's host. `settings` is looked at first; the rest builds on it."""

    def __init__(self, place: Place, socket: Path) -> None:
        self._place = place
        self._socket = socket
        self._settings = GatewaySettings(upstreams=[])
        self._status: Status | None = None

    @property
    def _url(self) -> str:
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._settings.port}"

    def hops_of_service(self) -> list[Hop]:
        """Settings, tailnet, service."""
        return [
            Hop("settings of the gateway", self.read_settings),
            Hop("tailnet of the gateway host", self.tailnet, 10),
            Hop("gateway service", self.service),
        ]

    def hops_of_use(self) -> list[Hop]:
        """What the service uses."""
        return [Hop("upstreams", self.upstreams, 15), Hop("index", self.index)]

    async def read_settings(self) -> Seen:
        """They can work."""
        if gone_with_the_service(self._place):
            return not_looked("they are made when the service starts")
        file = readable(self._place.settings, "bawn-gateway")
        self._settings = read_settings(file, GatewaySettings)
        # Credentials are there for the service alone: that a token file can't be read from here says nothing.
        wrong = [problem for problem in problems(self._settings) if "/run/credentials/" not in problem]
        if wrong:
            raise Fault(
                "settings_wrong",
                f"{file}: {' '.join(wrong)}",
                f"Mend it; `bawn gateway --check {file}` says whether it can work.",
            )
        names = ", ".join(upstream.name for upstream in self._settings.upstreams)
        return Seen(f"upstreams: {names}")

    async def tailnet(self) -> Seen:
        """This host is in the tailnet, under the address on which the gateway listens, and can say who calls."""
        if gone_with_the_service(self._place):
            # It waits for the address at its start, so that this comes before the state of its unit.
            check_running(await ask_tailscaled(self._socket), datetime.now(UTC))
            return Seen("in the tailnet")
        asks = self._settings.identity != "key"
        if not asks and not in_tailnet(self._settings.host):
            return not_looked(f"the gateway listens on {self._settings.host}, and asks no tailnet who calls")
        # That it asks may be true of another socket than the usual one.
        self._status = await ask_tailscaled(Path(self._settings.tailscaled_socket) if asks else self._socket)
        check_running(self._status, datetime.now(UTC))
        own = self._status.self
        listens_there = in_tailnet(self._settings.host)
        if listens_there and own is not None and self._settings.host not in (own.tailscale_ips or []):
            raise Fault(
                "address_moved",
                f"The gateway listens on {self._settings.host}, which is not this host's address in the tailnet any "
                "more.",
                "`sudo systemctl restart bawn-gateway`: it takes the new address when it starts.",
            )
        return Seen("in the tailnet")

    async def service(self) -> Seen:
        """It runs and answers."""
        check_active(self._place.unit)
        try:
            answer = await ask(f"{self._url}/health")
        except NoAnswer as error:
            raise Fault(
                "gateway_stopped" if error.why == "refused" else "gateway_silent",
                f"The gateway doesn't answer at {self._url}.",
                "`sudo systemctl restart bawn-gateway`, and `journalctl -u bawn-gateway`; on one machine, `make up`.",
            ) from error
        if answer.status != 200:
            raise Fault(
                "not_the_gateway",
                f"What answers at {self._url} is not the gateway.",
                "Stop the program that has this port, or give the gateway another (`port`).",
            )
        return Seen(f"runs at {self._url}")

    async def upstreams(self) -> Seen:
        """At least one answers with its models; one that refuses its token is a fault in any case."""
        asked = self._settings.upstreams
        told = await asyncio.gather(*(ask_upstream(one, self._status) for one in asked), return_exceptions=True)
        faults = [one for one in told if isinstance(one, Fault)]
        for one in told:
            if isinstance(one, BaseException) and not isinstance(one, Fault):
                raise one
        refused = [fault for fault in faults if fault.code == "upstream_token_refused"]
        # A rented pod is off most of the time, so that one which doesn't answer is none while another does.
        if refused or len(faults) == len(asked):
            raise (refused or faults)[0]
        states = (
            f"{one.name}: {'not ready' if isinstance(two, Fault) else two}"
            for one, two in zip(asked, told, strict=True)
        )
        return Seen("; ".join(states))

    async def index(self) -> Seen:
        """There is one, and the gateway can read it."""
        if self._settings.index_dir is None:
            return not_looked("the settings name no index")
        answer = await ask(f"{self._url}/ready")
        try:
            parts = msgspec.json.decode(answer.body, type=Ready).parts
        except msgspec.DecodeError as error:
            raise SettingsError(f"{self._url}/ready: gateway and doctor differ in version.") from error
        if not all(part.ok for part in parts if part.name == "index"):
            raise Fault(
                "index_missing",
                f"The gateway has no index that it can read in {self._settings.index_dir}.",
                "`sudo systemctl start bawn-indexer` and `journalctl -u bawn-indexer`; by hand, `bawn index add` and "
                "`bawn index run`.",
            )
        return Seen("is there")
