"""Where the indexes of a directory are: `index.json` there names those that a Meilisearch server has.

Apart from what opens them, so that settings can be looked at on a machine without tantivy.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.contracts.search import Index
from bawn.service.settings import Settings, read_secret, read_settings

_FILE: Final = "index.json"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class MeilisearchSettings(Settings, frozen=True):
    """An index that a Meilisearch server has."""

    url: str
    """`http://host:port`."""
    key_file: str
    """File with the key: the one that may only read for whoever searches, the indexer's for whoever indexes."""
    index: str | None = None
    """Its name there, where that is another than ours."""


class IndexSettings(Settings, frozen=True):
    """`index.json` of an index directory."""

    meilisearch: dict[Index, MeilisearchSettings] = {}
    """Indexes that a Meilisearch server has; all others are embedded ones."""


def meilisearch_settings(index_dir: Path, index: Index) -> MeilisearchSettings | None:
    """Where Meilisearch has an index of `index_dir`; None where it is an embedded one.

    Raises:
        SettingsError: `index.json` can't be read or can't work; names the key and what was expected.
    """
    return _read(index_dir).meilisearch.get(index)


def check_index_file(index_dir: Path) -> None:
    """Look whether the `index.json` of an index directory can work, if it has one.

    Raises:
        SettingsError: it can't be read, or something in it can't work, or a key can't be read.
    """
    for settings in _read(index_dir).meilisearch.values():
        read_secret(Path(settings.key_file))


def _read(index_dir: Path) -> IndexSettings:
    file = index_dir / _FILE
    if not file.exists():
        return IndexSettings()
    settings = read_settings(file, IndexSettings)
    for index, place in settings.meilisearch.items():
        check_server(place.url, place.index or index, origin=f"{file}: meilisearch.{index}")
    return settings


def check_server(url: str, index: str, *, origin: str) -> None:
    """Look at where an index is said to be.

    Raises:
        SettingsError: that can't be; begins with `origin`.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise SettingsError(f"{origin}.url: {url!r} is not of the form http://host:port.")
    if not _NAME.fullmatch(index):
        raise SettingsError(f"{origin}.index: {index!r} can't be a name: use letters, digits, `-` and `_`.")


def use_meilisearch(index_dir: Path, index: Index, settings: MeilisearchSettings | None) -> None:
    """Say where Meilisearch has an index of `index_dir` from now on; None for an embedded one.

    Raises:
        SettingsError: the settings can't work, or the file can't be read or written.
    """
    if settings is not None:
        check_server(settings.url, settings.index or index, origin=f"meilisearch.{index}")
    places = dict(_read(index_dir).meilisearch)
    places.pop(index, None)
    wanted = IndexSettings(meilisearch=places if settings is None else {**places, index: settings})
    fresh = index_dir / f"{_FILE}.new"
    try:
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(wanted), indent=2))
        fresh.replace(index_dir / _FILE)
    except OSError as error:
        raise SettingsError(f"{index_dir}: can't be written: {error.strerror}.") from error
