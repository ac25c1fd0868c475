"""`serx up` on a folder that was damaged in a way that only shows once things run.

What is seen before anything is launched: `tests/unit/test_damaged_folders.py`; the broker's store:
`tests/component/test_damaged_broker.py`.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.damage import GARBAGE, Damage, changed, in_its_place, overwritten, removed, running
from tests.support.installation import installed
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(240)

WITHIN_SECONDS = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """The folder of an installation that has served, and was stopped. Every test leaves it whole."""
    root = tmp_path_factory.mktemp("whole")
    async with installed(root):
        pass
    yield root / "data"


@contextmanager
def kept(path: Path) -> Iterator[None]:
    """Whatever the block does to the file, afterwards it is what it was."""
    saved = path.with_name(path.name + ".saved")
    shutil.move(path, saved)
    shutil.copy2(saved, path)
    shutil.chown(path, saved.stat().st_uid, saved.stat().st_gid)
    try:
        yield
    finally:
        removed(path.name)(path.parent)
        shutil.move(saved, path)


async def refused(folder: Path) -> str:
    """What `serx up` says at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", "up", "--data-dir", str(folder), "--port", str(free_port())),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), WITHIN_SECONDS)
    except TimeoutError:
        process.terminate()
        await process.wait()
        raise
    assert process.returncode == 1, (output + errors).decode()
    assert b"Traceback" not in errors, errors.decode()
    assert b"Ready after" not in output
    assert not running(folder)
    return errors.decode()


CASES: dict[str, tuple[str, Damage, str]] = {
    "nats.conf: a folder": ("nats/nats.conf", in_its_place("nats/nats.conf", a_folder=True), "nats.conf"),
    "a log: a folder": ("logs/orders.log", in_its_place("logs/orders.log", a_folder=True), "orders.log"),
    "secrets.json: another password": (
        "secrets.json",
        changed("secrets.json", postgres__admin="x" * 43),
        "are not those of its database; restore that file",
    ),
    "pg_control: garbage": (
        "postgres/global/pg_control",
        overwritten("postgres/global/pg_control", GARBAGE * 8),
        "postgres cannot start",
    ),
    "the broker's store: garbage": (
        "nats/jetstream/$G/streams/EVENTS/meta.inf",
        overwritten("nats/jetstream/$G/streams/EVENTS/meta.inf", GARBAGE),
        "The broker's store is damaged",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="what still runs is looked for in /proc")
@pytest.mark.parametrize("case", CASES)
async def test_a_damaged_folder_is_refused_in_one_sentence(folder: Path, case: str):
    file, damage, words = CASES[case]
    with kept(folder / file):
        damage(folder)
        said = await refused(folder)
    assert words in said.splitlines()[0], said
    assert all(line.startswith("  ") for line in said.splitlines()[1:]), said


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(removed("nats", "processes.json", "postgres/postmaster.pid"), id="nats, processes.json"),
        pytest.param(removed("ports.json", "logs"), id="ports.json, logs"),
        pytest.param(overwritten("postgres/postmaster.pid", GARBAGE), id="postmaster.pid: garbage"),
    ],
)
async def test_what_can_be_made_again_is_missed_by_nobody(folder: Path, damage: Damage):
    damage(folder)
    async with installed(folder.parent) as installation:
        assert (await installation.sign(await installation.sent_proposal())).status_code == 200
