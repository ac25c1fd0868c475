"""Five databases from backups of different moments and no broker's store: what is wrong is seen, and mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from deploy.local import binaries
from deploy.operators.checking import disagreements
from deploy.operators.mending import mend
from deploy.operators.replicas import REPLICAS, rebuild
from deploy.operators.site import Site
from services.proposals.model.interventions import Intervention
from shared import clock
from shared.ids import new_id
from shared.messaging.topology import SERVICES
from shared.web.actor import Actor
from tests.support.databases import Databases
from tests.support.house import House, standing
from tests.support.servers import NATS_URL, Broker, until

pytestmark = pytest.mark.skipif(bool(NATS_URL), reason="the broker's store is deleted, so it has to be ours")

BY_ADA = Intervention(action="retry", actor="ada", reason="Restored from backups.", at=clock.now())


@pytest_asyncio.fixture(loop_scope="session")
async def house(databases: Databases, broker: Broker, tmp_path) -> AsyncIterator[House]:
    async with standing(databases, broker, tmp_path / "points") as built:
        yield built


class Backups:
    """Dumps of databases, each of its own moment, while everything runs."""

    def __init__(self, databases: Databases, house: House, folder: Path) -> None:
        self._admin = databases.admin_dsn
        self._house = house
        self._folder = folder

    async def take(self, service: str) -> None:
        """By `pg_dump`, as an administrator."""
        place = f"{self._admin.rpartition('/')[0]}/{self._name(service)}"
        await self._run("pg_dump", "--format=custom", f"--file={self._folder / service}", f"--dbname={place}")

    async def restore(self, service: str) -> None:
        """By `pg_restore`, in place of what is there; to be called while the service is away."""
        options = ("--clean", "--if-exists", "--create", "--exit-on-error")
        await self._run("pg_restore", *options, f"--dbname={self._admin}", str(self._folder / service))

    def _name(self, service: str) -> str:
        return urlsplit(self._house.dsns[service]).path.removeprefix("/")

    async def _run(self, program: str, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            binaries.find().postgres.with_name(program), *arguments, stderr=asyncio.subprocess.PIPE
        )
        _, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()


async def signed(house: House, staff: Actor, proposal: str | None = None) -> dict[str, Any]:
    """What the signer is told."""
    answer = await house.sign(staff, proposal or await house.sent(staff, f"{new_id()}@roe.example"), wait_seconds=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def read_back(house: House, staff: Actor, told: dict[str, Any]) -> None:
    """Asserts that what the signer was told is there, as it was told."""
    order = (await house["orders"].call(staff, "GET", f"/api/orders/{told['order']['id']}")).json()
    same = ("id", "number", "price", "user_id", "engagement_id", "metadata")
    assert {name: order[name] for name in same} == {name: told["order"][name] for name in same}
    place = f"/api/engagements/{told['engagement']['id']}"
    engagement = (await house["engagements"].call(staff, "GET", place)).json()
    assert [each["id"] for each in engagement["projects"]] == [each["id"] for each in told["projects"]]
    client = await house["identity"].call(staff, "GET", f"/api/clients/{told['order']['user_id']}")
    assert client.status_code == 200, client.text


async def test_what_backups_of_different_moments_lack_is_made_again_and_what_no_flow_made_is_taken_out(
    house: House, databases: Databases, tmp_path: Path
):
    backups, staff = Backups(databases, house, tmp_path), await house.agency()
    told = [await signed(house, staff)]
    for service in ("orders", "identity"):
        await backups.take(service)
    told.append(await signed(house, staff))
    await backups.take("engagements")
    told.append(await signed(house, staff))
    too_late = await house.sent(staff, f"{new_id()}@roe.example")
    for service in ("conversations", "proposals"):
        await backups.take(service)
    lost = await signed(house, staff, too_late)
    await house.quiet()

    # Everything is lost but the database of engagements, and that one is newer than the flows.
    for service in SERVICES:
        await house.stop(service)
    for service in ("orders", "identity", "conversations", "proposals"):
        await backups.restore(service)
    await house.broker.kill()
    house.broker.forget()
    await house.broker.start()
    for service in SERVICES:
        await house.start(service)

    site = Site(house.dsns, house.broker.operator, "")
    await until(lambda: _sees(site, f"proposal {told[1]['proposal']['id']} is Signed and has no order"))
    assert await _sees(site, f"engagement {lost['engagement']['id']} is there")
    said = await mend(site, BY_ADA)
    steps = sorted((each.service, each.step) for each in said)
    assert steps == [
        ("engagements", "engagement.cancel"),
        ("identity", "client"),
        ("identity", "client"),
        ("orders", "order"),
        ("orders", "order"),
    ]
    await until(lambda: _is_mended(site))
    for replica in REPLICAS:
        await rebuild(site, replica, remove_unknown=True)
    await until(lambda: _agrees(site))
    for each in told:
        await read_back(house, staff, each)
    report = await house.report(staff, told[1]["proposal"]["id"])
    assert {each["by"] for each in report["interventions"]} == {"ada"}
    again = await signed(house, staff, too_late)
    assert again["engagement"]["id"] != lost["engagement"]["id"]
    await read_back(house, staff, again)
    await until(lambda: _agrees(site))


async def test_participants_older_than_the_flows_have_their_engagements_made_again(
    house: House, databases: Databases, tmp_path: Path
):
    backups, staff = Backups(databases, house, tmp_path), await house.agency()
    await backups.take("engagements")
    told = await signed(house, staff)
    await house.quiet()
    await house.stop("engagements")
    await backups.restore("engagements")
    await house.start("engagements")
    site = Site(house.dsns, house.broker.operator, "")
    assert await _sees(site, f"proposal {told['proposal']['id']} is Signed and has no engagement")
    assert [(each.service, each.step) for each in await mend(site, BY_ADA)] == [("engagements", "engagement")]
    await until(lambda: _is_mended(site))
    for replica in REPLICAS:
        await rebuild(site, replica)
    await until(lambda: _agrees(site))
    await read_back(house, staff, told)


async def _sees(site: Site, sentence: str) -> bool:
    return any(each.sentence.startswith(sentence) for each in await disagreements(site))


async def _is_mended(site: Site) -> bool:
    return await mend(site, BY_ADA) == []


async def _agrees(site: Site) -> bool:
    return await disagreements(site) == []
