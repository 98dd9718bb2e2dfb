"""Lock files name public package hosts only, whatever mirror they were made behind."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]


def test_uv_lock_names_pypi_alone() -> None:
    urls = re.findall(r'https?://[^"\s]+', (ROOT / "python" / "uv.lock").read_text(encoding="utf-8"))
    assert {urlsplit(url).hostname for url in urls} == {"pypi.org", "files.pythonhosted.org"}


def test_the_clients_lock_names_npms_registry_or_none() -> None:
    lock = json.loads((ROOT / "tests" / "clients" / "package-lock.json").read_text(encoding="utf-8"))
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages
    assert all(package["integrity"] for package in packages)
    hosts = {urlsplit(package["resolved"]).hostname for package in packages if "resolved" in package}
    assert hosts <= {"registry.npmjs.org"}
