"""A store of the broker that is damaged: NATS goes on without what it cannot read, and `serx up` does not."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.failure import Failure
from deploy.local import binaries, credentials, nats
from deploy.local.environment import Addresses
from deploy.local.folder import DataFolder, opened
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from deploy.local.ports import reserved
from deploy.local.supervisor import Supervisor
from shared.messaging import stream_keeper
from tests.support.damage import GARBAGE, overwritten

STREAMS = "nats/jetstream/$G/streams"
CASES = {
    **{
        f"{file}: {kind}": (file, content)
        for file in ("EVENTS/meta.inf", "EVENTS/meta.sum", "COMMANDS/meta.inf", "EVENTS/obs/orders/meta.inf")
        for kind, content in (("garbage", GARBAGE), ("empty", b""))
    },
    "o.dat: garbage": ("COMMANDS/obs/orders/o.dat", GARBAGE),
}


@asynccontextmanager
async def broker(root: Path) -> AsyncIterator[Addresses]:
    """The broker of `serx up` on the folder, until the block is left. Raises Failure when it is not brought up."""
    found = binaries.find()
    with opened(root, found.postgres_major) as folder, reserved(folder, 0) as ports:
        secrets = credentials.ensure(folder)
        launcher = Launcher({}, Log(folder.log("launcher")))
        supervisor = Supervisor(folder, tell=print, changed=lambda: None, came_back=lambda: None)
        try:
            await supervisor.start(nats.recipe(launcher, found, folder, ports, secrets))
            yield Addresses(folder, ports, secrets)
        finally:
            await supervisor.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a broker that had all streams and consumers, and was stopped."""
    root = tmp_path_factory.mktemp("whole") / "data"
    async with broker(root) as addresses, stream_keeper.connected(addresses.nats_streams, replicas=1) as keeper:
        assert not (await keeper.look()).refused
    return root


@pytest.mark.parametrize("case", CASES)
async def test_a_damaged_store_is_refused_in_one_sentence(whole: Path, tmp_path: Path, case: str):
    folder = DataFolder(Path(shutil.copytree(whole, tmp_path / "data")))
    file, content = CASES[case]
    assert (folder.root / STREAMS / file).exists()
    overwritten(f"{STREAMS}/{file}", content)(folder.root)
    with pytest.raises(Failure, match=r"The broker's store is damaged; remove the folder .*jetstream") as refused:
        async with broker(folder.root):
            pass
    assert refused.value.evidence
    assert not folder.processes.exists()


async def test_a_whole_store_is_taken(whole: Path, tmp_path: Path):
    folder = Path(shutil.copytree(whole, tmp_path / "data"))
    async with broker(folder) as addresses, stream_keeper.connected(addresses.nats_streams, replicas=1) as keeper:
        assert (await keeper.look()).deeds == ()
