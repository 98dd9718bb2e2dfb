"""The bridge's settings file."""

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.relay.timeouts import Timeouts
from bawn.service.settings import Settings, config_dir, read_settings

DEFAULT_PORT = 8080
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"
"""Where the bridge of this laptop answers."""


class BridgeSettings(Settings, frozen=True):
    """`bridge.toml` in the configuration folder; flags of `bawn bridge` take precedence."""

    gateway_url: str = ""
    """Base URL of the one gateway, e.g. `http://gateway.tailnet:8700`."""
    key_file: str = ""
    """File that holds the gateway's API key; relative to the settings file's folder."""
    host: str = "127.0.0.1"
    """Loopback address to listen on."""
    port: int = DEFAULT_PORT
    allowed_hosts: list[str] = []
    """Further values of the `Host` header that are answered, as `name` or `name:port`."""
    gateway_wait_s: float = 60.0
    """How long a request waits for a gateway that restarts."""
    keepalive_s: float = 15.0
    """Silence after which a waiting stream gets a keepalive."""
    probe_s: float = 2.0
    """How long the status page waits for the gateway."""
    max_body_mib: int = 32
    timeouts: Timeouts = Timeouts()


def default_path() -> Path:
    """Where `bawn bridge` looks for its settings."""
    return config_dir() / "bridge.toml"


def load(
    path: Path | None,
    *,
    gateway: str | None = None,
    key_file: Path | None = None,
    host: str | None = None,
    port: int | None = None,
) -> BridgeSettings:
    """The settings of `path` (the default file where None) with what the command line says on top.

    Raises:
        SettingsError: nothing says which gateway, or a value can't work; names the key and the mend.
    """
    where = path or default_path()
    settings = BridgeSettings() if path is None and not where.exists() else read_settings(where, BridgeSettings)
    key = None if key_file is None else str(key_file.absolute())
    flags = {"gateway_url": gateway, "key_file": key, "host": host, "port": port}
    settings = msgspec.structs.replace(settings, **{key: value for key, value in flags.items() if value is not None})
    if not settings.gateway_url or not settings.key_file:
        raise SettingsError(
            f"The bridge doesn't know its gateway yet: write gateway_url and key_file into {where}, "
            "or pass --gateway URL and --key-file FILE."
        )
    return _checked(settings, where)


def _checked(settings: BridgeSettings, where: Path) -> BridgeSettings:
    parts = urlsplit(settings.gateway_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{where}: gateway_url: expected a URL such as http://gateway:8700.")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(f"{where}: gateway_url: holds credentials; the API key belongs into key_file.")
    check_loopback(settings.host)
    if not 0 < settings.port < 65536:
        raise SettingsError(f"{where}: port: expected 1 to 65535.")
    key = Path(settings.key_file).expanduser()
    return msgspec.structs.replace(
        settings,
        key_file=str(key if key.is_absolute() else where.parent / key),
        gateway_url=urlunsplit(parts._replace(path=parts.path.rstrip("/"), query="", fragment="")),
    )


def check_loopback(host: str) -> None:
    """Refuse to listen anywhere but on this machine.

    Raises:
        SettingsError: `host` is no loopback address.
    """
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise SettingsError(
            f"The bridge listens on loopback only, not on {host}: whoever reaches it speaks to the gateway "
            "with this laptop's key. Use 127.0.0.1."
        )
