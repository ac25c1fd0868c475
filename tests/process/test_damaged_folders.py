"""`serx up` on a folder that was damaged: one sentence in seconds, status 1, nothing left running."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.installation import free_port, installed

pytestmark = pytest.mark.timeout(240)

WITHIN_SECONDS = 30.0
GARBAGE = bytes(range(256)) * 4
Damage = Callable[[Path], object]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """The folder of an installation that has served, and was stopped."""
    root = tmp_path_factory.mktemp("whole")
    async with installed(root):
        pass
    yield root / "data"


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(whole, copy, ignore=shutil.ignore_patterns("bytecode"))
    for path in (copy / "postgres", *(copy / "postgres").rglob("*")):
        shutil.chown(path, (whole / "postgres").stat().st_uid, (whole / "postgres").stat().st_gid)
    return copy


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


def running(folder: Path) -> list[str]:
    """What was launched for the folder and still runs."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"RUN_BY_SERX_UP_IN={folder}".encode() in path.read_bytes().split(b"\0"):
                found.append((path.parent / "comm").read_text().strip())
        except OSError:
            continue
    return found


def changed(name: str, change: Callable[[dict[str, object]], object]) -> Damage:
    def damage(folder: Path) -> None:
        values = json.loads((folder / name).read_bytes())
        change(values)
        (folder / name).write_text(json.dumps(values))

    return damage


def overwritten(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def in_its_place(name: str, *, a_folder: bool) -> Damage:
    """The other kind of thing under this name."""

    def damage(folder: Path) -> None:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        (path.mkdir if a_folder else path.touch)()
        if a_folder:
            (path / "something").touch()

    return damage


NUMBERS = (0, -1, 65536, 10**12)
CONTENTS = {"empty": b"", "cut": b'{"postgres', "garbage": GARBAGE, "a list": b"[]", "another shape": b'{"a": {}}'}
CASES: dict[str, tuple[Damage, str]] = {
    **{
        f"{name}: {kind}": (overwritten(name, content), f"{name} is damaged")
        for name in ("serx.json", "secrets.json", "ports.json", "processes.json", "demo.json")
        for kind, content in CONTENTS.items()
    },
    **{
        f"ports.json: {number}": (changed("ports.json", lambda it, n=number: it.update(nats=n)), f"the number {number}")
        for number in NUMBERS
    },
    **{
        f"{name}: a folder": (in_its_place(name, a_folder=True), name) for name in ("lock", "serx.json", "secrets.json")
    },
    **{f"{name}: a folder": (in_its_place(name, a_folder=True), name) for name in ("ports.json", "demo.json")},
    **{f"{name}: a folder": (in_its_place(name, a_folder=True), name) for name in ("ready.json", "processes.json")},
    **{f"{name}: a file": (in_its_place(name, a_folder=False), name) for name in ("logs", "nats", "postgres")},
    "nats.conf: a folder": (in_its_place("nats/nats.conf", a_folder=True), "nats.conf"),
    "a log: a folder": (in_its_place("logs/orders.log", a_folder=True), "orders.log"),
    "secrets.json: another password": (
        changed("secrets.json", lambda it: it.update({"postgres.admin": "x" * 43})),
        "are not those of its database; restore that file",
    ),
    "secrets.json: no password": (changed("secrets.json", lambda it: it.pop("postgres.admin")), "lacks postgres.admin"),
    "secrets.json: a password that is none": (
        changed("secrets.json", lambda it: it.update({"database.orders": "p@ss"})),
        "database.orders is no secret of ours",
    ),
    "secrets.json: a key that is none": (
        changed("secrets.json", lambda it: it.update({"nkey.orders": "S" * 58})),
        "nkey.orders is no secret of ours",
    ),
    "secrets.json: gone": (lambda folder: (folder / "secrets.json").unlink(), "The passwords of the data folder are"),
    "postgres: gone": (lambda folder: shutil.rmtree(folder / "postgres"), "The database of the data folder is gone"),
    "postgres and demo.json: gone": (
        lambda folder: (shutil.rmtree(folder / "postgres"), (folder / "demo.json").unlink()),
        "The database of the data folder is gone",
    ),
    "postgres: gone, of an older version": (
        lambda folder: (
            shutil.rmtree(folder / "postgres"),
            changed("serx.json", lambda it: it.pop("has_database"))(folder),
        ),
        "The database of the data folder is gone",
    ),
    "PG_VERSION: garbage": (overwritten("postgres/PG_VERSION", GARBAGE), "PG_VERSION holds no version"),
    "PG_VERSION: gone": (lambda folder: (folder / "postgres/PG_VERSION").unlink(), "is incomplete"),
    "pg_control: garbage": (overwritten("postgres/global/pg_control", GARBAGE * 8), "postgres cannot start"),
    "pg_control: gone": (lambda folder: (folder / "postgres/global/pg_control").unlink(), "is incomplete"),
    "serx.json: another version": (changed("serx.json", lambda it: it.update(layout=2)), "another version of serx"),
    **{
        f"the broker's {file}: {kind}": (
            overwritten(f"nats/jetstream/$G/streams/{file}", content),
            "The broker's store is damaged",
        )
        for file in ("EVENTS/meta.inf", "EVENTS/meta.sum", "COMMANDS/meta.inf", "EVENTS/obs/orders/meta.inf")
        for kind, content in (("garbage", GARBAGE), ("empty", b""))
    },
    "the broker's o.dat: garbage": (
        overwritten("nats/jetstream/$G/streams/COMMANDS/obs/orders/o.dat", GARBAGE),
        "The broker's store is damaged",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="what still runs is looked for in /proc")
@pytest.mark.parametrize("case", CASES)
async def test_a_damaged_folder_is_refused_in_one_sentence(folder: Path, case: str):
    damage, words = CASES[case]
    damage(folder)
    said = await refused(folder)
    assert words in said.splitlines()[0], said
    assert all(line.startswith("  ") for line in said.splitlines()[1:]), said


@pytest.mark.parametrize("gone", ["nats", "ports.json", "processes.json", "logs", "postgres/postmaster.pid"])
async def test_what_can_be_made_again_is_missed_by_nobody(folder: Path, gone: str):
    path = folder / gone
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    async with installed(folder.parent) as installation:
        assert (await installation.sign(await installation.sent_proposal())).status_code == 200


async def test_a_number_that_is_no_process_in_postmaster_pid_is_taken_away(folder: Path):
    (folder / "postgres/postmaster.pid").write_bytes(GARBAGE)
    async with installed(folder.parent) as installation:
        assert (await installation.call("GET", "/api/proposals")).status_code == 200
