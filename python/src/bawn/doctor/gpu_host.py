"""A GPU host: settings, preflight, weights, and the model server."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.contracts.health import Health
from bawn.doctor.asking import NoAnswer, ask
from bawn.doctor.hops import Fault, Hop, Seen, not_looked
from bawn.doctor.machine import Place
from bawn.doctor.settings_file import gone_with_the_service, readable
from bawn.doctor.tailscaled import ask_tailscaled, check_running
from bawn.doctor.units import check_active, unit
from bawn.service.settings import read_data, read_secret
from bawn.service.tailnet import in_tailnet

_GGUF: Final = b"GGUF"
_DRIVER: Final = Path("/proc/driver/nvidia/version")


class _Settings(msgspec.Struct, frozen=True):
    """What the doctor needs of the model server's settings, whose own module needs llama.cpp."""

    model: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    token_file: str = ""


class GpuHost:
    """What is on a GPU host. `settings` is looked at first; the rest builds on it."""

    def __init__(self, place: Place, socket: Path) -> None:
        self._place = place
        self._socket = socket
        self._settings = _Settings()

    @property
    def _url(self) -> str:
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._settings.port}"

    def hops(self) -> list[Hop]:
        """In order."""
        return [
            Hop("settings of the model server", self.read_settings),
            Hop("tailnet of the GPU host", self.tailnet, 10),
            Hop("GPU", self.gpu, 10),
            Hop("weights", self.weights),
            Hop("model server", self.service),
            Hop("loaded model", self.model),
        ]

    async def read_settings(self) -> Seen:
        """They name a model."""
        if gone_with_the_service(self._place):
            return not_looked("they are made when the service starts")
        file = readable(self._place.settings, "bawn-model-server")
        try:
            self._settings = msgspec.convert(read_data(file), _Settings)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{file}: {error}.") from error
        if not self._settings.model:
            raise Fault("settings_wrong", f"{file} names no model.", "Set `model` to the path of a GGUF file.")
        return Seen(Path(self._settings.model).name)

    async def tailnet(self) -> Seen:
        """This host is in the tailnet, under the address on which the model server listens."""
        if gone_with_the_service(self._place):
            # It waits for the address at its start, so that this comes before the state of its unit.
            check_running(await ask_tailscaled(self._socket), datetime.now(UTC))
            return Seen("in the tailnet")
        if not in_tailnet(self._settings.host):
            return not_looked(f"the model server listens on {self._settings.host}")
        status = await ask_tailscaled(self._socket)
        check_running(status, datetime.now(UTC))
        if status.self is not None and self._settings.host not in (status.self.tailscale_ips or []):
            raise Fault(
                "address_moved",
                f"The model server listens on {self._settings.host}, which is not this host's address in the tailnet "
                "any more.",
                "`sudo systemctl restart bawn-model-server`: it takes the new address when it starts.",
            )
        return Seen("in the tailnet")

    async def gpu(self) -> Seen:
        """The preflight, where there is one, has let the model server start."""
        preflight = unit("bawn-gpu-preflight.service")
        if preflight is not None and preflight.result not in ("", "success"):
            raise Fault(
                "preflight_failed",
                "GPU, driver and plan don't fit together, so that the model server is not started.",
                "`journalctl -u bawn-gpu-preflight -n 5` says in one sentence what doesn't fit.",
            )
        if not _DRIVER.exists():
            return not_looked("no NVIDIA driver: the model runs on the CPU")
        return Seen("NVIDIA driver loaded" if preflight is None else "preflight passed")

    async def weights(self) -> Seen:
        """The file is there and is a GGUF."""
        if gone_with_the_service(self._place):
            return not_looked("the settings name them")
        file = Path(self._settings.model)
        mend = "`journalctl -u bawn-weights` says how far the download is; by hand, put the file there or mend `model`."
        try:
            begins, size = _beginning(file)
        except OSError as error:
            raise Fault("weights_missing", f"The weights, {file}, can't be read: {error.strerror}.", mend) from error
        if begins != _GGUF:
            raise Fault("weights_broken", f"{file} is no GGUF file.", mend)
        return Seen(f"{size / 1e9:.1f} GB")

    async def service(self) -> Seen:
        """It runs and its decode loop goes round."""
        check_active(self._place.unit)
        again = (
            "`sudo systemctl restart bawn-model-server`, and `journalctl -u bawn-model-server`; on one machine, "
            "`make up`."
        )
        try:
            answer = await ask(f"{self._url}/health")
            health = msgspec.json.decode(answer.body, type=Health)
        except NoAnswer as error:
            raise Fault(
                "model_server_stopped" if error.why == "refused" else "model_server_silent",
                f"The model server doesn't answer at {self._url}.",
                again,
            ) from error
        except msgspec.DecodeError as error:
            raise Fault(
                "not_the_model_server", f"What answers at {self._url} is no model server of ours.", again
            ) from error
        if health.state == "loading":
            raise Fault(
                "model_loading",
                "The model server is still loading its model.",
                "Wait: a large file takes minutes. `journalctl -u bawn-model-server` tells when it is done.",
            )
        if answer.status != 200:
            raise Fault("model_server_unwell", f"The model server says that it is {health.state}.", again)
        return Seen(f"runs at {self._url}")

    async def model(self) -> Seen:
        """It lists its model to whoever has its token."""
        token = None
        if self._settings.token_file:
            try:
                token = read_secret(Path(self._settings.token_file))
            except SettingsError:
                return not_looked("its token is for the service alone")
        answer = await ask(f"{self._url}/v1/models", token=token)
        if answer.status != 200:
            raise Fault(
                "model_not_listed",
                f"The model server runs, but doesn't list its model (status {answer.status}).",
                "`sudo systemctl restart bawn-model-server`: it may have been started with another token.",
            )
        return Seen("listed")


def _beginning(file: Path) -> tuple[bytes, int]:
    """The first bytes of a file, and its size in bytes."""
    with file.open("rb") as opened:
        return opened.read(len(_GGUF)), file.stat().st_size
