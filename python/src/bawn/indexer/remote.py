"""Repositories that are elsewhere: bare copies of the branches that are indexed, brought up to date by `git fetch`.

A copy is shallow, and leaves out what is too large to be indexed. Nothing of it is ever checked out; no submodule is
fetched, no hook runs, and git speaks https and ssh only.
"""

import base64
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.contracts.repositories import protocol, wrong_address
from bawn.indexer import git
from bawn.indexer.branches import matching
from bawn.indexer.contents import MAX_BYTES
from bawn.service.settings import read_secret

PROTOCOLS: Final = ("https", "ssh")
WITHIN_S: Final = 3600.0
"""Seconds of one fetch, at most; a connection that gives nothing for a minute ends sooner."""
MOST_BRANCHES: Final = 200

_HEADS: Final = "refs/heads/"
_LARGEST: Final = "bawn-largest"
_OPTIONS: Final = (
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "transfer.fsckObjects=true",
)


class Remote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a repository is, and what opens it. Secrets are in files, and no part of the URL."""

    url: str
    """https:// or ssh://, or `git@host:path`."""
    key_file: str | None = None
    """Private key that may read (a deploy key), for ssh."""
    known_hosts_file: str | None = None
    """The server's public keys as OpenSSH writes them, for ssh; without it, those that the user and the system know."""
    token_file: str | None = None
    """Token, or `user:password`, for https."""
    ca_file: str | None = None
    """Certificate of the authority that the server is signed by, where it is none of the system's, for https."""


def check(remote: Remote) -> None:
    """Refuse a remote that can't be fetched from, or should not be.

    Raises:
        SettingsError: names what is wrong.
    """
    if wrong := wrong_address(remote.url):
        raise SettingsError(f"The address {wrong}")
    spoken = protocol(remote.url)
    for key in ("key_file", "known_hosts_file") if spoken == "https" else ("token_file", "ca_file"):
        if getattr(remote, key) is not None:
            raise SettingsError(f"{key}: is not for {spoken}, by which {remote.url} is fetched.")


def fetch(remote: Remote, patterns: Sequence[str], folder: Path, largest: int = MAX_BYTES) -> list[str]:
    """Make or update the copy in `folder`; the branches that it has now, those that `patterns` name, sorted.

    Files of more than `largest` bytes are not in it, nor branches that are gone, or that no pattern names any more; one
    that was overwritten (`push --force`) is what it is there.

    Raises:
        SettingsError: the server can't be reached, doesn't let us in, or has none of the branches; the copy stays as
            it was.
    """
    check(remote)
    if not (folder / "HEAD").exists():
        git.make_bare(folder)
    access = _access(remote)
    listed = git.ask(folder, access, "ls-remote", "--heads", "--refs", "--", remote.url)
    wanted = _chosen(remote, patterns, listed)
    refspecs = [f"+{_HEADS}{branch}:{_HEADS}{branch}" for branch in wanted]
    # Of commits that are here git asks for nothing that was left out of them.
    again = ("--refetch",) if _largest(folder) < largest else ()
    git.ask(
        folder,
        msgspec.structs.replace(access, options=(*access.options, f"remote.origin.url={remote.url}")),
        *("fetch", "--quiet", *again, "--depth=1", f"--filter=blob:limit={largest + 1}", "--no-tags", "--force"),
        *("--no-recurse-submodules", "--no-write-fetch-head", "--", "origin", *refspecs),
        timeout=WITHIN_S,
    )
    git.settle(folder, wanted)
    (folder / _LARGEST).write_text(str(largest), encoding="utf-8")
    return wanted


def _largest(folder: Path) -> int:
    """Bytes up to which files are in a copy."""
    try:
        return int((folder / _LARGEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return MAX_BYTES


def _chosen(remote: Remote, patterns: Sequence[str], listed: bytes) -> list[str]:
    there = [line.partition(b"\t")[2].decode(errors="replace") for line in listed.splitlines()]
    branches = [ref.removeprefix(_HEADS) for ref in there if ref.startswith(_HEADS)]
    wanted = matching(branches, patterns)
    asked, some = ", ".join(patterns), ", ".join(branches[:8])
    if not wanted:
        raise SettingsError(f"{remote.url}: has no branch {asked}; it has {some or 'none at all'}.")
    if len(wanted) > MOST_BRANCHES:
        raise SettingsError(
            f"{remote.url}: {len(wanted)} branches match {asked}; {MOST_BRANCHES} are the most: each is indexed whole."
        )
    return wanted


def _access(remote: Remote) -> git.Access:
    options = [*_OPTIONS]
    environment: dict[str, str] = {}
    if remote.ca_file is not None:
        options.append(f"http.sslCAInfo={remote.ca_file}")
    if remote.token_file is not None:
        secret = read_secret(Path(remote.token_file))
        # Forges take a token as the password of any user.
        pair = secret if ":" in secret else f"x-access-token:{secret}"
        header = f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}"
        # By the environment, which other users can't read, and for this server alone.
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{_origin(remote.url)}.extraHeader",
            "GIT_CONFIG_VALUE_0": header,
        }
    environment["GIT_SSH_COMMAND"] = shlex.join(_ssh(remote))
    return git.Access(tuple(options), environment, remote.url)


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/"


def _ssh(remote: Remote) -> Sequence[str]:
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=20", "ServerAliveInterval=15"]
    options += ["ForwardAgent=no", "ClearAllForwardings=yes"]
    if remote.key_file is not None:
        options += ["IdentitiesOnly=yes", "IdentityAgent=none", f"IdentityFile={remote.key_file}"]
    if remote.known_hosts_file is not None:
        options += [f"UserKnownHostsFile={remote.known_hosts_file}", f"GlobalKnownHostsFile={os.devnull}"]
    return ["ssh", *(piece for option in options for piece in ("-o", option))]
