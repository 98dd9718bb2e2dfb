"""Lock files of Python: uv, Poetry, PDM, Pipenv, and pins in requirements.txt."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from bawn.indexer.libraries.library import Library, origin_of, pypi_name
from bawn.indexer.libraries.locks.tables import each, table, tables, text, texts

PUBLIC: Final = frozenset({"pypi.org", "pypi.python.org", "files.pythonhosted.org"})

_REQUIREMENT: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_PIN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;,#*]+)\s*(?:;.*)?$")
_HASH: Final = re.compile(r"--hash[=\s]\s*(sha(?:256|384|512):[0-9a-f]+)")
_INDEX: Final = re.compile(r"(?:-i|--index-url|--extra-index-url|-f|--find-links)(?:\s+|=)(\S+)")
_VIA: Final = re.compile(r"#\s+(?:via\s+)?(-r |-c |.*\(.*(?:pyproject\.toml|setup\.(?:py|cfg))\))")


def uv_lock(content: str, _manifest: str | None, *, every: bool) -> list[Library]:
    """Of `uv.lock`; direct are the dependencies of the workspace's members, of extras and groups too."""
    packages = tables(tomllib.loads(content).get("package"))
    direct: set[tuple[str, str]] = set()
    for package in packages:
        if not {"virtual", "editable", "directory"} & table(package.get("source")).keys():
            continue
        groups = [package.get("dependencies")]
        groups += table(package.get("optional-dependencies")).values()
        groups += table(package.get("dev-dependencies")).values()
        for dependency in (one for group in groups for one in tables(group)):
            # A version is named where the lock file has several.
            direct.add((text(dependency.get("name")), text(dependency.get("version"))))
    found: list[Library] = []
    for package in packages:
        name, version, source = text(package.get("name")), text(package.get("version")), table(package.get("source"))
        if "registry" not in source or not (every or {(name, version), (name, "")} & direct):
            continue
        files = [table(package.get("sdist")), *tables(package.get("wheels"))]
        origin = origin_of(text(source["registry"]), PUBLIC)
        found.append(Library("pypi", pypi_name(name), version, _hashes(file.get("hash") for file in files), origin))
    return found


def poetry_lock(content: str, manifest: str | None, *, every: bool) -> list[Library]:
    """Of `poetry.lock` and `pdm.lock`; direct is what the `pyproject.toml` beside names."""
    locked = tomllib.loads(content)
    direct = None if every else _of_pyproject(manifest)
    elsewhere = table(table(locked.get("metadata")).get("files"))  # where older versions of both put the hashes
    found: list[Library] = []
    for package in tables(locked.get("package")):
        name, source = text(package.get("name")), table(package.get("source"))
        if direct is not None and pypi_name(name) not in direct:
            continue
        if text(source.get("type")) not in ("", "legacy") or {"git", "path", "url"} & package.keys():
            continue
        files = tables(package.get("files")) or tables(elsewhere.get(name))
        files = files or tables(elsewhere.get(f"{name} {package.get('version')}"))
        origin = origin_of(text(source.get("url")), PUBLIC)
        hashes = _hashes(file.get("hash") for file in files)
        found.append(Library("pypi", pypi_name(name), text(package.get("version")), hashes, origin))
    return found


def pipfile_lock(content: str, manifest: str | None, *, every: bool) -> list[Library]:
    """Of `Pipfile.lock`; direct is what the `Pipfile` beside names."""
    locked = table(json.loads(content))
    direct: set[str] | None = None
    if manifest is not None and not every:
        named = tomllib.loads(manifest)
        direct = {pypi_name(name) for part in ("packages", "dev-packages") for name in table(named.get(part))}
    sources = {
        text(source.get("name")): text(source.get("url"))
        for source in tables(table(locked.get("_meta")).get("sources"))
    }
    found: list[Library] = []
    for name, package in (one for part in ("default", "develop") for one in each(locked.get(part))):
        version = text(package.get("version")).removeprefix("==")
        if version and (direct is None or pypi_name(name) in direct):
            # Without a name, all sources were asked: a public one counts only where it is alone.
            named_source = sources.get(text(package.get("index")))
            asked = [named_source] if named_source else list(sources.values())
            origins = [origin for url in asked if (origin := origin_of(url, PUBLIC))]
            hashes = _hashes(texts(package.get("hashes")))
            found.append(Library("pypi", pypi_name(name), version, hashes, origins[0] if origins else ""))
    return found


def requirements(content: str, _manifest: str | None, *, every: bool) -> list[Library]:
    """The pins of a `requirements.txt`; direct are those of which its comments, if any, don't say `via` another."""
    lines = content.replace("\\\n", " ").splitlines()
    # Any index but the public one may have what is not public: no other name is then asked for there.
    origins = [origin for line in lines for place in _INDEX.findall(line) if (origin := origin_of(place, PUBLIC))]
    found: list[tuple[Library, bool]] = []
    commented = False
    for library, comments in _pins(lines, origins[0] if origins else ""):
        via = [comment for comment in comments if comment.strip("# ")]
        commented = commented or any("via" in comment for comment in via)
        found.append((library, any(_VIA.match(comment) for comment in via)))
    return [library for library, is_direct in found if every or is_direct or not commented]


def _pins(lines: list[str], origin: str) -> Iterator[tuple[Library, list[str]]]:
    """Each pin with the comments behind and below it."""
    library: Library | None = None
    comments: list[str] = []
    for line in [*lines, "end"]:
        stripped = line.strip()
        if stripped.startswith("#"):
            comments.append(stripped)
            continue
        if not stripped:
            continue
        if library is not None:
            yield library, comments
        requirement, mark, comment = stripped.partition(" #")
        pin = _PIN.match(requirement.partition(" --")[0].strip())
        hashes = _hashes(_HASH.findall(requirement))
        library = None if pin is None else Library("pypi", pypi_name(pin[1]), pin[2], hashes, origin)
        comments = [f"#{comment}"] if mark else []


def _of_pyproject(manifest: str | None) -> set[str] | None:
    """Names of what a `pyproject.toml` needs, of extras and groups too; None where it can't be told."""
    if manifest is None:
        return None
    told = tomllib.loads(manifest)
    project, tool = table(told.get("project")), table(told.get("tool"))
    poetry, pdm = table(tool.get("poetry")), table(tool.get("pdm"))
    listed: list[object] = [project.get("dependencies"), *table(project.get("optional-dependencies")).values()]
    listed += [*table(told.get("dependency-groups")).values(), *table(pdm.get("dev-dependencies")).values()]
    named = [found[1] for group in listed for one in texts(group) if (found := _REQUIREMENT.match(one))]
    keyed: list[object] = [poetry.get("dependencies"), poetry.get("dev-dependencies")]
    keyed += [group.get("dependencies") for _, group in each(poetry.get("group"))]
    named += [name for group in keyed for name in table(group)]
    return {pypi_name(name) for name in named}


def _hashes(values: Iterable[Any]) -> list[str]:
    return sorted({value for value in values if isinstance(value, str) and re.fullmatch(r"sha\d+:[0-9a-f]+", value)})
