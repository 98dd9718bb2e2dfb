"""Lock files of JavaScript: npm, pnpm, and both forms of Yarn's."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from bawn.indexer.libraries.library import Library, WrongLock, origin_of
from bawn.indexer.libraries.locks.tables import each, table, text

PUBLIC: Final = frozenset({"registry.npmjs.org", "registry.yarnpkg.com"})

_PARTS: Final = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_STRONG: Final = ("sha512", "sha384", "sha256", "sha1")
_PNPM_KEY: Final = re.compile(r"/?((?:@[^@/]+/)?[^@/]+)[@/]([^@/(_]+)(?:[(_].*)?$")
_PNPM_LINE: Final = re.compile(r"""^( *)(?:'([^']*)'|"([^"]*)"|([^\s#:'"{][^:]*(?::[^\s:][^:]*)*)):(?: +(.*))?$""")
_ALIAS: Final = re.compile(r".+@npm:((?:@[^@/]+/)?[^@/]+)@.+")
_YARN_HEAD: Final = re.compile(r'"([^"]+)"|([^\s",:][^\s",:]*)')
_YARN_NEED: Final = re.compile(r'^ {4}"?([^"\s:]+)"?:? +"?([^"]+?)"?$')
_YARN_LINE: Final = re.compile(r'^ {2}"?([A-Za-z]+)"?:? +"?([^"\s]+)"?$')


def package_lock(content: str, _manifest: str | None, *, every: bool) -> list[Library]:
    """Of `package-lock.json` and `npm-shrinkwrap.json`; direct is what the root and its workspaces need.

    Raises:
        WrongLock: it is of npm 6 or older, which doesn't say that.
    """
    locked = table(json.loads(content))
    packages = dict(each(locked.get("packages")))
    if "" not in packages:
        raise WrongLock("is of npm 6 or older; `npm install --package-lock-only` writes it anew")
    direct = {place for path, package in packages.items() for place in _needed(path, package, packages)}
    found: list[Library] = []
    for path, package in packages.items():
        _, is_installed, name = path.rpartition("node_modules/")
        resolved, version = text(package.get("resolved")), text(package.get("version"))
        if not is_installed or not version or package.get("link") or not (every or path in direct):
            continue
        if resolved and not resolved.startswith(("https:", "http:")):
            continue  # from git or a file
        name = text(package.get("name")) or name  # another name than that of the folder is an alias's
        found.append(_library(name, version, text(package.get("integrity")), resolved))
    return found


