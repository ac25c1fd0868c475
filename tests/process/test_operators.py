"""`serx sagas`, `serx parked`, `serx outbox` at a terminal, on a running `serx up` where a flow does not get on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager
from typing import Any

import asyncpg
import msgspec

from shared.ids import new_id
from tests.support.exactly_once import has_exactly_one_of_everything, nothing_is_left_open
from tests.support.installation import Installation
from tests.support.servers import until


async def serx(installation: Installation, *arguments: str) -> tuple[int, str, str]:
    """Run the command on the installation: its exit status, what it said, what it complained of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.cli", *arguments, "--data-dir", str(installation.folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def told(installation: Installation, *arguments: str) -> Any:
    """What the command answers as JSON."""
    status, output, errors = await serx(installation, *arguments, "--json")
    assert status == 0, errors
    return msgspec.json.decode(output)


@contextmanager
def held(installation: Installation, service: str):
    """The service's process does nothing until the block is left."""
    pid = installation.ready["services"][service]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def report_of(installation: Installation, proposal: str) -> dict[str, Any]:
    return (await installation.call("GET", f"/api/proposals/{proposal}/sign")).json()


async def test_a_flow_that_is_stuck_is_found_shown_and_cancelled_and_the_report_says_who_when_and_why(
    installation: Installation,
):
    proposal = await installation.sent_proposal(client_email=f"{new_id()}@roe.example")
    with held(installation, "orders"):
        accepted = await installation.sign(proposal, prefer="wait=0")
        saga = accepted.json()["saga_id"]

        async def waits_for_orders() -> bool:
            lines = await told(installation, "sagas", "list", "--service", "orders")
            return [(line["saga_id"], line["proposal_id"]) for line in lines] == [(saga, proposal)]

        await until(waits_for_orders, within_seconds=30)
        status, shown, _ = await serx(installation, "sagas", "show", proposal)
        assert status == 0
        assert saga in shown
        status, output, errors = await serx(
            installation, "sagas", "cancel", saga, "--reason", "The client called.", "--as", "ada"
        )
        assert (status, errors) == (0, "")
        assert saga in output

    async def is_undone() -> bool:
        return (await report_of(installation, proposal))["status"] == "rejected"

    await until(is_undone, within_seconds=30)
    (done,) = (await report_of(installation, proposal))["interventions"]
    assert (done["action"], done["by"], done["reason"]) == ("cancel", "ada", "The client called.")
    assert (await installation.call("GET", f"/api/proposals/{proposal}")).json()["status"] == "Sent"
    for command in ("retry", "cancel"):
        status, _, errors = await serx(installation, "sagas", command, saga, "--reason", "Again.")
        assert (status, errors.strip()) == (
            1,
            f"The flow {saga} is rejected: it is over, and nothing can be retried or cancelled.",
        )
    await nothing_is_left_open(installation)


async def test_poison_is_found_and_delivered_again_once_its_cause_is_gone_and_the_flow_completes(
    installation: Installation,
):
    proposal = await installation.sent_proposal(client_email=f"{new_id()}@roe.example")
    dsn = installation.ready["services"]["postgres"]["url"].rpartition("/")[0] + "/serx_orders"
    database = await asyncpg.connect(dsn)
    try:
        await database.execute("alter table orders add constraint poison check (proposal_id <> '" + proposal + "')")
        accepted = await installation.sign(proposal, prefer="wait=0")
        key = f"{accepted.json()['saga_id']}.order"

        async def is_parked() -> bool:
            return bool(
                await installation.rows("proposals", "select from sagas where is_parked and finished_at is null")
            )

        await until(is_parked, within_seconds=30)
        (flow,) = await told(installation, "sagas", "list", "--status", "parked")
        assert flow["saga_id"] == accepted.json()["saga_id"]
        (parked,) = await told(installation, "parked", "list", "--service", "orders")
        assert (parked["key"], "poison" in parked["error"]) == (key, True)
        status, table, _ = await serx(installation, "parked", "list")
        assert status == 0
        assert key in table
    finally:
        await database.execute("alter table orders drop constraint poison")
        await database.close()
    status, _, errors = await serx(installation, "parked", "retry", key, "--reason", "The constraint is gone.")
    assert (status, errors) == (0, "")
    await has_exactly_one_of_everything(installation, await installation.signed(proposal))
    (done,) = (await report_of(installation, proposal))["interventions"]
    assert (done["action"], done["step"], done["reason"]) == ("retry_parked", "order", "The constraint is gone.")
    await nothing_is_left_open(installation)


async def test_a_reason_is_asked_for_and_an_unknown_folder_is_said_to_be_none(installation: Installation):
    status, _, errors = await serx(installation, "sagas", "cancel", str(new_id()))
    assert status != 0
    assert "--reason" in errors
    elsewhere = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.cli", "sagas", "list", "--data-dir", str(installation.folder / "logs")),
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await elsewhere.communicate()
    assert elsewhere.returncode == 1
    assert b"is no data folder of `serx up`" in complaint


async def test_the_outboxes_of_a_running_installation_are_shown(installation: Installation):
    found = await told(installation, "outbox")
    assert [each["service"] for each in found] == ["identity", "proposals", "engagements", "conversations", "orders"]
    assert sum(each["standing"]["published"] for each in found) > 0


async def test_an_installation_is_found_by_the_environment(installation: Installation):
    place = installation.ready["services"]["postgres"]["url"].rpartition("/")[0]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.cli", "sagas", "list", "--status", "all", "--json"),
        env=os.environ | {"SERX_PROPOSALS_DATABASE_DSN": f"{place}/serx_proposals"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert msgspec.json.decode(output)


async def test_a_copy_that_was_emptied_is_made_anew_while_everything_runs(installation: Installation):
    await told(installation, "replicas", "rebuild")
    signed = (await installation.sign(await installation.sent_proposal(client_email=f"{new_id()}@roe.example"))).json()
    query = "select row_to_json(c) as copy from clients c order by id"

    async def all_copies() -> list[Any]:
        return await installation.rows("orders", query)

    async def has_heard_of_the_client() -> bool:
        return signed["order"]["user_id"] in str(await all_copies())

    await until(has_heard_of_the_client)
    before = await all_copies()
    await installation.rows("orders", "delete from clients")
    (done,) = await told(installation, "replicas", "rebuild", "--service", "orders", "--replica", "clients")
    assert (done["rows"], done["mended"]) == (len(before), len(before))
    assert await all_copies() == before
    assert (await installation.call("GET", f"/api/orders/{signed['order']['id']}")).status_code == 200
