"""Children that die, and what is done and said about it. The programs are real, small ones."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from deploy.failure import Failure
from deploy.local import leftovers
from deploy.local.child import Recipe
from deploy.local.folder import DataFolder
from deploy.local.launcher import Launcher
from deploy.local.listening import listener
from deploy.local.log import Log
from deploy.local.supervisor import Supervisor
from tests.support.ports import free_port
from tests.support.servers import until

LIVES = "import signal; print('here', flush=True); signal.pause()"
LISTENS = """
import signal, socket, sys
door = socket.socket()
door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
door.bind(("127.0.0.1", int(sys.argv[1])))
door.listen()
signal.pause()
"""
HOW_IT_RUNS = """
import os, subprocess, sys
print(os.sched_getscheduler(0) == os.SCHED_BATCH, open('/proc/self/timerslack_ns').read().strip(), flush=True)
if sys.argv[1:]:
    sys.exit(subprocess.call([sys.executable, '-c', sys.argv[1]]))
"""
DIES = 'import sys; print(\'{"event": "no luck today"}\'); sys.exit(3)'


class Watched:
    """A supervisor over small programs, and what it said."""

    def __init__(self, root: Path) -> None:
        self.folder = DataFolder(root)
        self.folder.logs.mkdir()
        self.said: list[str] = []
        self.came_back = asyncio.Event()
        self.supervisor = Supervisor(
            self.folder, tell=self.said.append, changed=lambda: None, came_back=self.came_back.set
        )

    def recipe(self, name: str, program: Callable[[], str]) -> Recipe:
        launcher = Launcher(os.environ, Log(self.folder.log("standby")))
        written: list[Log] = []

        async def launch(log: Log) -> asyncio.subprocess.Process:
            written[:] = [log]
            return await launcher.program((sys.executable, "-u", "-c", program()), os.environ, log, dies_with_us=True)

        async def said_so() -> bool:
            return written[0].last_line() == "here"

        return Recipe(name=name, launch=launch, ready=said_so)


@pytest_asyncio.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    made = Watched(tmp_path)
    yield made
    await made.supervisor.stop()


async def test_what_is_killed_is_started_again_and_said_so(watched: Watched) -> None:
    await watched.supervisor.start(watched.recipe("orders", lambda: LIVES))
    first = watched.supervisor.pids["orders"]
    os.kill(first, signal.SIGKILL)
    await asyncio.wait_for(watched.came_back.wait(), 10)
    assert watched.supervisor.pids["orders"] != first
    assert watched.said[0] == "orders was ended by SIGKILL; starting it again"


async def test_what_says_that_only_a_new_start_helps_is_started_again(watched: Watched, tmp_path: Path) -> None:
    sick = tmp_path / "sick"

    async def is_sick() -> bool:
        return sick.exists()

    await watched.supervisor.start(replace(watched.recipe("nats", lambda: LIVES), is_sick=is_sick))
    first = watched.supervisor.pids["nats"]
    sick.touch()
    await asyncio.wait_for(watched.came_back.wait(), 10)
    sick.unlink()
    assert watched.supervisor.pids["nats"] != first
    assert watched.said[:2] == [
        "nats says that it is not well; ending it",
        "nats was ended by SIGKILL; starting it again",
    ]


async def test_what_cannot_start_is_told_with_its_last_words(watched: Watched) -> None:
    with pytest.raises(
        Failure, match=r"orders cannot start: it ended with status 3; its log is .*orders.log"
    ) as failure:
        await watched.supervisor.start(watched.recipe("orders", lambda: DIES))
    assert "no luck today" in failure.value.evidence[-1]


async def test_what_dies_again_and_again_is_started_ever_more_slowly(watched: Watched) -> None:
    programs = iter([LIVES, DIES, DIES, DIES, DIES, DIES])
    await watched.supervisor.start(watched.recipe("orders", lambda: next(programs, LIVES)))
    os.kill(watched.supervisor.pids["orders"], signal.SIGTERM)
    await asyncio.wait_for(watched.came_back.wait(), 20)
    complaints = [line for line in watched.said if "again and again" in line]
    assert complaints == [
        "orders ended with status 3 again and again; trying again in 0.1 s: no luck today",
        "orders ended with status 3 again and again; trying again in 0.2 s: no luck today",
        "orders ended with status 3 again and again; trying again in 0.4 s: no luck today",
        "orders ended with status 3 again and again; trying again in 0.8 s: no luck today",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such scheduling elsewhere")
@pytest.mark.parametrize(("may_interrupt", "dies_with_us"), [(False, True), (False, False), (True, True)])
async def test_programs_and_what_they_start_take_turns_unless_they_may_interrupt(
    tmp_path: Path, *, may_interrupt: bool, dies_with_us: bool
) -> None:
    log = Log(tmp_path / "log")
    command = (sys.executable, "-c", HOW_IT_RUNS, HOW_IT_RUNS)
    launcher = Launcher({}, log)
    process = await launcher.program(command, os.environ, log, dies_with_us=dies_with_us, may_interrupt=may_interrupt)
    assert await process.wait() == 0
    assert log.path.read_text().splitlines() == [f"{not may_interrupt} 1000000"] * 2


async def test_nothing_is_left_after_a_stop(watched: Watched) -> None:
    await watched.supervisor.start(watched.recipe("orders", lambda: LIVES))
    pid = watched.supervisor.pids["orders"]
    await watched.supervisor.stop()
    assert not leftovers.birth(pid)
    assert not watched.folder.processes.exists()


async def test_what_an_earlier_run_left_running_is_stopped(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LIVES, stdout=asyncio.subprocess.DEVNULL)
    leftovers.remember(DataFolder(tmp_path), {"orders": process.pid})
    assert await asyncio.to_thread(leftovers.stop, DataFolder(tmp_path)) == ["orders"]
    assert await process.wait() == -signal.SIGTERM


def test_a_stranger_with_an_old_number_is_left_alone(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.processes.write_text(f'{{"orders": {{"pid": {os.getpid()}, "born": "another day"}}}}', encoding="utf-8")
    assert leftovers.stop(folder) == []


def test_a_stale_postmaster_pid_that_is_somebody_else_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n", encoding="ascii")
    leftovers.clear_postmaster_pid(tmp_path)
    assert not (tmp_path / "postmaster.pid").exists()


def test_the_reason_is_the_last_thing_it_said_in_this_life(tmp_path: Path) -> None:
    log = Log(tmp_path / "orders.log")
    log.path.write_text("an old fault\n", encoding="utf-8")
    log.mark()
    assert log.last_line() == "it said nothing"
    with log.opened() as file:
        file.write(b"starting\n2026 [1] FATAL:  lock file exists\n2026 [1] HINT:  Is another one running?\n")
    assert log.last_line() == "lock file exists"


async def test_a_list_that_cannot_be_written_leaves_the_child_watched_and_is_written_later(watched: Watched) -> None:
    in_the_way = watched.folder.processes
    in_the_way.mkdir()  # the list cannot take its place
    await watched.supervisor.start(watched.recipe("orders", lambda: LIVES))
    first = watched.supervisor.pids["orders"]
    os.kill(first, signal.SIGKILL)
    await asyncio.wait_for(watched.came_back.wait(), 10)
    assert not leftovers.birth(first)
    assert sum("cannot be written" in line for line in watched.said) == 1
    in_the_way.rmdir()
    await until(lambda: any("is written again" in line for line in watched.said))
    assert f'"pid": {watched.supervisor.pids["orders"]}' in in_the_way.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="who has a port is seen in Linux's /proc")
async def test_what_was_left_on_the_port_of_a_child_is_ended_before_the_child_is_launched(watched: Watched) -> None:
    launcher = Launcher(os.environ, Log(watched.folder.log("old")), folder=watched.folder.root)
    port = free_port()
    command = (sys.executable, "-u", "-c", LISTENS, str(port))
    orphan = await launcher.program(command, os.environ, Log(watched.folder.log("old")), dies_with_us=True)
    await until(lambda: listener(port) == orphan.pid)
    log = Log(watched.folder.log("orders"))
    recipe = Recipe(
        name="orders",
        launch=lambda _: launcher.program(command, os.environ, log, dies_with_us=True),
        ready=lambda: asyncio.sleep(0, result=True),  # as an answer of anybody's would have it
        port=port,
    )
    await watched.supervisor.start(recipe)
    assert watched.supervisor.pids["orders"] == listener(port)
    assert watched.said[0].endswith(f"(pid {orphan.pid}) had the port of orders; ended it")
    assert await orphan.wait() == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="who has a port is seen in Linux's /proc")
async def test_a_strangers_answer_makes_no_child_ready_and_the_stranger_is_left_alone(watched: Watched) -> None:
    port = free_port()
    stranger = await asyncio.create_subprocess_exec(sys.executable, "-c", LISTENS, str(port))
    await until(lambda: listener(port) == stranger.pid)
    recipe = replace(watched.recipe("orders", lambda: DIES), ready=lambda: asyncio.sleep(0, result=True), port=port)
    with pytest.raises(Failure, match="orders cannot start"):
        await watched.supervisor.start(recipe)
    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="a process is known by its environment in Linux's /proc")
async def test_what_an_earlier_run_left_running_is_found_without_its_list(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    other = Launcher({}, log, folder=tmp_path / "other")
    left = Launcher({}, log, folder=tmp_path)
    orphan = await left.program((sys.executable, "-c", LIVES), os.environ, log, dies_with_us=True)
    others = await other.program((sys.executable, "-c", LIVES), os.environ, log, dies_with_us=True)
    await until(lambda: log.path.read_text().count("here") == 2)
    assert len(await asyncio.to_thread(leftovers.stop, DataFolder(tmp_path))) == 1
    assert await orphan.wait() == -signal.SIGTERM
    assert others.returncode is None
    others.kill()
    await others.wait()


WRITES = """
import os, time
while True:
    os.write(1, b'here\\n' * 80)
    time.sleep(0.01)
"""


async def test_a_log_that_grows_is_rotated_while_its_child_goes_on_writing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("deploy.local.log.KEPT_BYTES", 20_000)
    monkeypatch.setattr("deploy.local.log.LOOK_SECONDS", 0.02)
    await watched.supervisor.start(watched.recipe("orders", lambda: WRITES))
    path = watched.folder.log("orders")
    old = path.with_suffix(".log.old")
    await until(lambda: old.exists() and old.stat().st_size > 20_000)
    pid = watched.supervisor.pids["orders"]
    shrunk = path.stat().st_size
    await until(lambda: path.stat().st_size > shrunk or path.stat().st_size == 0)
    assert path.stat().st_size < 200_000
    assert watched.supervisor.pids["orders"] == pid


def test_a_log_without_room_for_a_copy_is_emptied_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deploy.local.log.shutil.copyfile", full)
    path = tmp_path / "orders.log"
    path.write_text("much")
    Log(path).rotate()
    assert path.read_text() == ""
    assert not path.with_suffix(".log.old").exists()
