"""`serx up` on a full disk: what dies is watched all the same, and everything is back soon after there is room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from deploy.local.leftovers import birth
from deploy.local.listening import listener
from deploy.proof.disks import Disk, can_be_made
from tests.support.installation import Installation, installed
from tests.support.servers import until

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not can_be_made(), reason="a disk that can be full is a tmpfs, and to mount one needs root"),
]

SIZE_MIB = 640
RECOVERED_WITHIN_SECONDS = 20.0
"""The longest pause between two attempts is 5 s; the rest is for starting and for a machine that is busy."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    place = tmp_path_factory.mktemp("full") / "disk"
    place.mkdir()
    made = Disk(place, SIZE_MIB)
    made.mount()
    yield made
    made.unmount()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def installation(disk: Disk) -> AsyncIterator[Installation]:
    async with installed(disk.place) as running:
        yield running


def output(disk: Disk) -> Path:
    return disk.place / "output"


def holders(installation: Installation) -> dict[str, int | None]:
    """Who listens where each child should."""
    services = installation.ready["services"]
    return {name: listener(urlsplit(each["url"]).port or 0) for name, each in services.items()}


def is_as_written(installation: Installation) -> bool:
    services = installation.ready["services"]
    return holders(installation) == {name: each["pid"] for name, each in services.items()}


async def all_ready(installation: Installation) -> bool:
    if not is_as_written(installation):
        return False
    signed = await installation.sign(await installation.sent_proposal())
    return signed.status_code in {200, 202}


async def is_signing_possible(installation: Installation) -> bool:
    try:
        return await all_ready(installation)
    except (AssertionError, OSError):
        return False


@pytest.mark.parametrize("name", ["nats", "postgres", "orders", "proposals", "gateway"])
async def test_what_dies_on_a_full_disk_is_watched_and_back_when_there_is_room(
    installation: Installation, disk: Disk, name: str
):
    before = installation.ready["services"][name]
    port = urlsplit(before["url"]).port or 0
    disk.fill()
    try:
        for _ in range(2):  # what follows the first one dies as well
            pid = await until(lambda: listener(port), within_seconds=20)
            installation.kill_pid(pid)
            await installation.dead(pid)
            if name in {"nats", "postgres"}:  # they may not come back before there is room
                break
            await until(lambda pid=pid: listener(port) not in (pid, None), within_seconds=20)
    finally:
        disk.free()
    await until(lambda: is_signing_possible(installation), within_seconds=RECOVERED_WITHIN_SECONDS)
    assert installation.ready["services"][name]["pid"] != before["pid"]
    written = (installation.folder / "processes.json").read_text()
    assert all(f'"pid": {pid}' in written for pid in holders(installation).values())


async def test_a_full_disk_alone_ends_nothing_of_ours_and_all_signatures_settle(installation: Installation, disk: Disk):
    proposals = [await installation.sent_proposal() for _ in range(5)]
    disk.fill()
    try:
        answers = await asyncio.gather(*(installation.sign(each) for each in proposals))
    finally:
        disk.free()
    assert {answer.status_code for answer in answers} <= {200, 202, 503}, [answer.text for answer in answers]
    await until(lambda: is_signing_possible(installation), within_seconds=RECOVERED_WITHIN_SECONDS)
    for each in proposals:
        assert (await installation.sign(each)).status_code in {200, 202, 409}
        await installation.signed(each)
    for service in ("identity", "proposals", "engagements", "conversations", "orders"):
        await until(lambda service=service: _published(installation, service), within_seconds=30)


async def _published(installation: Installation, service: str) -> bool:
    return not (await installation.rows(service, "select from outbox where published_at is null limit 1"))


async def test_what_was_said_meanwhile_is_bounded_and_nothing_is_left_at_the_end(
    installation: Installation, disk: Disk
):
    pids = {name: each["pid"] for name, each in installation.ready["services"].items()}
    assert len((disk.place / "output").read_text(errors="replace").splitlines()) < 300
    installation.process.terminate()
    assert await asyncio.wait_for(installation.process.wait(), 60) == 0
    assert not [name for name, pid in pids.items() if birth(pid)]
