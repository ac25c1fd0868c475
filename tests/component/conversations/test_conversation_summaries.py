"""The summaries that the gateway joins into an engagement; and what the service keeps of projects."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from services.conversations.model import MOST_MESSAGES
from services.conversations.store.conversations import MOST_SUMMARIES
from services.engagements.model import MOST_CONVERSATIONS
from shared import clock
from shared.contracts.engagements import ProjectState
from shared.database import Database
from shared.ids import new_id
from shared.web.actor import Actor
from tests.component.conversations.playing import project_of, tells
from tests.support import actors
from tests.support.commands import Orchestrator
from tests.support.databases import Databases
from tests.support.interference import away
from tests.support.servers import until
from tests.support.services import Service

ADD_CONVERSATIONS = """
insert into conversations (id, org_id, project_id, subject, status, created_at, updated_at, message_count,
  last_message_at)
select gen_random_uuid(), $1, $2, lpad(n::text, 4, '0'), 1, now(), now(), 1, now() + n * interval '1 second'
from generate_series(1, $3::int) n
"""
ADD_MESSAGES = """
insert into messages (id, org_id, conversation_id, sender_id, sender_name, sender_email, is_from_client, content,
  created_at, updated_at)
select gen_random_uuid(), $1, $2, $3, 'Jo', 'jo@agency.example', false, n::text, now() + n * interval '1 second', now()
from generate_series(1, $4::int) n
"""


async def talks(database: Database, project: ProjectState, subject: str, *, internal: int = 0, open_: int = 0) -> UUID:
    """A conversation with so many messages; the internal ones came last, an hour after the others."""
    conversation, at = new_id(), clock.now()
    async with database.transaction(project.org_id) as tx:
        await tx.run(
            """
            insert into conversations (id, org_id, project_id, subject, status, created_at, updated_at, message_count,
              public_message_count, last_message_at, last_public_message_at)
            values ($1, $2, $3, $4, 1, $5, $5, $6, $7, $8, $9)
            """,
            *(conversation, project.org_id, project.id, subject, at, internal + open_, open_),
            at + timedelta(hours=1) if internal else at if open_ else None,
            at if open_ else None,
        )
    return conversation


async def summaries(service: Service, actor: Actor, engagement: UUID | str) -> list[dict[str, Any]]:
    answer = await service.call(actor, "GET", f"/internal/engagements/{engagement}/conversations")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_engagement_shows_the_conversations_of_all_its_projects_newest_activity_first(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    engagement = new_id()
    first, second = (project_of(staff.org_id, engagement_id=engagement) for _ in range(2))
    for project in (first, second):
        await tells(orchestrator, database, "opened", project)
    await talks(database, first, "quiet")
    await talks(database, first, "earlier", open_=1)
    await talks(database, second, "later", open_=1)
    await talks(database, project_of(staff.org_id), "elsewhere", open_=1)
    found = await summaries(service, staff, engagement)
    assert [each["subject"] for each in found] == ["later", "earlier", "quiet"]
    assert found[0] | {"id": "", "last_message_at": ""} == {
        "id": "",
        "project_id": str(second.id),
        "subject": "later",
        "status": "Open",
        "status_id": 1,
        "message_count": 1,
        "last_message_at": "",
    }
    assert found[2]["last_message_at"] is None


async def test_a_client_is_told_neither_count_nor_time_of_internal_messages(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    project = project_of(staff.org_id)
    await tells(orchestrator, database, "opened", project)
    await talks(database, project, "mixed", internal=2, open_=3)
    await talks(database, project, "internal only", internal=1)
    client = actors.client(staff.org_id, id=project.client_id)
    as_staff = {each["subject"]: each for each in await summaries(service, staff, project.engagement_id)}
    as_client = {each["subject"]: each for each in await summaries(service, client, project.engagement_id)}
    assert (as_staff["mixed"]["message_count"], as_client["mixed"]["message_count"]) == (5, 3)
    assert as_client["mixed"]["last_message_at"] < as_staff["mixed"]["last_message_at"]
    assert (as_client["internal only"]["message_count"], as_client["internal only"]["last_message_at"]) == (0, None)


async def test_an_internal_message_moves_nothing_in_the_order_that_a_client_sees(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    project = project_of(staff.org_id)
    await tells(orchestrator, database, "opened", project)
    await talks(database, project, "earlier", open_=1, internal=1)
    await talks(database, project, "later", open_=1)
    client = actors.client(staff.org_id, id=project.client_id)
    for actor, order in ((staff, ["earlier", "later"]), (client, ["later", "earlier"])):
        assert [each["subject"] for each in await summaries(service, actor, project.engagement_id)] == order


async def test_the_engagement_of_another_client_or_organisation_shows_nothing(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    project = project_of(staff.org_id)
    await tells(orchestrator, database, "opened", project)
    await talks(database, project, "secret", open_=1)
    for actor in (actors.admin(), actors.client(staff.org_id)):
        assert await summaries(service, actor, project.engagement_id) == []


@pytest.mark.parametrize("id", ["rubbish", "00000000-0000-0000-0000-000000000000"])
async def test_an_engagement_that_is_not_known_has_none(service: Service, staff: Actor, id: str):
    assert await summaries(service, staff, id) == []


@pytest.mark.parametrize("event", ["cancelled", "deleted", "changed"])
async def test_what_hangs_on_a_deleted_project_is_gone_with_it(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor, event: str
):
    project = project_of(staff.org_id)
    await tells(orchestrator, database, "opened", project)
    await talks(database, project, "gone", open_=1)
    await tells(orchestrator, database, event, replace(project, version=2, is_deleted=True))
    assert await summaries(service, staff, project.engagement_id) == []


async def test_an_older_word_about_a_project_is_dropped_even_after_its_tombstone(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    project = project_of(staff.org_id)
    await talks(database, project, "gone", open_=1)
    # The tombstone comes first: the order of messages is never relied on.
    await tells(orchestrator, database, "cancelled", replace(project, version=2, is_deleted=True))
    await tells(orchestrator, database, "opened", project)
    after = project_of(staff.org_id, engagement_id=project.engagement_id)
    await tells(orchestrator, database, "opened", after)
    assert await summaries(service, staff, project.engagement_id) == []
    async with database.transaction(staff.org_id) as tx:
        assert await tx.value("select version from projects where id = $1", project.id) == 2


async def test_rows_are_walled_by_organisation(dsn: str, database: Database, staff: Actor):
    project = project_of(staff.org_id)
    await talks(database, project, "secret", open_=1)
    async with database.transaction(new_id()) as tx:
        for table in ("projects", "conversations", "messages"):
            assert await tx.value(f"select count(*) from {table}") == 0
        assert await tx.run("update conversations set subject = 'taken'") == 0
    connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval("select count(*) from conversations") == 0
    finally:
        await connection.close()


async def test_it_takes_only_the_gateways_identity_meant_for_it(service: Service, staff: Actor):
    path = f"/internal/engagements/{new_id()}/conversations"
    assert (await service.call(None, "GET", path)).status_code == 401
    meant_for_orders = actors.headers(staff, "orders")
    assert (await service.call(None, "GET", path, headers=meant_for_orders)).status_code == 401


async def test_a_parameter_that_it_does_not_know_is_400(service: Service, staff: Actor):
    answer = await service.call(staff, "GET", f"/internal/engagements/{new_id()}/conversations?rubbish=1")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["rubbish"])


async def test_it_stays_ready_while_its_database_is_away_and_tells_so(service: Service, databases: Databases, dsn: str):
    """All its replicas have that database: without a ready one, callers would meet nobody in place of a 503."""
    async with away(databases, dsn):
        answer = await service.call(None, "GET", "/health")
        assert (answer.status_code, answer.json()["checks"]["database"]) == (503, False)
        for path in ("/health/live", "/health/ready"):
            assert (await service.call(None, "GET", path)).status_code == 200
    await until(service.is_well)


async def test_an_engagement_brings_its_thousand_liveliest_conversations_along(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    project = project_of(staff.org_id, engagement_id=new_id())
    await tells(orchestrator, database, "opened", project)
    async with database.transaction(staff.org_id) as tx:
        await tx.run(ADD_CONVERSATIONS, staff.org_id, project.id, MOST_SUMMARIES + 1)
    subjects = [summary["subject"] for summary in await summaries(service, staff, project.engagement_id)]
    assert subjects == [f"{number:04}" for number in range(MOST_SUMMARIES + 1, 1, -1)]
    assert MOST_SUMMARIES == MOST_CONVERSATIONS  # as the document has it


async def test_a_conversation_brings_its_newest_hundred_messages_along(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    project = project_of(staff.org_id, engagement_id=new_id())
    await tells(orchestrator, database, "opened", project)
    conversation = await talks(database, project, "long", open_=MOST_MESSAGES + 1)
    async with database.transaction(staff.org_id) as tx:
        await tx.run(ADD_MESSAGES, staff.org_id, conversation, staff.id, MOST_MESSAGES + 1)
    path = f"/api/projects/{project.id}/conversations/{conversation}"
    read = (await service.call(staff, "GET", path)).json()
    contents = [message["content"] for message in read["messages"]]
    assert contents == [str(number) for number in range(2, MOST_MESSAGES + 2)]
    assert read["message_count"] == MOST_MESSAGES + 1
