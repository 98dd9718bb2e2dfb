"""`bawn index bundle` and `bawn index upload` as processes of their own: what a team packs that gives no access."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bawn.search.embedded import EmbeddedIndex
from support.canaries import canaries
from support.documents import docx, paragraph, pdf
from support.indexes import git, repository, write
from support.packages import Content, tar_gz, zip_of

BAWN = [sys.executable, "-c", "from bawn.cli import main; main()"]
TOKEN = next(canary.value for canary in canaries(6) if canary.rule == "github-token")


def bawn(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    argv = [*BAWN, *map(str, arguments)]
    return subprocess.run(argv, check=check, capture_output=True, text=True, timeout=60)


def bundle(place: Path, file: Path, *options: str) -> str:
    return bawn("index", "bundle", place, file, *options).stdout


def upload(file: Path, index_dir: Path, *options: str) -> str:
    return bawn("index", "upload", file, "--index", index_dir, *options).stdout


def indexed(index_dir: Path, name: str, into: str = "code") -> dict[str, list[tuple[object, ...]]]:
    """All that the index has of a repository, by path, but for the blobs of files that were masked or extracted."""
    reader = EmbeddedIndex(index_dir / into)
    return {
        path: [
            (one.text, one.start_line, one.end_line, one.context, one.symbols, one.references, one.kind, one.language)
            for one in reader.file(name, path)
        ]
        for path, _, _ in reader.entries(name)
    }


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        assert all(one.isreg() for one in archive)
        return {one.name: archive.extractfile(one).read() for one in archive}  # pyright: ignore[reportOptionalMemberAccess]


@pytest.fixture
def varied(tmp_path: Path) -> Path:
    """Of each sort of file that is read, or left out, in its own way."""
    app = repository(
        tmp_path / "app",
        {
            "src/store.py": f'import os\n\n\nclass Store:\n    def save(self): ...\n\n\nKEY = "{TOKEN}"\n',
            "src/crlf.js": "function go() {\r\n  return 1\r\n}\r\n",
            "latin.txt": "Grüße, ein Text.\n".encode("latin-1"),
            "latin-secret.txt": f"Grüße\n{TOKEN}\n".encode("latin-1"),
            "utf16.txt": "Grüße in UTF-16.\n".encode("utf-16"),
            "empty.txt": "",
            "guide.pdf": pdf(["Some words", f"token {TOKEN}"]),
            "guide.docx": docx(paragraph("Words of a document.") + paragraph(f"token {TOKEN}")),
            "docs/page.html": f"<!doctype html><title>T</title><main><h1>A page</h1><p>{'Its words. ' * 40}</p></main>",
            "web/page.html": "<!doctype html><title>T</title><main><p>Source.</p></main>",
            ".gitattributes": "gen/* linguist-generated\nsrc/crlf.js -linguist-vendored\n",
            "gen/made.py": "made = 1\n",
            ".bawnignore": "private/\n",
            "private/x.py": "x = 1\n",
            "node_modules/kept/index.js": "module.exports = 1\n",
            "kept.log": "a line\n",
            "img.png": b"\0\1",
            "uv.lock": "version = 1\n",
            "app.min.js": "x",
            "id_rsa": "x",
            ".env": "GREETING=sunshine\n",
            f"{TOKEN}.txt": "x",
            "large.py": "x = 1\n" * 200_000,
            "back\\slash.py": "y = 1\n",
            f"{'deep/' * 30}file.py": "z = 1\n",
            "vendor/dep.go": "package dep\n",
        },
    )
    # Tracked, and ignored none the less.
    write(app, {".gitignore": "*.log\nuntracked\n", "untracked/x.py": "x = 1\n"})
    (app / "link.py").symlink_to("src/store.py")
    git(app, "add", "-A")
    git(app, "commit", "-q", "-m", "second")
    (app / os.fsdecode(b"n\xff.py")).write_text("odd = 1\n", encoding="utf-8")
    return app


@pytest.mark.parametrize("options", [[], ["--branch", "main"], ["--include", "src", "--include", "gen"]])
def test_what_is_packed_is_what_would_be_indexed(varied: Path, tmp_path: Path, options: list[str]) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    bawn("index", "add", varied, *options, "--index", here)
    bawn("index", "run", "--index", here)
    bundle(varied, tmp_path / "app.tar.gz", *options)
    upload(tmp_path / "app.tar.gz", there)
    bawn("index", "run", "--index", there)
    wanted = indexed(here, "app")
    assert len(wanted) > (2 if "--include" in options else 15)
    assert indexed(there, "app") == wanted
    assert TOKEN not in str(wanted)


def test_pages_are_documents_where_they_are_packed_for_an_index_of_documents(varied: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    bawn("index", "add", varied, "--into", "docs", "--index", here)
    bawn("index", "run", "--index", here)
    bundle(varied, tmp_path / "app.tar.gz", "--into", "docs")
    assert "for the index docs" in upload(tmp_path / "app.tar.gz", there)
    bawn("index", "run", "--index", there)
    assert indexed(there, "app", "docs") == indexed(here, "app", "docs")


def test_no_secret_is_in_the_archive_nor_in_the_index(tmp_path: Path) -> None:
    secrets = canaries(11)
    files: dict[str, str | bytes] = {}
    for number, canary in enumerate(secrets):
        name = f"{number}/{canary.path}" if canary.path else f"{number}/notes.txt"
        files[name] = f"{canary.text}\n"
    tokens = [canary for canary in secrets if canary.rule == "github-token"]
    files |= {"a.pdf": pdf([f"see {tokens[0].value}"]), "a.docx": docx(paragraph(f"see {tokens[0].value}"))}
    app = repository(tmp_path / "app", files)
    told = bundle(app, tmp_path / "app.tar.gz", "--all")
    upload(tmp_path / "app.tar.gz", tmp_path / "index")
    bawn("index", "run", "--index", tmp_path / "index")
    raw = gzip.decompress((tmp_path / "app.tar.gz").read_bytes()).decode()
    kept = str(indexed(tmp_path / "index", "app"))
    # Words and short values are in paths and marks of others.
    for piece in (piece for canary in secrets if len(canary.value) >= 16 for piece in canary.pieces):
        assert piece not in raw
        assert piece not in kept
        assert piece not in told
    assert "sunshine" not in raw
    assert "<masked:github-token>" in raw
    assert "masked, github-token" in told


def test_it_is_told_what_was_packed_left_out_and_masked(varied: Path, tmp_path: Path) -> None:
    lines = bundle(varied, tmp_path / "app.tar.gz").splitlines()
    assert "  masked, github-token: 4 places in 4 files" in lines
    assert "    src/store.py:8" in lines
    assert "  left out, ignored: 1, a .bawnignore names it" in lines
    assert "    private/" in lines
    assert "    <masked:github-token>.txt" in lines
    told = json.loads(members(tmp_path / "app.tar.gz")["bawn-bundle.json"])
    assert lines[-1].startswith(f"app: {told['files']} files of main {git(varied, 'rev-parse', 'HEAD')[:12]}, ")
    assert told["format"] == 1
    assert told["masked"]["github-token"] == 4
    assert told["left_out"]["lock_file"] == 1


def test_the_archive_has_a_manifest_and_files_in_order_and_nothing_of_the_machine(varied: Path, tmp_path: Path) -> None:
    bundle(varied, tmp_path / "app.tar.gz")
    with tarfile.open(tmp_path / "app.tar.gz") as archive:
        entries = archive.getmembers()
    names = [one.name for one in entries]
    assert names[0] == "bawn-bundle.json"
    assert names[1:] == sorted(names[1:])
    assert all(name.startswith("files/") for name in names[1:])
    owners = {(one.mtime, one.uid, one.gid, one.uname, one.gname, one.mode) for one in entries}
    assert owners == {(0, 0, 0, "", "", 0o644)}
    assert (tmp_path / "app.tar.gz").stat().st_mode & 0o077 == 0


def test_the_same_folder_gives_the_same_bytes(varied: Path, tmp_path: Path) -> None:
    bundle(varied, tmp_path / "one.tar.gz")
    # Within the folder that is packed: neither it nor what it replaces is part of it.
    inside = varied / "two.tar.gz"
    for _ in range(2):
        bundle(varied, inside, "--force")
        assert inside.read_bytes() == (tmp_path / "one.tar.gz").read_bytes()
    assert [path.name for path in varied.iterdir() if path.name.endswith(".new")] == []


def test_a_file_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    app = repository(tmp_path / "app", {"a.py": "a = 1\n"})
    file = tmp_path / "app.tar.gz"
    file.write_text("mine", encoding="utf-8")
    refused = bawn("index", "bundle", app, file, check=False)
    assert refused.returncode == 2
    assert "is there already" in refused.stderr
    assert file.read_text(encoding="utf-8") == "mine"
    bundle(app, file, "--force")
    assert "files/a.py" in members(file)


@pytest.mark.parametrize(
    ("place", "options", "reason"),
    [
        ("nowhere", [], "is not a folder"),
        ("app", ["--branch", "gone"], "has no branch `gone`"),
        ("app", ["--branch", "*"], "a bundle is of one branch"),
        ("app", ["--name", "no name"], "can't name a repository"),
        ("app", ["--include", "../x"], "include: The path filter must be relative"),
    ],
)
def test_what_can_not_be_packed_is_one_sentence(tmp_path: Path, place: str, options: list[str], reason: str) -> None:
    repository(tmp_path / "app", {"a.py": "a = 1\n"})
    done = bawn("index", "bundle", tmp_path / place, tmp_path / "x.tar.gz", *options, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert reason in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app"]


def test_a_second_upload_replaces_the_first(tmp_path: Path) -> None:
    app = repository(
        tmp_path / "app",
        {"same.py": "same = 1\n", "changed.py": "old = 1\n", "gone.py": "gone = 1\n", "before.py": "moved = 1\n"},
    )
    there = tmp_path / "index"
    bundle(app, tmp_path / "1.tar.gz")
    upload(tmp_path / "1.tar.gz", there, "--name", "team/app")
    bawn("index", "run", "--index", there)
    (app / "gone.py").unlink()
    (app / "before.py").rename(app / "after.py")
    write(app, {"changed.py": "new = 1\n"})
    bundle(app, tmp_path / "2.tar.gz")
    upload(tmp_path / "2.tar.gz", there, "--name", "team/app")
    told = bawn("index", "run", "--index", there).stdout
    assert "team/app: 2 files indexed" in told
    assert "1 unchanged, 2 removed" in told
    found = indexed(there, "team/app")
    assert set(found) == {"same.py", "changed.py", "after.py"}
    assert [chunk[0] for chunk in found["changed.py"]] == ["new = 1"]
    assert [path.name for path in (there / "uploads").iterdir()] == ["team+app"]


def test_an_upload_is_private_to_its_owner(tmp_path: Path) -> None:
    bundle(repository(tmp_path / "app", {"a/b.py": "a = 1\n"}), tmp_path / "app.tar.gz")
    upload(tmp_path / "app.tar.gz", tmp_path / "index")
    below = [*(tmp_path / "index" / "uploads" / "app").rglob("*.py")]
    assert [path.stat().st_mode & 0o077 for path in below] == [0]
    assert (tmp_path / "index" / "uploads" / "app").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_an_upload_by_somebody_else_than_the_index_s_owner_is_refused(tmp_path: Path) -> None:
    bundle(repository(tmp_path / "app", {"a.py": "a = 1\n"}), tmp_path / "app.tar.gz")
    there = tmp_path / "index"
    there.mkdir()
    os.chown(there, 1, 1)
    refused = bawn("index", "upload", tmp_path / "app.tar.gz", "--index", there, check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "run the command as that user" in refused.stderr
    assert not (there / "uploads").exists()


def test_removing_the_repository_removes_what_was_unpacked(tmp_path: Path) -> None:
    there = tmp_path / "index"
    for name in ("app", "other"):
        bundle(repository(tmp_path / name, {"a.py": "a = 1\n"}), tmp_path / f"{name}.tar.gz")
        upload(tmp_path / f"{name}.tar.gz", there)
    bawn("index", "run", "--index", there)
    bawn("index", "remove", "app", "--index", there)
    assert [path.name for path in (there / "uploads").iterdir()] == ["other"]
    bawn("index", "run", "--index", there)
    assert EmbeddedIndex(there / "code").repos() == ["other"]


def test_an_upload_that_a_fleet_names_by_its_folder_keeps_what_the_fleet_says(tmp_path: Path) -> None:
    there = tmp_path / "index"
    bundle(repository(tmp_path / "app", {"a.py": "a = 1\n"}), tmp_path / "app.tar.gz")
    upload(tmp_path / "app.tar.gz", there)
    # As the unit of the indexer does before each run.
    registered = ["index", "add", there / "uploads" / "app", "--name", "app", "--into", "docs", "--branch", "main"]
    bawn(*registered, "--index", there)
    upload(tmp_path / "app.tar.gz", there)
    (row,) = json.loads(bawn("index", "status", "--json", "--index", there).stdout)["repositories"]
    assert row["index"] == "docs"
    assert "app: 1 files indexed" in bawn("index", "run", "--index", there).stdout


def test_a_name_of_something_else_is_refused(tmp_path: Path) -> None:
    there = tmp_path / "index"
    app = repository(tmp_path / "app", {"a.py": "a = 1\n"})
    bundle(app, tmp_path / "app.tar.gz")
    bawn("index", "add", app, "--index", there)
    refused = bawn("index", "upload", tmp_path / "app.tar.gz", "--index", there, check=False)
    assert refused.returncode == 2
    assert f"`app` is already the name of {app}" in refused.stderr
    assert list((there / "uploads").iterdir()) == []


def test_an_upload_that_died_between_its_renames_is_put_back(tmp_path: Path) -> None:
    there = tmp_path / "index"
    bundle(repository(tmp_path / "app", {"a.py": "a = 1\n"}), tmp_path / "app.tar.gz")
    upload(tmp_path / "app.tar.gz", there)
    (there / "uploads" / "app").rename(there / "uploads" / ".app.old")
    (there / "uploads" / ".new").mkdir()
    assert "app: 1 files indexed" in bawn("index", "run", "--index", there).stdout
    assert [path.name for path in (there / "uploads").iterdir()] == ["app"]


MANIFEST: dict[str, Any] = {"format": 1, "rules": 1, "name": "app", "files": 1, "bytes": 6}


def hostile(content: dict[str, Content], /, **said: Any) -> bytes:
    """An archive that begins as a bundle does; `said` is in its manifest."""
    return tar_gz({"bawn-bundle.json": json.dumps(MANIFEST | said), **content})


def entry(name: str, kind: bytes, target: str = "") -> Callable[[], bytes]:
    """A bundle that ends with an entry that is no file."""

    def made() -> bytes:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        whole = gzip.decompress(hostile({}))
        return gzip.compress(whole[: whole.index(bytes(1024))].ljust(1024, b"\0") + info.tobuf() + bytes(10240))

    return made


def header_that_promises(size: int, kind: bytes, name: str = "files/x.py") -> bytes:
    """A bundle whose second entry has so many zeros, or says so."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as packed:
        told = json.dumps(MANIFEST | {"files": 200_000, "bytes": 2 << 30}).encode()
        first = tarfile.TarInfo("bawn-bundle.json")
        first.size = len(told)
        packed.write(first.tobuf() + told.ljust(512, b"\0") + info.tobuf())
        for _ in range(size >> 20):
            packed.write(bytes(1 << 20))
    return buffer.getvalue()


