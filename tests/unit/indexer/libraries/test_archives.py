"""Archives of packages that do harm, read by the process that reads them; what is kept of those that don't."""

import base64
import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bawn.indexer.cutting import Cutter
from bawn.indexer.libraries import documentation
from bawn.indexer.libraries.archives import MOST_UNPACKED, Archive, Bounds, WrongArchive
from bawn.indexer.libraries.documentation import CHANGES, MOST_BYTES, MOST_FILES, MOST_TYPES, Unpacked
from bawn.indexer.libraries.hashes import is_right
from bawn.indexer.libraries.library import Library
from support.packages import Content, bomb, tar_gz, zip_of

PY, JS = Library("pypi", "p", "1"), Library("npm", "p", "1.0.0")
RUST, GO = Library("cargo", "p", "1.0.0"), Library("go", "example.org/p", "v1.0.0")


@pytest.fixture(scope="module")
def cutter() -> Iterator[Cutter]:
    with Cutter() as cutter:
        yield cutter


def unpacked(cutter: Cutter, folder: Path, archive: bytes, library: Library = PY) -> Unpacked:
    file = folder / "p.archive"
    file.write_bytes(archive)
    return cutter.unpack(file, library)


def kept(archive: bytes, folder: Path, library: Library = PY) -> dict[str, bytes]:
    file = folder / "p.archive"
    file.write_bytes(archive)
    found = documentation.documentation(file, library)
    assert not found.wrong
    return dict(found.files)


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


GOOD = tar_gz({"p-1/README.md": "# P\n"})


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        pytest.param(b"", "is no .tar.gz and no .zip", id="nothing"),
        pytest.param(b"<html>not found</html>", "is no .tar.gz and no .zip", id="a page"),
        pytest.param(GOOD[: len(GOOD) // 2], "is damaged", id="half a .tar.gz"),
        pytest.param(b"\x1f\x8b" + bytes(100), "is damaged", id="the head of a .tar.gz"),
        pytest.param(b"PK\3\4" + bytes(100), "is damaged", id="the head of a .zip"),
        pytest.param(tar_gz({"../evil/README.md": "x"}), "leads out of it", id="a .tar.gz with .. in front"),
        pytest.param(tar_gz({"/etc/README.md": "x"}), "leads out of it", id="a .tar.gz with a path from the root"),
        pytest.param(tar_gz({"p-1/docs/../../../README.md": "x"}), "leads out of it", id="a .tar.gz with .. within"),
        pytest.param(zip_of({"../README.md": "x"}), "leads out of it", id="a .zip with .. in front"),
        pytest.param(zip_of({"p\\..\\README.md": "x"}), "leads out of it", id="a .zip with backslashes"),
    ],
)
def test_an_archive_that_is_none_or_leads_out_is_refused(
    archive: bytes, reason: str, cutter: Cutter, tmp_path: Path
) -> None:
    assert reason in unpacked(cutter, tmp_path, archive).wrong
    # The process goes on, or another took its place.
    assert unpacked(cutter, tmp_path, GOOD) == Unpacked([("README.md", b"# P\n")])


def test_links_devices_and_pipes_are_passed_over(cutter: Cutter, tmp_path: Path) -> None:
    others = [
        link("p-1/docs/passwd.md", tarfile.SYMTYPE, "/etc/passwd"),
        link("p-1/docs/hard.md", tarfile.LNKTYPE, "/etc/passwd"),
        link("p-1/docs/null.md", tarfile.CHRTYPE, ""),
        link("p-1/docs/pipe.md", tarfile.FIFOTYPE, ""),
    ]
    found = unpacked(cutter, tmp_path, tar_gz({"p-1/README.md": "# P\n"}, *others))
    assert found == Unpacked([("README.md", b"# P\n")])
    archive = tmp_path / "links.zip"
    with zipfile.ZipFile(archive, "w") as written:
        info = zipfile.ZipInfo("p-1/docs/passwd.md")
        info.external_attr = 0o120777 << 16
        written.writestr(info, "/etc/passwd")
        written.writestr("p-1/README.md", "# P\n")
    assert unpacked(cutter, tmp_path, archive.read_bytes()) == Unpacked([("README.md", b"# P\n")])


