"""`serx status`: everything at a glance, and the exit status that says whether it is well."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from deploy.status import looking, places
from tests.support.installation import Installation
from tests.support.servers import until

PROCESSES = ["gateway", "identity", "proposals", "engagements", "conversations", "orders"]


async def status(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit status, and what was printed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SERX_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.cli", "status", *arguments),
        env=own | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def picture(installation: Installation) -> tuple[int, dict[str, Any]]:
    code, told = await status("--data-dir", str(installation.folder), "--json")
    return code, json.loads(told)


async def is_healthy(installation: Installation) -> bool:
    """Whether the command would say so: asked in this process, since it is waited for."""
    return (await looking.look(places.found(installation.folder, {}))).is_healthy


async def test_a_healthy_system_is_shown_whole(installation: Installation):
    assert (await installation.sign(await installation.sent_proposal())).status_code == 200
    await until(lambda: is_healthy(installation), within_seconds=30)
    code, told = await picture(installation)
    assert (code, told["is_healthy"], told["faults"]) == (0, True, [])
    assert [each["name"] for each in told["processes"]] == PROCESSES
    assert all(each["is_ready"] and each["memory_bytes"] > 1e7 and each["version"] for each in told["processes"])
    assert told["processes"][0]["requests"] >= 1
    assert [each["service"] for each in told["databases"]] == PROCESSES[1:]
    assert all(each["is_up"] and each["parked"] == 0 and each["most"] == 16 for each in told["databases"])
    assert {each["name"]: [own["service"] for own in each["consumers"]] for each in told["broker"]["streams"]} == {
        "COMMANDS": ["engagements", "identity", "orders"],
        "EVENTS": ["conversations", "engagements", "orders", "proposals"],
    }
    assert told["flows"]["completed"] >= 1

    code, shown = await status("--data-dir", str(installation.folder))
    assert code == 0
    assert shown.splitlines()[0].strip() == "Healthy"
    assert all(name in shown for name in (*PROCESSES, "COMMANDS", "EVENTS", "Signatures"))


async def test_the_environment_may_say_where_everything_is(installation: Installation):
    services = installation.ready["services"]
    told = {f"SERX_{name.upper()}_URL": services[name]["url"] for name in PROCESSES}
    await until(lambda: is_healthy(installation), within_seconds=30)
    code, shown = await status("--json", **told)
    found = json.loads(shown)
    assert (code, found["broker"]) == (0, None)
    assert all(each["is_ready"] for each in found["processes"])
    assert found["processes"][0]["memory_bytes"] is None  # nobody said where the gateway's metrics are

    live = told["SERX_ORDERS_URL"]
    code, shown = await status("--json", **told | {"SERX_ORDERS_URL": f"{live}, http://127.0.0.1:1/"})
    found = json.loads(shown)
    assert (code, found["faults"]) == (1, ["orders does not answer at http://127.0.0.1:1."])
    assert [each["answers"] for each in found["processes"] if each["name"] == "orders"] == [True, False]
    assert all(each["is_up"] for each in found["databases"])

    del told["SERX_ORDERS_URL"]
    code, said = await status(**told)
    assert (code, said) == (1, "To look at every process, set SERX_ORDERS_URL as well, as the gateway has them.\n")


async def test_a_process_that_is_gone_is_missed(installation: Installation):
    with installation.unsupervised():
        pid = installation.kill("orders")
        await installation.dead(pid)
        code, told = await picture(installation)
    url = installation.ready["services"]["orders"]["url"]
    assert code == 1
    assert f"orders does not answer at {url}." in told["faults"]
    await installation.replaced("orders", pid)
    await until(lambda: is_healthy(installation), within_seconds=30)


async def test_a_parked_message_is_a_fault_until_somebody_sees_to_it(installation: Installation):
    await installation.rows(
        "identity",
        "insert into parked_messages (key, subject, headers, body, error, deliveries) "
        "values ('of a test', 'cmd.identity.test', '{}', '', 'a test', 1)",
    )
    try:
        code, told = await picture(installation)
        assert (code, told["faults"]) == (1, ["identity has parked messages: 1. They wait for an operator."])
    finally:
        await installation.rows("identity", "delete from parked_messages where key = 'of a test'")
    assert (await picture(installation))[0] == 0


async def test_where_nothing_serves_it_says_so(tmp_path: Path):
    code, said = await status("--data-dir", str(tmp_path))
    assert code == 1
    assert said.startswith(f"No `serx up` is serving from {tmp_path};")
    assert "Traceback" not in said
