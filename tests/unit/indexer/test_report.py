from pathlib import Path

import pytest

from bawn.indexer.report import Places, ReportWriter, delete_other_reports, read_reports
from bawn.indexer.secrets.masking import Finding
from support.canaries import canaries


def _write(index_dir: Path, repo: str, *, finished: bool = True) -> None:
    writer = ReportWriter(index_dir, repo)
    writer.left_out("pic.png", "binary")
    writer.masked("a.py", [Finding("npm-token", 3), Finding("npm-token", 9), Finding("jwt", 4)])
    writer.save(finished=finished)


def test_what_was_left_out_and_masked_is_read_again(tmp_path: Path) -> None:
    _write(tmp_path, "app")
    (report,) = read_reports(tmp_path)
    assert report.repo == "app"
    assert report.left_out == {"pic.png": "binary"}
    assert report.masked == {"a.py": {"npm-token": Places(2, [3, 9]), "jwt": Places(1, [4])}}
    assert report.is_finished


def test_files_keep_their_entries_lose_them_or_get_others(tmp_path: Path) -> None:
    _write(tmp_path, "app")
    writer = ReportWriter(tmp_path, "app")
    writer.unchanged("a.py")
    writer.save(finished=True)
    (report,) = read_reports(tmp_path)
    assert report.left_out == {}
    assert list(report.masked) == ["a.py"]
    writer = ReportWriter(tmp_path, "app")
    writer.masked("a.py", [])
    writer.masked("b.py", [Finding("jwt", 1)])
    writer.save(finished=True)
    (report,) = read_reports(tmp_path)
    assert report.masked == {"b.py": {"jwt": Places(1, [1])}}


def test_before_the_end_a_report_has_the_old_entries_too(tmp_path: Path) -> None:
    _write(tmp_path, "app")
    writer = ReportWriter(tmp_path, "app")
    writer.masked("b.py", [Finding("jwt", 1)])
    writer.save(finished=False)
    (report,) = read_reports(tmp_path)
    assert set(report.masked) == {"a.py", "b.py"}
    assert ReportWriter(tmp_path, "app").is_current


def test_without_a_finished_report_of_these_rules_nothing_is_relied_on(tmp_path: Path) -> None:
    assert not ReportWriter(tmp_path, "app").is_current
    _write(tmp_path, "app", finished=False)
    assert not ReportWriter(tmp_path, "app").is_current
    _write(tmp_path, "app")
    assert ReportWriter(tmp_path, "app").is_current
    (file,) = (tmp_path / "reports").iterdir()
    file.write_bytes(file.read_bytes().replace(b'"version":', b'"version":9'))
    assert not ReportWriter(tmp_path, "app").is_current
    file.write_bytes(b"{")
    assert not ReportWriter(tmp_path, "app").is_current
    assert read_reports(tmp_path) == []


def test_a_token_in_a_path_is_not_told(tmp_path: Path) -> None:
    token = next(canary.value for canary in canaries(1) if canary.rule == "npm-token")
    writer = ReportWriter(tmp_path, "app")
    writer.left_out(f"keys/{token}.txt", "secret_in_path")
    writer.save(finished=True)
    assert read_reports(tmp_path)[0].left_out == {"keys/<masked:npm-token>.txt": "secret_in_path"}


def test_a_report_that_says_the_same_is_not_written_anew(tmp_path: Path) -> None:
    _write(tmp_path, "app")
    (file,) = (tmp_path / "reports").iterdir()
    before = file.stat().st_ino
    _write(tmp_path, "app")
    assert file.stat().st_ino == before


@pytest.mark.parametrize("repo", ["app", "team/app"])
def test_reports_of_other_repositories_are_forgotten_and_those_of_branches_kept(tmp_path: Path, repo: str) -> None:
    for name in (repo, f"{repo}/main", f"{repo}2", "other"):
        _write(tmp_path, name)
    delete_other_reports(tmp_path, [repo])
    assert [report.repo for report in read_reports(tmp_path)] == [repo, f"{repo}/main"]
