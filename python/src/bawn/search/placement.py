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
from bawn.search.vectors.settings import EmbeddingSettings, check_embedding
from bawn.service.settings import Settings, credential_path, read_secret, read_settings

_FILE: Final = "index.json"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class MeilisearchSettings(Settings, frozen=True):
    """An index that a Meilisearch server has."""

    url: str
    """`http://host:port`."""
    key_file: str
    """File with the key: the one that may only read for whoever searches, the indexer's for whoever indexes. A name is
    that of a credential; see `credential_path`."""
    index: str | None = None
    """Its name there, where that is another than ours."""


class IndexSettings(Settings, frozen=True, omit_defaults=True):
    """`index.json` of an index directory."""

    meilisearch: dict[Index, MeilisearchSettings] = {}
    """Indexes that a Meilisearch server has; all others are embedded ones."""
    embedding: EmbeddingSettings | None = None
    """The model that chunks and questions are embedded with; None: words alone rank."""


def meilisearch_settings(index_dir: Path, index: Index) -> MeilisearchSettings | None:
    """Where Meilisearch has an index of `index_dir`, its key by an absolute path; None where it is an embedded one.

    Raises:
        SettingsError: `index.json` can't be read or can't work; names the key and what was expected.
    """
    settings = _read(index_dir).meilisearch.get(index)
    if settings is None:
        return None
    return msgspec.structs.replace(settings, key_file=str(credential_path(settings.key_file, index_dir)))


def embedding_settings(index_dir: Path) -> EmbeddingSettings | None:
    """The embedding model of `index_dir`, tokens by absolute paths; None where it has none.

    Raises:
        SettingsError: `index.json` can't be read or can't work; names the key and what was expected.
    """
    settings = _read(index_dir).embedding
    if settings is None:
        return None
    servers = [
        one
        if one.token_file is None
        else msgspec.structs.replace(one, token_file=str(credential_path(one.token_file, index_dir)))
        for one in settings.servers
    ]
    return msgspec.structs.replace(settings, servers=servers)


def check_index_file(index_dir: Path) -> None:
    """Look whether the `index.json` of an index directory can work, if it has one.

    Raises:
        SettingsError: it can't be read, or something in it can't work, or a key can't be read.
    """
    settings = _read(index_dir)
    names = [place.key_file for place in settings.meilisearch.values()]
    names += [one.token_file for one in settings.embedding.servers if one.token_file] if settings.embedding else []
    for name in names:
        path = credential_path(name, index_dir)
        # A credential is there for its unit alone: to anybody else who looks, a name says nothing.
        if Path(name).is_absolute() or path.parent != index_dir or path.exists():
            read_secret(path)


def _read(index_dir: Path) -> IndexSettings:
    file = index_dir / _FILE
    if not file.exists():
        return IndexSettings()
    settings = read_settings(file, IndexSettings)
    for index, place in settings.meilisearch.items():
        check_server(place.url, place.index or index, origin=f"{file}: meilisearch.{index}")
    if settings.embedding is not None:
        check_embedding(settings.embedding, origin=f"{file}: embedding")
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
    before = _read(index_dir)
    places = dict(before.meilisearch)
    places.pop(index, None)
    if settings is not None:
        places[index] = settings
    _write(index_dir, msgspec.structs.replace(before, meilisearch=places))


def use_embedding(index_dir: Path, settings: EmbeddingSettings | None) -> None:
    """Say which model embeds the texts of `index_dir` from now on; None for none.

    Raises:
        SettingsError: the settings can't work, or the file can't be read or written.
    """
    if settings is not None:
        check_embedding(settings, origin="embedding")
    _write(index_dir, msgspec.structs.replace(_read(index_dir), embedding=settings))


def _write(index_dir: Path, wanted: IndexSettings) -> None:
    fresh = index_dir / f"{_FILE}.new"
    try:
        index_dir.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(wanted), indent=2))
        fresh.replace(index_dir / _FILE)
    except OSError as error:
        raise SettingsError(f"{index_dir}: can't be written: {error.strerror}.") from error
