"""`serx org create`."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from deploy.org import app
from tests.component.identity.people import Gateway
from tests.support.databases import opened

PASSWORD = "correct horse battery"


async def create(dsn: str | None, *arguments: str, password: str | None = PASSWORD) -> tuple[int, str, str]:
    """Run the command in a process of its own."""
    code = "import sys; from deploy.cli import Failure; from deploy.org import app\n"
    code += "try: app(sys.argv[1:])\nexcept Failure as failure: sys.exit(failure.sentence)\n"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SERX_")}
    told = {"SERX_DATABASE_DSN": dsn, "SERX_ADMIN_PASSWORD": password}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "create", *arguments,
        env=environ | {name: value for name, value in told.items() if value is not None},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_founded_organisation_has_an_admin_who_can_log_in_and_a_token(dsn: str, identity: Gateway) -> None:
    code, out, _ = await create(dsn, "--name", "Agency", "--admin-email", "ada@agency.example", "--json")
    assert code == 0
    made = json.loads(out)
    assert set(made) == {"org_id", "admin_user_id", "admin_token"}
    actor = (await identity.verify(made["admin_token"])).json()["actor"]
    assert (actor["org_id"], actor["id"], actor["role"]) == (made["org_id"], made["admin_user_id"], "admin")
    user = (await identity.login("ada@agency.example", PASSWORD)).json()["user"]
    assert (user["id"], user["org_name"]) == (made["admin_user_id"], "Agency")


async def test_the_first_administrator_is_told_to_all(dsn: str) -> None:
    _, out, _ = await create(dsn, "--name", "Agency", "--admin-email", "ada@agency.example", "--json")
    made = json.loads(out)
    async with opened(dsn) as database, database.transaction_across_organisations() as tx:
        told = await tx.value(
            "select body ->> 'version' from outbox where type = 'user.changed.v1' and body ->> 'id' = $1",
            made["admin_user_id"],
        )
    assert told == "1"


async def test_without_json_a_person_can_read_it(dsn: str) -> None:
    code, out, _ = await create(
        dsn, "--name", "Agency", "--admin-email", "ada@agency.example", "--admin-name", "Ada de Roe"
    )
    assert code == 0
    assert "Ada de Roe <ada@agency.example>" in out
    assert "serx_" in out


async def test_what_cannot_be_is_said_in_sentences(dsn: str) -> None:
    arguments = ("--name", "Agency", "--admin-email", "ada@agency.example")
    for code, out, err in (
        await create(dsn, *arguments, password="short"),
        await create(dsn, *arguments, password=None),
        await create(None, *arguments),
        await create("postgresql://nobody@127.0.0.1:1/none", *arguments),
        await create(dsn, "--name", " ", "--admin-email", "ada", "--admin-name", "Ada"),
    ):
        assert (code, out) == (1, "")
        assert err.strip().endswith(".")
        assert "Traceback" not in err
    assert "at least 12 characters" in (await create(dsn, *arguments, password="short"))[2]


def test_the_command_explains_itself() -> None:
    assert app.name == ("org",)