def truncated() -> bytes:
    return (whole := hostile({"files/a.py": "a = 1\n"}))[: len(whole) - 12]


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "dots": (lambda: hostile({"../x": "a = 1\n"}), "leads out of it"),
    "dots within": (lambda: hostile({"files/../../x": "a = 1\n"}), "leads out of it"),
    "absolute": (lambda: hostile({"/tmp/x": "a = 1\n"}), "leads out of it"),
    "symbolic link": (entry("files/x", tarfile.SYMTYPE, "/etc/passwd"), "no regular file"),
    "hard link": (entry("files/x", tarfile.LNKTYPE, "/etc/passwd"), "no regular file"),
    "device": (entry("files/x", tarfile.CHRTYPE), "no regular file"),
    "pipe": (entry("files/x", tarfile.FIFOTYPE), "no regular file"),
    "folder": (entry("files/x", tarfile.DIRTYPE), "no regular file"),
    "git's own": (lambda: hostile({"files/a/.GIT/config": "a = 1\n"}), "which no bundle has"),
    "beside the files": (lambda: hostile({"other/x.py": "a = 1\n"}), "which no bundle has"),
    "empty name": (lambda: hostile({"files//x.py": "a = 1\n"}), "which no bundle has"),
    "twice": (lambda: hostile({"files/a": "a = ", "files/a/b": "1\n"}, files=2), "twice"),
    "no manifest": (lambda: tar_gz({"files/a.py": "a = 1\n"}), "is no bundle"),
    "no JSON": (lambda: tar_gz({"bawn-bundle.json": "{"}), "manifest that can't be read"),
    "other format": (lambda: hostile({"files/a.py": "a = 1\n"}, format=2), "format '2', and this version reads 1"),
    "says too much": (lambda: hostile({"files/a.py": "a = 1\n"}, files=10**9), "manifest that can't be read"),
    "has more": (lambda: hostile({"files/a.py": "a = 1\n", "files/b.py": "b"}), "more in it than"),
    "has less": (lambda: hostile({}), "less in it than"),
    "control characters": (lambda: hostile({"files/a.py": "a = 1\n"}, branch="\x1b[2J"), "can't be read"),
    "bad name": (lambda: hostile({"files/a.py": "a = 1\n"}, name="../app"), "can't name a repository"),
    "large file": (lambda: header_that_promises(64 << 20, tarfile.REGTYPE), "larger than what is indexed"),
    "large header": (lambda: header_that_promises(600 << 20, tarfile.GNUTYPE_LONGNAME), "too much memory"),
    "truncated": (truncated, "is damaged"),
    "nothing": (lambda: b"", "is no .tar.gz"),
    "a page": (lambda: b"<html>not found</html>", "is no .tar.gz"),
    "zip": (lambda: zip_of({"files/a.py": "a = 1\n"}), "is a .zip file"),
}


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index that has an upload."""
    folder = tmp_path_factory.mktemp("taken")
    bundle(repository(folder / "app", {"a.py": "first = 1\n"}), folder / "app.tar.gz")
    upload(folder / "app.tar.gz", folder / "index")
    return folder


@pytest.mark.parametrize("sort", HOSTILE)
def test_a_hostile_archive_is_refused_and_what_is_there_stays(taken: Path, sort: str) -> None:
    made, reason = HOSTILE[sort]
    file = taken / "hostile.tar.gz"
    file.write_bytes(made())
    before = sorted(taken.rglob("*"))
    refused = bawn("index", "upload", file, "--index", taken / "index", check=False)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert reason in refused.stderr
    assert sorted(taken.rglob("*")) == before
    assert (taken / "index/uploads/app/files/a.py").read_text(encoding="utf-8") == "first = 1\n"


def test_an_upload_whose_manifest_is_lost_fails_the_run_by_name(tmp_path: Path) -> None:
    there = tmp_path / "index"
    bundle(repository(tmp_path / "app", {"a.py": "a = 1\n"}), tmp_path / "app.tar.gz")
    upload(tmp_path / "app.tar.gz", there)
    bawn("index", "run", "--index", there)
    (there / "uploads" / "app" / "bawn-bundle.json").unlink()
    done = bawn("index", "run", "--index", there, check=False)
    assert done.returncode == 1
    assert "the upload of `app` is damaged: upload its bundle again" in done.stderr
    assert "a.py" in indexed(there, "app")
