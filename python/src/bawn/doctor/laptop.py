"""The laptop's own part of the chain: the bridge's settings, the assistants, the bridge."""

from pathlib import Path
from urllib.parse import urlsplit

from bawn.bridge.local_token import token_path
from bawn.bridge.settings import BridgeSettings, default_path, load
from bawn.doctor import assistants
from bawn.doctor.asking import NoAnswer, ask
from bawn.doctor.assistants import Configured
from bawn.doctor.hops import Fault, Hop, Seen, not_looked
from bawn.doctor.machine import Place
from bawn.doctor.way import Way
from bawn.service.settings import read_secret


class Laptop:
    """What is on the laptop. `settings` is looked at first; the rest builds on it."""

    def __init__(self, place: Place, way: Way, project: Path) -> None:
        self._place = place
        self._way = way
        self._project = project
        self.settings = BridgeSettings()
        self.assistants: list[Configured] = []
        self.key = ""
        self.token = ""

    def __repr__(self) -> str:
        return "Laptop(key=***, token=***)"

    @property
    def bridge_url(self) -> str:
        """Where clients reach the bridge."""
        return f"http://127.0.0.1:{self.settings.port}"

    def hops(self) -> list[Hop]:
        """In order."""
        return [
            Hop("settings of the bridge", self.read_settings),
            Hop("assistants", self.compare_assistants),
            Hop("bridge", self.bridge, 10),
        ]

    async def read_settings(self) -> Seen:
        """They name a gateway, and the key is there."""
        if self._place.settings is None:
            raise Fault(
                "not_set_up",
                "Nothing of bawn is set up on this machine: there is no service of it and no bridge.toml.",
                f"On a laptop, get a key from whoever runs the gateway and write gateway_url and key_file into "
                f"{default_path()}; on one machine, `make up`.",
            )
        self.settings = load(self._place.settings, key_file=self._place.key_file)
        self.key = read_secret(Path(self.settings.key_file))
        gateway = urlsplit(self.settings.gateway_url)
        self._way.leads_to(gateway.hostname or "", gateway.port or (443 if gateway.scheme == "https" else 80))
        if token_path().is_file():
            self.token = read_secret(token_path())
        return Seen(f"gateway {self.settings.gateway_url}")

    async def compare_assistants(self) -> Seen:
        """Those that are configured have the bridge's address and token."""
        self.assistants = assistants.configured(self._project)
        if not self.assistants:
            return not_looked("none is configured; `bawn connect` does it")
        if not self.token:
            return not_looked("the bridge has made no token yet")
        for one in self.assistants:
            assistants.check(one, self.bridge_url, self.token)
        return Seen(", ".join(dict.fromkeys(one.name for one in self.assistants)))

    async def bridge(self) -> Seen:
        """It runs, it is a bridge, and its token is the one of the file."""
        start = (
            "Start it with `bawn bridge`; as a service, `systemctl --user start bawn-bridge`. On one machine, "
            "`make up` runs it."
        )
        try:
            alive = await ask(f"{self.bridge_url}/health")
        except NoAnswer as error:
            if error.why == "refused":
                raise Fault("bridge_stopped", f"The bridge at {self.bridge_url} is not running.", start) from error
            raise Fault(
                "bridge_silent", f"The bridge at {self.bridge_url} takes a connection and doesn't answer.", start
            ) from error
        if alive.status != 200 or b'"state"' not in alive.body:
            raise Fault(
                "not_the_bridge",
                f"What answers at {self.bridge_url} is not the bridge.",
                "Stop the program that has this port, or give the bridge another (`port` in bridge.toml).",
            )
        # A path that the bridge doesn't serve: it is answered there, and only to whoever has the token.
        known = await ask(f"{self.bridge_url}/v1/doctor", token=self.token or None)
        if known.status == 401:
            raise Fault(
                "bridge_token_differs",
                f"The bridge that runs at {self.bridge_url} has another token than {token_path()}.",
                "Start the bridge anew with the same BAWN_CONFIG, then `bawn connect` again.",
            )
        return Seen(f"runs at {self.bridge_url}")
