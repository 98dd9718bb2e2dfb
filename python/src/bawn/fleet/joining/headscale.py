"""Headscale's own command line, on its host or through ssh: users, nodes, pre-authentication keys.

    BawnError
    └── HeadscaleError    Headscale is not there, does not answer, or refuses

The commands speak to the running server over its Unix socket, so whoever may open that may do all of this.
"""

import os
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from bawn.contracts.errors import BawnError

_ANSWER_S: Final = 10
"""Seconds that `headscale` waits for its server."""
_COMMAND_S: Final = 60
"""Seconds that the whole command may take, over ssh too."""

T = TypeVar("T")


class HeadscaleError(BawnError):
    """Headscale is not there, does not answer, or refuses; the message says which, and the mend where there is one."""


class Moment(msgspec.Struct, frozen=True):
    """A time, as Headscale's JSON has it."""

    seconds: int = 0

    @property
    def utc(self) -> datetime | None:
        """The time; None where Headscale means never, which it writes as the year 1."""
        return datetime.fromtimestamp(self.seconds, UTC) if self.seconds > 0 else None


class User(msgspec.Struct, frozen=True):
    """Somebody who owns nodes."""

    id: int
    name: str = ""
    email: str = ""
    provider_id: str = ""


class Node(msgspec.Struct, frozen=True):
    """A node of the tailnet."""

    id: int
    given_name: str
    """Its label in MagicDNS."""
    name: str = ""
    """The hostname that its machine reported: any text."""
    user: User | None = None
    """Its owner; of a tagged node a user who stands for all of them."""
    tags: list[str] = []
    ip_addresses: list[str] = []
    expiry: Moment = Moment()

    def expired(self, now: datetime) -> bool:
        """Whether its key is no longer good: it has to join again."""
        ends = self.expiry.utc
        return ends is not None and ends <= now


class PreAuthKey(msgspec.Struct, frozen=True):
    """A key with which a machine joins."""

    key: str
    """Whole when it is made; a list shows its beginning only."""
    expiration: Moment
    id: int = 0
    used: bool = False
    reusable: bool = False
    ephemeral: bool = False
    acl_tags: list[str] = []
    user: User | None = None

    def usable(self, now: datetime) -> bool:
        """Whether a machine can join with it."""
        ends = self.expiration.utc
        return (self.reusable or not self.used) and (ends is None or ends > now)

    def __repr__(self) -> str:
        return f"PreAuthKey(key=…, expiration={self.expiration.utc})"


class Headscale:
    """Runs `headscale` with fixed arguments; the only shell is, with `remote`, the one that ssh starts there."""

    def __init__(self, program: str = "headscale", *, config: Path | None = None, remote: str | None = None) -> None:
        self._program = program
        self._config = config
        self._remote = remote
        """Destination for ssh: `host` or `user@host`."""

    def users(self) -> list[User]:
        """Everybody."""
        return self._list(User, "users")

    def nodes(self) -> list[Node]:
        """Every node, connected or not."""
        return self._list(Node, "nodes")

    def keys(self) -> list[PreAuthKey]:
        """Every pre-authentication key, used and expired ones too."""
        return self._list(PreAuthKey, "preauthkeys")

    def create_user(self, name: str, email: str | None) -> None:
        """A user with this name; a policy knows it by its e-mail where it has one, else as `name@`."""
        self._run("users", "create", *([f"--email={email}"] if email else []), "--", name)

    def remove_user(self, user: int) -> None:
        """Remove a user who owns no nodes, and the keys made for it."""
        self._run("users", "destroy", "--force", f"--identifier={user}")

    def remove_node(self, node: int) -> None:
        """Remove a node: within a second it reaches nobody and nobody reaches it."""
        self._run("nodes", "delete", "--force", f"--identifier={node}")

    def rename_node(self, node: int, name: str) -> None:
        """Give a node another label in MagicDNS."""
        self._run("nodes", "rename", f"--identifier={node}", "--", name)

    def create_key(self, *, user: int | None, tag: str | None, ephemeral: bool, expiration: str) -> PreAuthKey:
        """A key for one join: of a tagged node or of a user's, one of the two; `expiration` is e.g. `1h`."""
        owner = [f"--user={user}"] if tag is None else [f"--tags={tag}"]
        short = ["--ephemeral"] if ephemeral else []
        return self._ask(PreAuthKey, "preauthkeys", "create", *owner, *short, f"--expiration={expiration}")

    def expire_key(self, key: int) -> None:
        """Nobody joins with this key any more."""
        self._run("preauthkeys", "expire", f"--id={key}")

    def _list(self, kind: type[T], of: str) -> list[T]:
        # An empty list is `null`.
        return self._converted(self._run(of, "list"), list[kind] | None) or []

    def _ask(self, kind: type[T], *arguments: str) -> T:
        return self._converted(self._run(*arguments), kind)

    def _converted(self, text: bytes, kind: Any) -> Any:
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.DecodeError as error:
            # The answer itself stays out of the message: it may hold a key.
            raise HeadscaleError(
                f"{self._program} answers in another form than Headscale 0.29 does: {error}."
            ) from None

    def _run(self, *arguments: str) -> bytes:
        config = [f"--config={self._config}"] if self._config else []
        # Flags come first: a name that begins with a hyphen stands behind `--`.
        argv = [self._program, *arguments[:2], "--output=json", *config, *arguments[2:]]
        if self._remote is not None:
            argv = ["ssh", "--", self._remote, shlex.join(argv)]
        try:
            done = subprocess.run(
                argv,
                env=os.environ | {"HEADSCALE_CLI_TIMEOUT": f"{_ANSWER_S}s"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_S,
                check=False,
            )
        except OSError as error:
            raise HeadscaleError(_not_started(argv[0], error)) from error
        except subprocess.TimeoutExpired:
            raise HeadscaleError(f"{argv[0]} took longer than {_COMMAND_S} s.") from None
        if done.returncode:
            raise HeadscaleError(self._refusal(arguments, done))
        return done.stdout

    def _refusal(self, arguments: tuple[str, ...], done: subprocess.CompletedProcess[bytes]) -> str:
        if self._remote is not None and done.returncode == 255:
            return f"ssh {self._remote}: {_last_line(done.stderr)}"
        if self._remote is not None and done.returncode == 127:
            return f"ssh {self._remote}: {self._program} is not on PATH there; name it with --headscale."
        why = _reason(done.stderr)
        if "unable to read/write to headscale socket" in why:
            return f"Headscale's socket is closed to this user: run this as root. ({why})"
        if why.startswith("connecting to headscale: "):
            return (
                "Headscale does not answer: see `systemctl status headscale` on its host. "
                f"({why.removeprefix('connecting to headscale: ')})"
            )
        return f"headscale {' '.join(arguments[:2])}: {why}"


def _not_started(program: str, error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return f"{program}: can't be started: {error.strerror}."
    if program == "ssh":
        return "The command `ssh` is not on PATH: install OpenSSH."
    return (
        f"{program} is not here: run this on the Headscale host, name that host with --remote, "
        "or the program with --headscale."
    )


def _reason(stderr: bytes) -> str:
    """What `headscale` said: its error as JSON, else its last line."""
    text = stderr.decode(errors="replace")
    try:
        data = msgspec.json.decode(text[text.index("{") :], type=dict[str, str])
        return data["error"]
    except (ValueError, KeyError, msgspec.DecodeError):
        return _last_line(stderr)


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "failed without a reason"
