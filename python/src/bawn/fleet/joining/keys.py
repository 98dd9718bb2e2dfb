"""A key with which one machine joins as one node of the fleet, and the command that uses it."""

import os
import shlex
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.fleet.joining.headscale import Headscale
from bawn.fleet.joining.matching import match, users_of
from bawn.fleet.policy.principals import TAILNET_ROLES, principal
from bawn.fleet.problems import listed
from bawn.fleet.schema import Fleet

SERVER_KEY_FILE: Final = "/var/lib/bawn-secrets/tailnet-auth-key"
"""Where the hosts of `hosts/` look for it (`bawn.tailnet.authKeyFile`)."""
JOINING_UNIT: Final = "tailscaled-autoconnect.service"
POD_KEY: Final = "BAWN_TAILNET_KEY"
"""Variable from which a pod's first process takes it."""


class JoinKey(msgspec.Struct, frozen=True):
    """A key for one join, and what it makes of the machine."""

    node: str
    role: str
    principal: str
    """Tag or login that the node will have."""
    key: str
    expires: datetime
    ephemeral: bool
    """Whether the node is removed when it has been away for two minutes."""
    login_server: str

    def __repr__(self) -> str:
        return f"JoinKey(node={self.node!r}, key=…, expires={self.expires})"


def make_key(fleet: Fleet, node: str, headscale: Headscale, *, expiration: str, again: bool, now: datetime) -> JoinKey:
    """Make a key with which `node` joins.

    Args:
        expiration: until when it must be used, e.g. `1h`.
        again: make one although the node is there, for a machine that was set up anew.
        now: the time; a node whose own key has expired may join again.

    Raises:
        SettingsError: `node` can't join, or has joined.
        HeadscaleError: Headscale is not there, or refuses.
    """
    entry = fleet.nodes.get(node)
    if entry is None or entry.role not in TAILNET_ROLES:
        known = listed(fleet.of_role(*TAILNET_ROLES))
        what = (
            "is no node of the fleet" if entry is None else f"has the role {entry.role}, which is outside the tailnet"
        )
        raise SettingsError(f"{node}: {what}; nodes that join: {known}.")
    if fleet.tailnet.managed:
        raise SettingsError(_in_tailscales_console(fleet, node))
    users = headscale.users()
    there = match(fleet, users, headscale.nodes()).joined.get(node)
    # A pod is another machine each time, and its last one may still be listed.
    if there is not None and not again and entry.role != "pod" and not there.expired(now):
        raise SettingsError(
            f"{node}: has joined ({', '.join(there.ip_addresses)}). If its machine was set up anew, add --again; "
            "`bawn fleet apply` then removes its old self."
        )
    of = principal(fleet, node)
    user = None
    if entry.role == "laptop":
        same = users_of(of, users)
        if len(same) != 1:
            raise SettingsError(
                f"{node}: Headscale has {len(same) or 'no'} user{'s' if len(same) > 1 else ''} for its owner, {of}; "
                "run `bawn fleet apply` first."
            )
        user = same[0].id
    made = headscale.create_key(
        user=user, tag=of if user is None else None, ephemeral=entry.role == "pod", expiration=expiration
    )
    return JoinKey(
        node=node,
        role=entry.role,
        principal=of,
        key=made.key,
        expires=made.expiration.utc or now,
        ephemeral=made.ephemeral,
        login_server=fleet.tailnet.server_url,
    )


def command_of(key: JoinKey, file: str | None = None) -> str:
    """The one command that uses the key: on a laptop its owner's, on a server root's; of a pod a variable.

    Linux wants root for it; macOS and Windows have no use for `sudo`, which whoever shows the command says.

    Args:
        key: the key.
        file: a file on that machine that holds it, so that the command doesn't.
    """
    secret = key.key if file is None else f"file:{file}"
    if key.role == "laptop":
        return shlex.join(
            [
                *(
                    "sudo",
                    "tailscale",
                    "up",
                    f"--login-server={key.login_server}",
                    f"--hostname={key.node}",
                    "--shields-up",
                ),
                f"--auth-key={secret}",
            ]
        )
    if key.role == "pod":
        return f"{POD_KEY}={key.key if file is None else f'$(cat {shlex.quote(file)})'}"
    given = f"<<< {key.key}" if file is None else f"< {shlex.quote(file)}"
    return (
        f"sudo install -D -m 0600 /dev/stdin {SERVER_KEY_FILE} {given} "
        f"&& sudo systemctl restart --no-block {JOINING_UNIT}"
    )


def write_key(path: Path, key: JoinKey) -> None:
    """Write the key, and nothing else, into `path`, mode 0600; it is the old file or the new one, never half.

    Raises:
        SettingsError: it can't be written there.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(f"{key.key}\n")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(f"--out: {path}: can't be written: {error.strerror}.") from error


def _in_tailscales_console(fleet: Fleet, node: str) -> str:
    of = principal(fleet, node)
    begin = f"{node}: Tailscale runs this tailnet (tailnet.managed), and makes its keys. "
    if fleet.nodes[node].role == "laptop":
        return (
            f"{begin}Its owner needs none: invite {of} in the admin console, then "
            f"`sudo tailscale up --hostname={node}`, without sudo on macOS and Windows."
        )
    short = "ephemeral, " if fleet.nodes[node].role == "pod" else ""
    return (
        f"{begin}In the admin console, Settings > Keys > Generate auth key: not reusable, {short}pre-approved, "
        f"tag {of}. Then put it where {node} looks: {POD_KEY if short else SERVER_KEY_FILE}."
    )