def _needed(path: str, package: dict[str, Any], packages: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Where what the root or a workspace needs is installed."""
    if "node_modules/" in path:
        return
    for name in (name for part in _PARTS for name in table(package.get(part))):
        folder = path
        while True:
            place = f"{folder}/node_modules/{name}".lstrip("/")
            if place in packages:
                yield place
                break
            if not folder:
                break
            folder = folder.rpartition("/")[0]


def pnpm_lock(content: str, _manifest: str | None, *, every: bool) -> list[Library]:
    """Of `pnpm-lock.yaml`; direct is what its importers need.

    The file has one form, which a YAML parser takes minutes for where it is long.
    """
    direct: set[tuple[str, str]] = set()
    packages: dict[tuple[str, str], str] = {}
    for path, value in _pnpm_entries(content):
        of_importer = path[2:] if path[0] == "importers" else path
        if of_importer[:1] and of_importer[0] in _PARTS and value:
            # `dep: 1.0.0` in older files, `dep: { specifier, version }` in newer ones.
            if len(of_importer) == 2 or (len(of_importer) == 3 and of_importer[2] == "version"):
                # An alias names what it stands for; a version may have peers behind it.
                aliased = None if value[0].isdecimal() else _PNPM_KEY.match(value)
                version = re.split(r"[(_]", value)[0]
                direct.add((aliased[1], aliased[2]) if aliased else (of_importer[1], version))
        elif path[0] == "packages" and len(path) == 2 and (key := _PNPM_KEY.match(path[1])):
            packages.setdefault((key[1], key[2]), "")
        elif path[0] == "packages" and path[2:] == ("resolution",) and (key := _PNPM_KEY.match(path[1])):
            packages[key[1], key[2]] = value
    return [
        _library(name, version, *_resolution(resolution))
        for (name, version), resolution in packages.items()
        if "integrity" in resolution and (every or (name, version) in direct)
    ]


def _pnpm_entries(content: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each key with all that it is in, and what stands behind it."""
    above: list[tuple[int, str]] = []
    for line in content.splitlines():
        if found := _PNPM_LINE.match(line):
            indent, key = len(found[1]), (found[2] or found[3] or found[4] or "").strip()
            while above and above[-1][0] >= indent:
                above.pop()
            above.append((indent, key))
            yield tuple(name for _, name in above), (found[5] or "").strip().strip("'\"")


def _resolution(told: str) -> tuple[str, str]:
    integrity = re.search(r"integrity: *([^,}\s]+)", told)
    tarball = re.search(r"tarball: *([^,}\s]+)", told)
    return integrity[1] if integrity else "", tarball[1] if tarball else ""


def yarn_lock(content: str, manifest: str | None, *, every: bool) -> list[Library]:
    """Of `yarn.lock`, old and new; direct is what the `package.json` beside names, and in new ones each workspace."""
    entries = list(_yarn_entries(content))
    wanted: set[str] = set()
    for part in _PARTS:
        named = table(table(json.loads(manifest or "{}")).get(part))
        wanted |= {f"{name}@{of}" for name, of in named.items()}
    for _, entry in entries:
        if entry.fields.get("linkType") == "soft":
            wanted |= {one.replace("@npm:", "@", 1) for one in entry.needs}
    found: dict[tuple[str, str], Library] = {}
    for asked, entry in entries:
        resolution, resolved = entry.fields.get("resolution", ""), entry.fields.get("resolved", "")
        if entry.fields.get("linkType") == "soft" or (resolution and "@npm:" not in resolution):
            continue
        # New ones write the protocol into what is asked for.
        plain = {*asked, *(one.replace("@npm:", "@", 1) for one in asked)}
        aliased = _ALIAS.fullmatch(asked[0])
        name = (resolution or asked[0]).replace("@npm:", "@", 1).rpartition("@")[0]
        name, version = aliased[1] if aliased else name, entry.fields.get("version", "")
        if not name or not version or (resolved and ".tgz" not in resolved):
            continue
        if every or not wanted or plain & wanted:
            found[name, version] = _library(name, version, entry.fields.get("integrity", ""), resolved)
    return list(found.values())


class _YarnEntry:
    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.needs: list[str] = []


def _yarn_entries(content: str) -> Iterator[tuple[list[str], _YarnEntry]]:
    """What was asked for, as `name@range`, and what came of it."""
    asked: list[str] = []
    entry = _YarnEntry()
    for line in [*content.splitlines(), "end"]:
        if line[:1] not in ("", " ", "#"):
            if asked and entry.fields:
                yield asked, entry
            # `a@^1, a@^2:` and `"a@npm:^1, a@npm:^2":`
            asked = [one.strip() for pair in _YARN_HEAD.findall(line) for one in "".join(pair).split(",")]
            entry = _YarnEntry()
        elif field := _YARN_LINE.match(line):
            entry.fields[field[1]] = field[2]
        elif need := _YARN_NEED.match(line):
            entry.needs.append(f"{need[1]}@{need[2]}")


def _library(name: str, version: str, integrity: str, resolved: str) -> Library:
    return Library("npm", name, version, _hashes(integrity, resolved), origin_of(resolved, PUBLIC))


def _hashes(integrity: str, resolved: str) -> list[str]:
    """Those of the strongest kind that `integrity` has, else the SHA-1 that old Yarn writes behind the address."""
    told: dict[str, list[str]] = {}
    for one in integrity.split():
        kind, _, value = one.partition("-")
        try:
            told.setdefault(kind, []).append(f"{kind}:{base64.b64decode(value.partition('?')[0], validate=True).hex()}")
        except binascii.Error:
            continue
    for kind in _STRONG:
        if kind in told:
            return sorted(told[kind])
    behind = resolved.partition("#")[2]
    return [f"sha1:{behind}"] if re.fullmatch(r"[0-9a-f]{40}", behind) else []
