"""What a run writes to: the embedded index of the directory, or the Meilisearch that its `index.json` names."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bawn.contracts.search import Index
from bawn.search.backend import IndexPublisher
from bawn.search.embedded import EmbeddedPublisher
from bawn.search.opening import meilisearch_server
from bawn.search.placement import MeilisearchSettings, meilisearch_settings

_ANSWER_S: Final = 120.0
"""A batch is taken while another is indexed, on a host with one CPU."""


@contextmanager
def open_destination(index_dir: Path, index: Index, *, rebuild: bool) -> Generator[IndexPublisher]:
    """An index of `index_dir`, opened for writing; the caller holds its lock.

    With `rebuild` it is a new one, which takes the place of the old one at the end, unless an error ends it.

    Raises:
        SettingsError: the index is of another format, or `index.json` can't work.
        RequestError: Meilisearch can't be reached, or fails.
    """
    settings = meilisearch_settings(index_dir, index)
    if settings is None:
        opened = _embedded(index_dir, index, rebuild)
    else:
        opened = _meilisearch(index_dir, settings, settings.index or index, rebuild)
    with opened as publisher:
        yield publisher


@contextmanager
def _embedded(index_dir: Path, index: Index, rebuild: bool) -> Generator[IndexPublisher]:
    place, old, new = index_dir / index, index_dir / f"{index}.old", index_dir / f"{index}.new"
    if old.exists() and not place.exists():
        old.rename(place)  # a rebuild died between its two renames
    for leftover in (old, new):
        shutil.rmtree(leftover, ignore_errors=True)
    with EmbeddedPublisher(new if rebuild else place) as publisher:
        yield publisher
    if rebuild:
        if place.exists():
            place.rename(old)
        new.rename(place)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _meilisearch(index_dir: Path, settings: MeilisearchSettings, name: str, rebuild: bool) -> Generator[IndexPublisher]:
    from bawn.search.meilisearch.publishing import MeilisearchPublisher  # with an HTTP client

    server = meilisearch_server(settings, read_s=_ANSWER_S)
    with MeilisearchPublisher(server, name, index_dir, rebuild=rebuild) as publisher:
        yield publisher
        if rebuild:
            publisher.take_place()
