"""Where packages are fetched from, by ecosystem: `registries.json` of an index directory, for what is not the public
registry's."""

import fnmatch
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.indexer.libraries.library import ECOSYSTEMS, Ecosystem, Library
from bawn.service.settings import Settings, read_settings

PUBLIC: Final[dict[Ecosystem, str]] = {
    "pypi": "https://pypi.org/simple",
    "npm": "https://registry.npmjs.org",
    "cargo": "https://static.crates.io/crates",
    "go": "https://proxy.golang.org",
}
"""What the package managers ask by themselves."""
NONE: Final = "none"
"""In the place of a registry: none is asked."""

_FILE: Final = "registries.json"
_FILE_HOSTS: Final = {"pypi.org": "files.pythonhosted.org"}


class PackageRegistry(Settings, frozen=True):
    """A registry of packages, or a folder of their archives."""

    place: str
    """https:// address as the package manager is given it, absolute path of a folder, or `none`."""
    private: list[str] = []
    """Globs of names that it is never asked for."""
    file_hosts: list[str] = []
    """Further hosts that it may lead to for its files."""
    token_file: str | None = None
    """Token, or `user:password`."""
    ca_file: str | None = None
    """Certificate of the authority that it is signed by, where it is none of the system's."""

    @property
    def folder(self) -> Path | None:
        """Where it is a folder."""
        return Path(self.place) if self.place.startswith("/") else None

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that may be asked."""
        host = urlsplit(self.place).hostname or ""
        return frozenset({host, _FILE_HOSTS.get(host, host), *self.file_hosts})

    def why_not(self, library: Library) -> str | None:
        """Why it is not asked for a library; None: it is."""
        if self.place == NONE:
            return f"no registry is asked: `bawn index registry {library.ecosystem} PLACE` names one"
        if any(fnmatch.fnmatchcase(library.name, glob) for glob in self.private):
            return "its name is private"
        # The name of a private library is nobody's but its own registry's to know.
        if self.folder is None and library.origin and library.origin != urlsplit(self.place).hostname:
            return (
                f"the lock file has it from {library.origin}, which `bawn index registry {library.ecosystem} PLACE` can"
                " name"
            )
        return None


class _File(Settings, frozen=True):
    registries: dict[Ecosystem, PackageRegistry] = {}


def read_registries(index_dir: Path) -> dict[Ecosystem, PackageRegistry]:
    """The registry of each ecosystem.

    Raises:
        SettingsError: the file can't be read or can't work.
    """
    named = _read(index_dir)
    return {name: named.get(name) or PackageRegistry(place=PUBLIC[name]) for name in ECOSYSTEMS}


def _read(index_dir: Path) -> dict[Ecosystem, PackageRegistry]:
    file = index_dir / _FILE
    if not file.exists():
        return {}
    registries = read_settings(file, _File).registries
    for ecosystem, registry in registries.items():
        check_registry(registry, origin=f"{file}: registries.{ecosystem}")
    return registries


def check_registry(registry: PackageRegistry, *, origin: str) -> None:
    """Refuse a registry that can't be asked, or should not be.

    Raises:
        SettingsError: names what is wrong, and begins with `origin`.
    """
    address = urlsplit(registry.place)
    if address.username or address.password:
        raise SettingsError(f"{origin}: the address has a secret in it; put it into a file (--token-file).")
    is_address = address.scheme == "https" and address.hostname and not address.query and not address.fragment
    if not is_address and registry.folder is None and registry.place != NONE:
        raise SettingsError(f"{origin}: {registry.place!r} is no https:// address, no absolute path and not `{NONE}`.")
    if not is_address and (registry.token_file or registry.ca_file or registry.file_hosts):
        raise SettingsError(f"{origin}: {registry.place} is no https:// address, for which alone the options are.")


def use_registry(index_dir: Path, ecosystem: Ecosystem, registry: PackageRegistry) -> None:
    """Say where an ecosystem's packages are fetched from, from now on.

    Raises:
        SettingsError: the registry can't work, or the file can't be read or written.
    """
    check_registry(registry, origin=ecosystem)
    known = _read(index_dir)
    if registry == PackageRegistry(place=PUBLIC[ecosystem]):
        known.pop(ecosystem, None)
    else:
        known[ecosystem] = registry
    fresh = index_dir / f"{_FILE}.new"
    try:
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(_File(registries=known)), indent=2))
        fresh.replace(index_dir / _FILE)
    except OSError as error:
        raise SettingsError(f"{index_dir}: can't be written: {error.strerror}.") from error
