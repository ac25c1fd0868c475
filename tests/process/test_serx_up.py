"""`serx up` as its user meets it: a terminal, a folder, processes that are killed, Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.local.leftovers import birth
from tests.support.servers import until

pytestmark = pytest.mark.timeout(240)

START_SECONDS = 60.0
NAMES = ("gateway", "identity", "proposals", "engagements", "conversations", "orders", "postgres", "nats")


class Up:
    """One run of `serx up` on a folder."""

    def __init__(self, folder: Path, bytecode: Path) -> None:
        self.folder = folder
        # One for all: to compile everything anew for each folder would take longer than the tests.
        self._environment = os.environ | {"PYTHONPYCACHEPREFIX": str(bytecode)}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.output = folder.with_suffix(".out")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str) -> None:
        with self.output.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "deploy.cli", "up", "--data-dir", str(self.folder), "--port", "0", *options),
                env=self._environment,
                stdout=output,
                stderr=output,
            )

    async def ready(self) -> dict[str, Any]:
        path = self.folder / "ready.json"
        await until(lambda: path.exists() or self.ended, within_seconds=START_SECONDS)
        assert path.exists(), self.said
        return self.now()

    def now(self) -> dict[str, Any]:
        return json.loads((self.folder / "ready.json").read_bytes())

    @property
    def is_started(self) -> bool:
        return self._process is not None

    @property
    def ended(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    async def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        if not self.ended:
            self._process.send_signal(number)
        return await asyncio.wait_for(self._process.wait(), 60)


@pytest_asyncio.fixture
async def up(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Callable[[str], Up]]:
    runs: list[Up] = []

    def run(name: str) -> Up:
        runs.append(Up(tmp_path / name, tmp_path_factory.getbasetemp() / "bytecode"))
        return runs[-1]

    yield run
    for each in runs:
        await each.end(signal.SIGTERM)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kept(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    run = Up(tmp_path_factory.mktemp("kept") / "data", tmp_path_factory.getbasetemp() / "bytecode")
    yield run
    if run.is_started:
        await run.end(signal.SIGTERM)


@pytest_asyncio.fixture
async def running(kept: Up) -> Up:
    """One that serves, without the demo, whatever became of it in the test before."""
    if not kept.is_started or kept.ended:
        (kept.folder / "ready.json").unlink(missing_ok=True)
        await kept.start("--no-demo")
    await kept.ready()
    return kept


def born(told: dict[str, Any]) -> dict[str, str]:
    return {name: birth(running["pid"]) for name, running in told["services"].items()}


async def test_the_first_start_walks_a_proposal_through_and_the_second_finds_it_again(up: Callable[[str], Up]) -> None:
    run = up("data")
    await run.start()
    first = await run.ready()
    assert "One signature made this" in run.said
    assert await run.end(signal.SIGINT) == 0
    assert not any(born(first).values())
    assert not (run.folder / "ready.json").exists()

    await run.start()
    second = await run.ready()
    assert second["demo"] == first["demo"]
    await until(lambda: "Ctrl-C stops" in run.said)
    token = {"Authorization": f"Bearer {second['demo']['admin_token']}"}
    async with httpx.AsyncClient(base_url=second["gateway_url"], headers=token) as client:
        proposals = (await client.get("/api/proposals")).json()
    assert [proposal["status"] for proposal in proposals["data"]] == ["Signed", "Signed"]


async def test_whatever_is_killed_is_back_and_the_rest_goes_on(running: Up) -> None:
    run, before = running, running.now()
    for name in NAMES:
        pid = run.now()["services"][name]["pid"]
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await until(lambda name=name: run.said.count(f"{name} is ready again") == 1, within_seconds=20)
        assert time.monotonic() - killed_at < 10
        assert run.now()["services"][name]["pid"] != pid
        assert run.now()["services"][name]["url"] == before["services"][name]["url"]
    assert all(run.said.count(f"{name} was ended by SIGKILL") == 1 for name in NAMES)


async def test_nothing_outlives_a_supervisor_that_is_killed(running: Up) -> None:
    run, told = running, running.now()
    await run.end(signal.SIGKILL)
    await until(lambda: not any(born(told).values()))

    (run.folder / "ready.json").unlink()
    await run.start("--no-demo")
    await run.ready()


async def test_two_do_not_disturb_each_other_and_none_shares_a_folder(running: Up, up: Callable[[str], Up]) -> None:
    one, other, intruder = running, up("other"), up(str(running.folder))
    await other.start("--no-demo")
    first, second = one.now(), await other.ready()
    assert not {r["url"] for r in first["services"].values()} & {r["url"] for r in second["services"].values()}

    intruder.output = intruder.output.with_name("intruder.out")
    await intruder.start("--no-demo")
    assert await intruder.end(signal.SIGCONT) == 1
    assert intruder.said == f"Another `serx up` (pid {first['pid']}) is using the data folder {one.folder}.\n"
    assert await one.end(signal.SIGTERM) == 0
    assert all(born(second).values())