def test_a_bomb_costs_neither_memory_nor_the_run(cutter: Cutter, tmp_path: Path) -> None:
    archive = bomb(MOST_UNPACKED + (8 << 20))
    assert len(archive) < 2_000_000
    assert "unpacks to more than 1024 MiB" in unpacked(cutter, tmp_path, archive).wrong
    lying = bytearray(zip_of({"p-1/README.md": bytes(1 << 20)}))
    at = lying.index(b"PK\1\2") + 24
    lying[at : at + 4] = struct.pack("<I", MOST_UNPACKED + 1)
    assert "unpacks to more than 1024 MiB" in unpacked(cutter, tmp_path, bytes(lying)).wrong
    # A header that says that a name of 900 MB follows.
    huge = link("p-1/x", tarfile.GNUTYPE_LONGNAME, "")
    huge.size = 900 << 20
    wrong = unpacked(cutter, tmp_path, bomb_with(huge)).wrong
    assert "too much memory" in wrong or "damaged" in wrong or "can't be read" in wrong
    assert unpacked(cutter, tmp_path, GOOD).files


def bomb_with(info: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as packed:
        packed.write(info.tobuf())
        for _ in range(info.size >> 20):
            packed.write(bytes(1 << 20))
    return buffer.getvalue()


def test_an_archive_of_very_many_files_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.zip"
    file.write_bytes(zip_of({f"{number}.md": "x" for number in range(11)}))
    with pytest.raises(WrongArchive, match="more than 10 files"):
        list(Archive(file, Bounds(members=10)).members())
    assert len(list(Archive(file, Bounds(members=11)).members())) == 11


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_what_is_no_regular_file_is_refused_where_bounds_are_strict(kind: bytes, tmp_path: Path) -> None:
    file = tmp_path / "p.tar.gz"
    file.write_bytes(tar_gz({"p-1/README.md": "# P\n"}, link("p-1/x", kind, "README.md")))
    with pytest.raises(WrongArchive, match="has 'p-1/x', which is no regular file"):
        list(Archive(file, Bounds(is_strict=True)).members())


def test_an_archive_that_lost_its_last_byte_is_refused_where_bounds_are_strict(tmp_path: Path) -> None:
    file = tmp_path / "p.tar.gz"
    file.write_bytes(GOOD[:-1])
    assert len(list(Archive(file).members())) == 1
    with pytest.raises(WrongArchive, match="is damaged"):
        list(Archive(file, Bounds(is_strict=True)).members())


PROSE = "# Title\n\nSome text.\n"


@pytest.mark.parametrize(
    ("library", "root", "files", "paths"),
    [
        (
            PY,
            "p-1/",
            ["README.rst", "docs/index.rst", "docs/conf.py", "docs/_build/x.html", "docs/api/ref.html", "src/p/x.py"],
            ["README.rst", "docs/index.rst", "docs/api/ref.html"],
        ),
        (
            PY,
            "p-1/",
            ["LICENSE.md", "CONTRIBUTING.md", "UPGRADING.md", "HISTORY.md", "tests/data/x.md", ".github/x.md"],
            ["UPGRADING.md", "HISTORY.md"],
        ),
        (
            PY,
            "p-1/",
            [
                "examples/run.py",
                "examples/data.bin",
                "p.egg-info/SOURCES.txt",
                "requirements.txt",
                "docs/requirements.txt",
            ],
            ["examples/run.py"],
        ),
        (
            JS,
            "package/",
            ["readme.md", "README.zh-CN.md", "README_ja.md", "README.en.md", "lib/a.js"],
            ["readme.md", "README.en.md"],
        ),
        (RUST, "p-1.0.0/", ["README.md", "src/lib.rs", "src/other.rs", "Cargo.toml"], ["README.md", "src/lib.rs"]),
        (
            GO,
            "example.org/p@v1.0.0/",
            ["README.md", "doc.go", "p.go", "example_test.go", "p_test.go", "sub/doc.go", "vendor/x/doc.go"],
            ["README.md", "doc.go", "sub/doc.go", "example_test.go"],
        ),
    ],
)
def test_documentation_is_kept_and_the_rest_is_not(
    library: Library, root: str, files: list[str], paths: list[str], tmp_path: Path
) -> None:
    contents: dict[str, Content] = {f"{root}{path}": PROSE for path in files}
    for archive in (tar_gz(contents), zip_of(contents)):
        assert list(kept(archive, tmp_path, library)) == paths


@pytest.mark.parametrize(
    ("manifest", "types"),
    [
        ('{"types": "./dist/index.d.ts"}', ["dist/index.d.ts", "dist/more.d.ts"]),
        ('{"typings": "dist/index"}', ["dist/index.d.ts", "dist/more.d.ts"]),
        ('{"exports": {".": {"import": {"types": "./dist/index.d.ts"}}}}', ["dist/index.d.ts", "dist/more.d.ts"]),
        ('{"exports": {"types": "./dist/index.d.ts", "default": "./x.js"}}', ["dist/index.d.ts", "dist/more.d.ts"]),
        ('{"types": "../../etc/passwd"}', []),
        ("not json", []),
    ],
)
def test_the_types_that_a_package_of_npm_declares_are_kept(manifest: str, types: list[str], tmp_path: Path) -> None:
    files: dict[str, Content] = {
        "package/package.json": manifest,
        "package/dist/index.d.ts": "/** Infers. */\nexport type Infer<T> = T;\n",
        "package/dist/more.d.ts": "export {};\n",
        "package/dist/index.js": "x",
        "package/other/x.d.ts": "export {};\n",
    }
    assert list(kept(tar_gz(files), tmp_path, JS)) == types


def test_a_wheel_s_readme_is_in_its_metadata(tmp_path: Path) -> None:
    head = "Metadata-Version: 2.1\nName: p\nVersion: 1\nDescription-Content-Type: text/markdown; charset=UTF-8\n"
    wheel = zip_of({"p/__init__.py": "", "p-1.dist-info/METADATA": f"{head}\n# P\n\nWörter.\n"})
    assert kept(wheel, tmp_path) == {"README.md": "# P\n\nWörter.\n".encode()}
    source = tar_gz({"p-1/PKG-INFO": f"{head}\n# Other\n", "p-1/README.md": "# P\n"})
    assert kept(source, tmp_path) == {"README.md": b"# P\n"}
    assert kept(zip_of({"p-1.dist-info/METADATA": "Name: p\nDescription: UNKNOWN text\n"}), tmp_path) == {
        "README.rst": b"UNKNOWN text"
    }


def test_what_is_kept_of_a_library_has_bounds_and_the_readme_comes_first(tmp_path: Path) -> None:
    large = "word " * 50_000
    files: dict[str, Content] = {f"p-1/docs/{number:03}.md": large for number in range(40)}
    files |= {
        "p-1/README.md": large,
        "p-1/docs/huge.md": "x" * ((1 << 20) + 1),
        "p-1/CHANGELOG.md": "- change\n" * 200_000,
    }
    found = kept(tar_gz(files), tmp_path)
    assert next(iter(found)) == "README.md"
    assert "docs/huge.md" not in found
    assert sum(map(len, found.values())) <= MOST_BYTES
    many = kept(zip_of({f"docs/{number}.md": "x" for number in range(MOST_FILES + 50)}), tmp_path)
    assert len(many) == MOST_FILES
    types = {f"package/t/{number}.d.ts": "x" * 200_000 for number in range(10)}
    some = kept(tar_gz({"package/package.json": '{"types": "t/0.d.ts"}', **types}), tmp_path, JS)
    assert 200_000 < sum(map(len, some.values())) <= MOST_TYPES + 200_000
    alone = kept(tar_gz({"p-1/CHANGELOG.md": "- change\n" * 200_000}), tmp_path)["CHANGELOG.md"]
    assert CHANGES - 100 < len(alone) <= CHANGES
    assert alone.endswith(b"- change\n")


def test_a_module_of_go_has_the_hash_that_go_computes(tmp_path: Path, cutter: Cutter) -> None:
    files = {"example.org/p@v1.0.0/README.md": "# P\n", "example.org/p@v1.0.0/go.mod": "module example.org/p\n"}
    lines = [f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(files.items())]
    right = f"h1:{base64.b64encode(hashlib.sha256(''.join(lines).encode()).digest()).decode()}"
    for sums, is_taken in (([right], True), (["h1:AAAA", right], True), (["h1:AAAA"], False), ([], True)):
        found = unpacked(cutter, tmp_path, zip_of(files), Library("go", "example.org/p", "v1.0.0", sums))
        assert bool(found.files) is is_taken
        assert ("its hash is another" in found.wrong) is not is_taken


@pytest.mark.parametrize(
    ("hashes", "right"),
    [
        ([f"sha256:{hashlib.sha256(b'x').hexdigest()}"], True),
        ([f"sha256:{'0' * 64}", f"sha256:{hashlib.sha256(b'x').hexdigest()}"], True),
        ([f"sha512:{hashlib.sha512(b'x').hexdigest()}"], True),
        ([f"sha1:{hashlib.sha1(b'x').hexdigest()}"], True),
        ([f"sha256:{'0' * 64}"], False),
        (["md5:0"], False),
        ([], True),
    ],
)
def test_a_file_is_right_when_one_of_its_hashes_is(hashes: list[str], right: bool, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    assert is_right(tmp_path / "x", hashes) is right
