"""Which tests a worker of pytest-xdist runs together, where several run side by side."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

HOSTS = ("units", "tailnet")
"""Folders whose tests boot hosts in systemd-nspawn: one set of them at a time is what a machine bears."""


def together(nodeid: str) -> str:
    """Name of what is run by one worker: the tests of a file, whose fixtures start services, or all that boot hosts."""
    file = nodeid.partition("::")[0]
    return "hosts" if file.startswith(tuple(f"{folder}/" for folder in HOSTS)) else file


class FileScheduling(LoadScopeScheduling):
    """Hands out whole files, and the hosts to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)


def scheduling(config: pytest.Config, log: Producer) -> FileScheduling:
    """For `pytest_xdist_make_scheduler`."""
    # In the order in which they were collected, the longest first: xdist would begin with whatever has most tests.
    config.option.loadscopereorder = False
    return FileScheduling(config, log)


def hosts_first(items: list[pytest.Item]) -> None:
    """Put what takes longest in front, so that it is begun at once."""
    items.sort(key=lambda item: together(item.nodeid) != "hosts")
