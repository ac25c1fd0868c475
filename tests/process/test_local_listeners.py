"""`serx listeners` beside a running `serx up`: the example of the documentation, with more events than it acts on."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.installation import Installation, installed
from tests.support.servers import until

pytestmark = pytest.mark.timeout(240)

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/consumer.py"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    async with installed(tmp_path_factory.mktemp("listeners")) as running:
        yield running


async def serx(*arguments: str, folder: Path, command: str = "listeners") -> tuple[int, str]:
    """The command's status, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", command, *arguments, "--data-dir", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode().strip()


def invoiced(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("select 1 from sqlite_master where name = 'invoices'").fetchall():
            return set()
        return {row[0] for row in database.execute("select proposal from invoices")}


async def test_the_example_runs_on_a_listener_of_the_local_installation(installation: Installation, tmp_path: Path):
    status, url = await serx("add", "billing", "--hears", "proposal.signed,order.*", folder=installation.folder)
    assert status == 0, url
    assert await serx("list", folder=installation.folder) == (0, f"billing hears proposal.signed, order.*: {url}")
    proposal = await installation.sent_proposal()
    assert (await installation.sign(proposal)).status_code == 200
    invoices = tmp_path / "invoices.db"
    example = await asyncio.create_subprocess_exec(sys.executable, str(EXAMPLE), url, str(invoices))
    try:
        await until(lambda: invoices.exists() and proposal in invoiced(invoices), within_seconds=30)
        assert example.returncode is None
    finally:
        example.kill()
        await example.wait()
    assert await shown(installation.folder) == {"billing": ["order.*", "proposal.signed"]}
    assert "billing (listener)" in (await serx(folder=installation.folder, command="status"))[1]
    assert await serx("remove", "billing", folder=installation.folder) == (0, "billing is no listener any more.")
    assert await serx("list", folder=installation.folder) == (0, "Nobody listens.")
    assert await shown(installation.folder) == {}


async def shown(folder: Path) -> dict[str, list[str]]:
    """Who listens to what, as `serx status` shows it."""
    _, told = await serx("--json", folder=folder, command="status")
    listeners = [each for stream in json.loads(told)["broker"]["streams"] for each in stream["listeners"]]
    return {each["name"]: each["hears"] for each in listeners}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "Billing", "--hears", "order.*"), "is no name of a listener"),
        (("add", "billing", "--hears", "order.forgotten"), "There is no event 'order.forgotten'"),
        (("add", "billing", "--hears", ","), "is to hear nothing"),
        (("remove", "nobody"), "There is no listener 'nobody'"),
    ],
)
async def test_a_listener_that_cannot_be_is_refused(installation: Installation, arguments: tuple[str, ...], words: str):
    status, said = await serx(*arguments, folder=installation.folder)
    assert status == 1
    assert words in said
    assert "Traceback" not in said


async def test_where_nothing_runs_that_is_said(tmp_path: Path):
    status, said = await serx("add", "billing", "--hears", "order.*", folder=tmp_path)
    assert (status, said.partition(";")[0]) == (1, f"No `serx up` is serving from {tmp_path}")
