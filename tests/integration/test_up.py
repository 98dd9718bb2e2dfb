"""`bawn up`: everything that it started ends with it, however it or one of them ends."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from bawn.chain.layout import bawn
from support import tiny_gguf
from support.ports import free_port
from support.until import until

pytestmark = pytest.mark.timeout(120)


class Up:
    """A running `bawn up` in a session of its own, as a terminal starts it."""

    def __init__(self, folder: Path) -> None:
        self.ports = [free_port(), free_port(), free_port()]
        self.out = folder / "out"
        repo = folder / "repo"
        repo.mkdir()
        (repo / "wall.py").write_text("def wall():\n    return 'limestone'\n", encoding="utf-8")
        model = tiny_gguf.write(folder / "tiny.gguf", successors=tiny_gguf.ALPHABET)
        named = ("--model", str(model), "--repo", str(repo), "--dir", str(folder / "up"))
        command = bawn("up", "--ports", *map(str, self.ports), *named)
        env = {**os.environ, "BAWN_CONFIG": str(folder / "config"), "BAWN_STATE": str(folder / "state")}
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=env, start_new_session=True)

    @property
    def said(self) -> str:
        return self.out.read_text(encoding="utf-8")

    def pid(self, service: str) -> int:
        found = re.search(rf"^  {service} +pid (\d+)$", self.said, re.MULTILINE)
        assert found is not None, self.said
        return int(found[1])

    @property
    def pids(self) -> list[int]:
        return [self.pid(service) for service in ("model server", "gateway", "bridge")]

    async def ready(self) -> None:
        await until(lambda: "Ready:" in self.said or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.said

    async def all_gone(self, pids: list[int]) -> None:
        def gone(pid: int) -> bool:
            return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

        await until(lambda: all(gone(pid) for pid in pids), 30)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path)
    yield up
    for process in (*psutil.Process(up.process.pid).children(), up.process) if up.process.poll() is None else ():
        process.kill()
    up.process.wait(20)


async def test_ctrl_c_ends_everything(up: Up) -> None:
    await up.ready()
    pids = up.pids
    assert httpx.get(f"http://127.0.0.1:{up.ports[2]}/ready", trust_env=False).status_code == 200
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.process.wait(60) == 0
    await up.all_gone(pids)
    assert "Everything is stopped." in up.said


@pytest.mark.parametrize("service", ["model server", "gateway", "bridge"])
async def test_one_that_is_killed_is_started_again_and_ctrl_c_still_ends_everything(up: Up, service: str) -> None:
    await up.ready()
    killed = up.pid(service)
    children = {child.pid for child in psutil.Process(up.process.pid).children()}
    os.kill(killed, signal.SIGKILL)
    url = f"http://127.0.0.1:{up.ports[2]}/v1/models"
    token = (up.out.parent / "config" / "bridge.token").read_text(encoding="utf-8").strip()

    def serves_again() -> bool:
        try:
            answer = httpx.get(url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=30)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and killed not in up_children()

    def up_children() -> set[int]:
        return {c.pid for c in psutil.Process(up.process.pid).children() if c.status() != psutil.STATUS_ZOMBIE}

    await until(lambda: f"The {service} ended with status -9" in up.said, 30)
    await until(serves_again, 60)
    everybody = list(children | up_children())
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.process.wait(60) == 0
    await up.all_gone(everybody)


async def test_when_up_itself_is_killed_nobody_stays_behind(up: Up) -> None:
    await up.ready()
    pids = up.pids
    up.process.kill()
    await up.all_gone(pids)


async def test_a_port_in_use_is_one_sentence_before_anything_starts(up: Up, tmp_path: Path) -> None:
    await up.ready()
    ports = ("--ports", str(free_port()), str(up.ports[1]), str(free_port()))
    env = {**os.environ, "BAWN_CONFIG": str(tmp_path / "c2"), "BAWN_STATE": str(tmp_path / "s2")}
    run = subprocess.run(bawn("up", *ports), env=env, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert f"Port {up.ports[1]} on 127.0.0.1 is in use" in run.stderr
