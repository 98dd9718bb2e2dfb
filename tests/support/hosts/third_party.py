"""Meilisearch and SearXNG of the gateway host, where this machine has them: in nspawn hosts they come from outside."""

import os
from pathlib import Path
from typing import Final

from support.hosts import tree
from support.hosts.machine import Machine
from support.hosts.site import SECRETS
from support.meilisearch import ABSENT, MASTER_KEY
from support.meilisearch import binary as meilisearch

_REPLACE_SECRET: Final = """#!/usr/bin/python3
# What nixpkgs' program of this name does: STRING, FILE WITH THE SECRET, FILE.
import pathlib, sys
string, secret, file = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
file.write_text(file.read_text().replace(string, secret.read_text().strip()))
"""
_MEILISEARCH: Final = """#!/bin/bash
# nixpkgs' module writes the settings of its own version, and a later one refuses those that it has given up.
config=$2
if ! /opt/meilisearch/server --help | grep --quiet experimental-dumpless-upgrade; then
  sed --in-place /experimental_dumpless_upgrade/d "$config"
fi
exec /opt/meilisearch/server "$@"
"""
_SEARXNG: Final = """#!/usr/bin/python3
import sys
sys.path.insert(0, "/opt/searxng/site")
from searx.webapp import run
run()
"""


NO_SEARXNG: Final = f"SEARXNG_SITE names no folder with its packages for Python {tree.PYTHON}"


def searxng() -> Path | None:
    """The folder that `SEARXNG_SITE` names: SearXNG and what it imports, installed for the tree's Python."""
    named = os.environ.get("SEARXNG_SITE")
    return Path(named).resolve() if named else None


def absent() -> list[str]:
    """For each that this machine has not: what to do about it."""
    reasons = []
    if meilisearch() is None:
        reasons.append(ABSENT)
    if searxng() is None:
        reasons.append(f"no SearXNG: {NO_SEARXNG}")
    return reasons


def install(machine: Machine) -> dict[str, str]:
    """Put on a host what there is; package of nixpkgs -> folder of the host, as `golden_host.lay` takes them."""
    programs = {"replace-secret": "/opt/replace-secret"}
    machine.write("/opt/replace-secret/bin/replace-secret", _REPLACE_SECRET, mode=0o755)
    machine.write(f"{SECRETS}/meilisearch-master-key", MASTER_KEY, mode=0o600)
    binary, site = meilisearch(), searxng()
    if binary is not None:
        machine.bind(binary, "/opt/meilisearch/server")
        machine.write("/opt/meilisearch/bin/meilisearch", _MEILISEARCH, mode=0o755)
        programs["meilisearch"] = "/opt/meilisearch"
    if site is not None:
        machine.bind(site, "/opt/searxng/site")
        machine.write("/opt/searxng/bin/searxng-run", _SEARXNG, mode=0o755)
        programs["searxng"] = "/opt/searxng"
    return programs


def left_out() -> list[str]:
    """Units of what there is not."""
    units = {"meilisearch.service": meilisearch(), "searx-init.service": searxng(), "searx.service": searxng()}
    return [unit for unit, program in units.items() if program is None]
