"""The engagement service; the test plays the orchestrator, who says commands and hears their replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import nats
import pytest
import pytest_asyncio
from msgspec.structs import replace
from nats.aio.msg import Msg

from services.engagements.domain import opening
from shared import clock
from shared.contracts.engagements import EngagementOpened, OpenEngagement, ProjectToOpen
from shared.contracts.proposals import TemplateState
from shared.contracts.reply import CANCELLED, Reply
from shared.database import Database
from shared.database.windows import After
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.consumer import Delivery
from shared.web.actor import UNTRUSTED, Actor
from shared.web.paging import written
from tests.support import actors
from tests.support.commands import (
    Orchestrator,
    arrived,
    cancel_engagement,
    client_state,
    open_engagement,
    orchestrating,
)
from tests.support.databases import Databases, opened
from tests.support.interference import away, has_delivered_again, is_waiting_for_a_lock
from tests.support.servers import Broker, until
from tests.support.services import Service, running

NAME = "engagements"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh(NAME) as fresh:
        yield fresh


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(dsn: str, shared_broker: Broker) -> AsyncIterator[Service]:
    async with running(NAME, dsn, shared_broker) as running_service:
        yield running_service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def orchestrator(service: Service, shared_broker: Broker) -> AsyncIterator[Orchestrator]:
    async with orchestrating(shared_broker) as player:
        yield player


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(dsn: str) -> AsyncIterator[Database]:
    """The service's database as the service's role has it, for the test's own hands."""
    async with opened(dsn) as there:
        yield there


@pytest.fixture
def staff() -> Actor:
    """An administrator of an organisation that nobody has used."""
    return actors.admin()


def key_of(command: OpenEngagement) -> str:
    return f"{command.saga_id}.engagement"


async def opens(orchestrator: Orchestrator, command: OpenEngagement) -> Reply:
    return await orchestrator.ask(NAME, "open", command, key=key_of(command))


async def cancels(orchestrator: Orchestrator, command: OpenEngagement) -> Reply:
    return await orchestrator.ask(NAME, "cancel", cancel_engagement(command), key=f"{key_of(command)}.cancel")


async def counted(database: Database, org: UUID) -> dict[str, int]:
    """How many rows the organisation has, cancelled ones included."""
    tables = ("engagements", "projects", "clients")
    async with database.transaction(org) as tx:
        return {table: await tx.value(f"select count(*) from {table}") for table in tables}


async def names_listed(service: Service, actor: Actor, path: str, query: str = "") -> list[str]:
    answer = await service.call(actor, "GET", f"{path}?limit=100&sort=name:asc{query}")
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["data"]]


async def test_one_command_makes_the_engagement_its_projects_and_the_client(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    command = open_engagement(staff.org_id)
    reply = await opens(orchestrator, command)
    assert reply.outcome == "done"
    engagement = (await service.call(staff, "GET", f"/api/engagements/{command.engagement_id}")).json()
    assert (engagement["name"], engagement["status"], engagement["status_id"]) == ("Jane Roe - Engagement", "Active", 1)
    assert engagement["proposal_id"] == str(command.proposal_id)
    assert engagement["client"] == {
        "id": str(command.client.id),
        "name": "Jane Roe",
        "email": "jane@roe.example",
    }
    assert [project["id"] for project in engagement["projects"]] == [str(each.id) for each in command.projects]
    assert {(each["status"], each["phase"]) for each in engagement["projects"]} == {("Active", "Kickoff")}
    assert await counted(database, staff.org_id) == {"engagements": 1, "projects": 2, "clients": 1}


async def test_whoever_waits_for_the_reply_has_it_before_anybody_hears_the_events(
    orchestrator: Orchestrator, shared_broker: Broker, staff: Actor
):
    told: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Msg) -> None:
        if (first := message.subject.partition(".")[0]) in ("rep", "evt"):
            told.put_nowait(first)

    listener = await nats.connect(shared_broker.operator)
    try:
        await listener.subscribe(">", cb=hear)
        await arrived(listener)
        command = open_engagement(staff.org_id)
        await orchestrator.say(NAME, "open", command, key=key_of(command), directly=True)
        async with asyncio.timeout(15):
            heard = [await told.get() for _ in range(4)]
    finally:
        await listener.close()
    assert heard == ["rep", "evt", "evt", "evt"]


async def test_reads_answer_exactly_what_the_reply_carried(service: Service, orchestrator: Orchestrator, staff: Actor):
    template, plain = new_id(), open_engagement(staff.org_id)
    item = ProjectToOpen(
        id=new_id(), event_id=new_id(), name="SEO", description="", service_id=template, service_name="Search"
    )
    command = replace(plain, projects=[*plain.projects, item])
    result = msgspec.json.decode((await opens(orchestrator, command)).result, type=EngagementOpened)
    read = await service.call(staff, "GET", f"/api/engagements/{command.engagement_id}")
    assert read.json() == msgspec.json.decode(result.engagement)
    for project, carried in zip(command.projects, result.projects, strict=True):
        read = await service.call(staff, "GET", f"/api/projects/{project.id}")
        assert read.json() == msgspec.json.decode(carried)
    assert read.json()["service"] == {"id": str(template), "name": "Search"}


async def test_projects_keep_the_items_order_whatever_their_names(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    names = tuple(f"{letter}{number}" for number, letter in enumerate("zaymbxqc"))
    first = new_id().int
    projects = [
        ProjectToOpen(id=UUID(int=first + position), event_id=new_id(), name=name, description="")
        for position, name in enumerate(names)
    ]
    command = open_engagement(staff.org_id, projects=projects)
    await opens(orchestrator, command)
    engagement = (await service.call(staff, "GET", f"/api/engagements/{command.engagement_id}")).json()
    assert tuple(project["name"] for project in engagement["projects"]) == names


async def test_a_duplicate_gets_the_stored_reply_byte_for_byte(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    command = open_engagement(staff.org_id)
    await opens(orchestrator, command)
    await opens(orchestrator, command)
    # A copy that says something else is still the same message.
    await opens(orchestrator, replace(command, engagement_id=new_id(), name="Another"))
    first, second, third = await orchestrator.replies(key_of(command), 3)
    assert first == second == third
    assert await counted(database, staff.org_id) == {"engagements": 1, "projects": 2, "clients": 1}


async def test_twenty_concurrent_duplicates_make_one(orchestrator: Orchestrator, database: Database, staff: Actor):
    command = open_engagement(staff.org_id)
    await asyncio.gather(*(orchestrator.say(NAME, "open", command, key=key_of(command)) for _ in range(20)))
    replies = await orchestrator.replies(key_of(command), 20)
    assert len(set(replies)) == 1
    assert await counted(database, staff.org_id) == {"engagements": 1, "projects": 2, "clients": 1}
    events = await orchestrator.hears(staff.org_id, 3)
    assert len(events) == 3


async def test_events_carry_the_ids_of_the_command_and_the_whole_state(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    command = open_engagement(staff.org_id)
    await opens(orchestrator, command)
    events = await orchestrator.hears(staff.org_id, 3)
    assert {id for _, id, _ in events} == {str(each) for each in [command.event_id, *_event_ids(command)]}
    bodies = {id: (name, body) for name, id, body in events}
    name, engagement = bodies[str(command.event_id)]
    assert name == "engagement.opened"
    assert (engagement["id"], engagement["version"]) == (str(command.engagement_id), 1)
    assert (engagement["client_id"], engagement["is_cancelled"]) == (str(command.client.id), False)
    for project in command.projects:
        name, told = bodies[str(project.event_id)]
        assert (name, told["id"], told["name"]) == ("project.opened", str(project.id), project.name)
        assert told["engagement_id"] == str(command.engagement_id)


def _event_ids(command: OpenEngagement) -> list[UUID]:
    return [project.event_id for project in command.projects]


async def test_each_event_is_published_once_however_often_the_command_comes(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    command = open_engagement(staff.org_id)
    for _ in range(3):
        await opens(orchestrator, command)
    await until(lambda: _all_published(database, command))
    assert len(orchestrator.events(staff.org_id)) == 3


async def _all_published(database: Database, command: OpenEngagement) -> bool:
    async with database.transaction(command.org_id) as tx:
        ids = [command.event_id, *_event_ids(command)]
        return await tx.value(
            "select count(*) = $2 and count(published_at) = $2 from outbox where id = any($1)", ids, len(ids)
        )


async def test_a_cancel_undoes_and_cancelled_rows_are_404_and_in_no_list(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    command = open_engagement(staff.org_id)
    await opens(orchestrator, command)
    assert await cancels(orchestrator, command) == CANCELLED
    for path in (
        f"/api/engagements/{command.engagement_id}",
        *(f"/api/projects/{each.id}" for each in command.projects),
    ):
        assert (await service.call(staff, "GET", path)).status_code == 404
    assert await names_listed(service, staff, "/api/engagements") == []
    assert await names_listed(service, staff, "/api/projects") == []
    assert await names_listed(service, staff, "/api/projects", f"&engagement_id={command.engagement_id}") == []


async def test_a_cancel_is_told_with_the_next_version(orchestrator: Orchestrator, staff: Actor):
    command = open_engagement(staff.org_id, names=("SEO",))
    await opens(orchestrator, command)
    await cancels(orchestrator, command)
    events = await orchestrator.hears(staff.org_id, 4)
    gone = {name: body for name, _, body in events if name.endswith("cancelled")}
    assert (gone["engagement.cancelled"]["version"], gone["engagement.cancelled"]["is_cancelled"]) == (2, True)
    assert (gone["project.cancelled"]["version"], gone["project.cancelled"]["is_deleted"]) == (2, True)
    assert gone["project.cancelled"]["id"] == str(command.projects[0].id)


async def test_a_second_cancel_changes_nothing_and_answers_the_same(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    command = open_engagement(staff.org_id)
    await opens(orchestrator, command)
    await cancels(orchestrator, command)
    assert await cancels(orchestrator, command) == CANCELLED
    async with database.transaction(staff.org_id) as tx:
        assert await tx.value("select array_agg(version) from engagements") == [2]
    assert len(await orchestrator.hears(staff.org_id, 6)) == 6


async def test_a_cancel_before_the_create_bars_it(orchestrator: Orchestrator, database: Database, staff: Actor):
    command = open_engagement(staff.org_id)
    assert await cancels(orchestrator, command) == CANCELLED
    assert await opens(orchestrator, command) == CANCELLED
    rows = await counted(database, staff.org_id)
    assert (rows["engagements"], rows["projects"]) == (0, 0)
    assert orchestrator.events(staff.org_id) == []


async def test_a_cancel_of_a_refused_create_is_cancelled_too(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    client = await closed_client(orchestrator, database, staff.org_id, is_deleted=True)
    command = open_engagement(staff.org_id, client=replace(client, version=1, is_deleted=False))
    assert (await opens(orchestrator, command)).outcome == "refused"
    assert await cancels(orchestrator, command) == CANCELLED


async def test_a_cancel_waits_for_a_create_that_is_under_way_and_undoes_it(
    orchestrator: Orchestrator, database: Database, databases: Databases, dsn: str, staff: Actor
):
    command = open_engagement(staff.org_id)
    async with database.transaction(staff.org_id) as tx:
        await opening.open_engagement(tx, command, Delivery(new_id(), key_of(command)))
        await orchestrator.say(NAME, "cancel", cancel_engagement(command), key=f"{key_of(command)}.cancel")
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        assert orchestrator.heard_so_far(f"{key_of(command)}.cancel") == []
    (reply,) = await orchestrator.replies(f"{key_of(command)}.cancel")
    assert msgspec.json.decode(reply, type=Reply) == CANCELLED
    async with database.transaction(staff.org_id) as tx:
        assert await tx.value("select count(*) from engagements where cancelled_at is null") == 0
        assert await tx.value("select count(*) from projects where cancelled_at is null") == 0
        assert await tx.value("select count(*) from projects") == 2


async def test_a_create_waits_for_a_cancel_that_is_under_way_and_is_barred(
    orchestrator: Orchestrator, database: Database, databases: Databases, dsn: str, staff: Actor
):
    command = open_engagement(staff.org_id)
    async with database.transaction(staff.org_id) as tx:
        delivery = Delivery(new_id(), f"{key_of(command)}.cancel")
        await opening.cancel_engagement(tx, cancel_engagement(command), delivery)
        await orchestrator.say(NAME, "open", command, key=key_of(command))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        assert orchestrator.heard_so_far(key_of(command)) == []
    (reply,) = await orchestrator.replies(key_of(command))
    assert msgspec.json.decode(reply, type=Reply) == CANCELLED
    assert (await counted(database, staff.org_id))["engagements"] == 0


async def test_two_signatures_of_one_client_do_not_wait_for_each_other(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    client = client_state(staff.org_id)
    await opens(orchestrator, open_engagement(staff.org_id, client=client))
    command = open_engagement(staff.org_id, client=client)
    async with database.transaction(staff.org_id) as tx:
        await opening.open_engagement(tx, command, Delivery(new_id(), key_of(command)))
        assert (await opens(orchestrator, open_engagement(staff.org_id, client=client))).outcome == "done"
    assert (await counted(database, staff.org_id))["engagements"] == 3


async def test_after_a_cancel_another_saga_signs_the_same_proposal(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    first = open_engagement(staff.org_id)
    await opens(orchestrator, first)
    await cancels(orchestrator, first)
    second = open_engagement(staff.org_id, proposal_id=first.proposal_id, client=first.client)
    assert (await opens(orchestrator, second)).outcome == "done"
    answer = await service.call(staff, "GET", "/api/engagements")
    assert [each["id"] for each in answer.json()["data"]] == [str(second.engagement_id)]


async def test_a_second_engagement_of_a_signed_proposal_is_a_bug_and_parked(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    first = open_engagement(staff.org_id)
    await opens(orchestrator, first)
    second = open_engagement(staff.org_id, proposal_id=first.proposal_id, client=first.client)
    reply = await opens(orchestrator, second)
    assert (reply.outcome, "one_engagement_a_signature" in reply.cause) == ("parked", True)
    assert await names_listed(service, staff, "/api/projects") == ["SEO", "Website Redesign"]


async def closed_client(orchestrator: Orchestrator, database: Database, org: UUID, **flags: bool):
    """A client whom identity has closed, as the service has heard."""
    client = client_state(org, version=2, **flags or {"is_closed": True})
    await orchestrator.tell(topology.event_subject(org, "client", "changed"), "client.changed.v1", client)

    async def is_kept() -> bool:
        async with database.transaction(org) as tx:
            return await tx.value("select true from clients where id = $1 and version = 2", client.id)

    await until(is_kept)
    return client


@pytest.mark.parametrize("flags", [{"is_deleted": True}, {"is_closed": True, "is_deleted": True}])
async def test_a_client_who_is_deleted_is_refused(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor, flags: dict[str, bool]
):
    client = await closed_client(orchestrator, database, staff.org_id, **flags)
    command = open_engagement(staff.org_id, client=replace(client, version=1, is_closed=False, is_deleted=False))
    reply = await opens(orchestrator, command)
    assert reply == Reply(outcome="refused", cause="The client was deleted.")
    assert await opens(orchestrator, command) == reply
    assert await names_listed(service, staff, "/api/engagements") == []
    assert orchestrator.events(staff.org_id)[1:] == []


async def test_a_command_that_knows_the_client_at_a_newer_version_is_believed(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    client = await closed_client(orchestrator, database, staff.org_id, is_closed=True)
    newer = replace(client, version=client.version + 1, name_l="Doe", is_closed=False)
    reply = await opens(orchestrator, open_engagement(staff.org_id, client=newer))
    assert reply.outcome == "done"
    shown = msgspec.json.decode(reply.result, type=EngagementOpened).engagement
    engagement = msgspec.json.decode(shown)
    found = await service.call(staff, "GET", f"/api/engagements/{engagement['id']}")
    assert found.json() == engagement
    assert found.json()["client"]["name"].endswith("Doe")


async def test_an_older_word_about_a_client_or_a_template_is_dropped(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    org = staff.org_id
    client, template = client_state(org, version=5), new_id()
    for version in (5, 4, 6):
        told = replace(client, version=version, name_f=f"Version {version}")
        await orchestrator.tell(topology.event_subject(org, "client", "changed"), "client.changed.v1", told)
        state = TemplateState(
            org_id=org, id=template, version=version, name=f"Version {version}", price=Decimal(0), currency="USD"
        )
        await orchestrator.tell(topology.event_subject(org, "template", "changed"), "template.changed.v1", state)

    async def newest() -> bool:
        async with database.transaction(org) as tx:
            name = await tx.value("select name_f from clients where id = $1", client.id)
            return [name, await tx.value("select name from templates where id = $1", template)] == ["Version 6"] * 2

    await until(newest)


async def test_while_the_database_is_away_a_command_that_no_stream_has_is_put_off_and_then_done(
    service: Service, orchestrator: Orchestrator, databases: Databases, dsn: str, staff: Actor
):
    command = open_engagement(staff.org_id)

    async def put_off() -> list[str]:
        told = (await service.call(staff, "GET", "/metrics")).text
        return [line for line in told.splitlines() if "engagements.open.v1" in line and '"put off"' in line]

    before = await put_off()

    async def has_put_off() -> bool:
        return await put_off() != before

    async with away(databases, dsn):
        await orchestrator.say(NAME, "open", command, key=key_of(command), directly=True)
        await until(has_put_off)
        assert orchestrator.heard_so_far(key_of(command)) == []
    (reply,) = await orchestrator.replies(key_of(command))
    assert msgspec.json.decode(reply, type=Reply).outcome == "done"


async def test_while_the_database_is_away_a_command_is_put_off_and_then_done(
    service: Service, orchestrator: Orchestrator, databases: Databases, dsn: str, shared_broker: Broker, staff: Actor
):
    command = open_engagement(staff.org_id)
    async with away(databases, dsn):
        await orchestrator.say(NAME, "open", command, key=key_of(command))
        await until(lambda: has_delivered_again(shared_broker, topology.COMMANDS, NAME))
        assert orchestrator.heard_so_far(key_of(command)) == []
        answer = await service.call(staff, "GET", "/api/engagements")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    (reply,) = await orchestrator.replies(key_of(command))
    assert msgspec.json.decode(reply, type=Reply).outcome == "done"


async def test_without_an_organisation_set_no_row_is_visible(dsn: str, orchestrator: Orchestrator, staff: Actor):
    await opens(orchestrator, open_engagement(staff.org_id))
    connection = await asyncpg.connect(dsn)
    try:
        for table in ("engagements", "projects", "clients", "templates"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0
            assert await connection.execute(f"delete from {table}") == "DELETE 0"
    finally:
        await connection.close()


async def test_the_rows_of_another_organisation_are_neither_read_nor_written(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    command = open_engagement(staff.org_id)
    await opens(orchestrator, command)
    stranger = new_id()
    async with database.transaction(stranger) as tx:
        for table in ("engagements", "projects", "clients"):
            assert await tx.value(f"select count(*) from {table}") == 0
            assert await tx.run(f"update {table} set version = 99") == 0
            assert await tx.run(f"delete from {table}") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction(stranger) as tx:
            await tx.run(
                "insert into templates (id, org_id, version, name) values ($1, $2, 1, 'x')", new_id(), staff.org_id
            )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction(staff.org_id) as tx:
            await tx.run("update engagements set org_id = $1", stranger)


async def test_every_route_hides_another_organisations_rows(service: Service, orchestrator: Orchestrator, staff: Actor):
    command = open_engagement(staff.org_id)
    await opens(orchestrator, command)
    stranger = actors.admin()
    engagement, project = command.engagement_id, command.projects[0].id
    assert (await service.call(stranger, "GET", f"/api/engagements/{engagement}")).status_code == 404
    assert (await service.call(stranger, "GET", f"/api/projects/{project}")).status_code == 404
    for query in ("", f"&client_id={command.client.id}", "&status=1"):
        assert await names_listed(service, stranger, "/api/engagements", query) == []
    for query in ("", f"&engagement_id={engagement}", "&phase=1", "&status=1"):
        assert await names_listed(service, stranger, "/api/projects", query) == []


async def test_absent_foreign_and_malformed_ids_get_the_same_answer(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    command = open_engagement(staff.org_id)
    await opens(orchestrator, command)
    stranger = actors.admin()
    for path, foreign in (("engagements", command.engagement_id), ("projects", command.projects[0].id)):
        answers = [
            (await service.call(stranger, "GET", f"/api/{path}/{id}")) for id in (foreign, new_id(), "rubbish", "%00")
        ]
        bodies = [answer.json() for answer in answers]
        assert {answer.status_code for answer in answers} == {404}
        assert len({(body["type"], body["title"], body["detail"]) for body in bodies}) == 1


async def test_a_client_sees_their_own_and_nothing_else(service: Service, orchestrator: Orchestrator, staff: Actor):
    own, other = (open_engagement(staff.org_id, name=name, names=(name,)) for name in ("own", "other"))
    await opens(orchestrator, own)
    await opens(orchestrator, other)
    client = actors.client(staff.org_id, id=own.client.id)
    assert await names_listed(service, client, "/api/engagements") == ["own"]
    assert await names_listed(service, client, "/api/projects") == ["own"]
    assert await names_listed(service, client, "/api/engagements", f"&client_id={other.client.id}") == []
    assert (await service.call(client, "GET", f"/api/engagements/{own.engagement_id}")).status_code == 200
    assert (await service.call(client, "GET", f"/api/engagements/{other.engagement_id}")).status_code == 404
    assert (await service.call(client, "GET", f"/api/projects/{other.projects[0].id}")).status_code == 404


async def test_without_the_gateways_identity_nothing_is_answered(service: Service):
    for path in ("/api/engagements", f"/api/engagements/{new_id()}", "/api/projects", "/api/projects?rubbish=1"):
        answer = await service.call(None, "GET", path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, UNTRUSTED)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(service: Service, orchestrator: Orchestrator, database: Database) -> Actor:
    """Staff of an organisation with seven engagements of three projects each, some alike in what lists sort by."""
    staff = actors.admin()
    begun = clock.now()
    for number in range(7):
        command = open_engagement(
            staff.org_id,
            name=f"Engagement {number // 2}",
            names=("Alpha", "Beta", "Alpha"),
            at=begun + timedelta(seconds=number // 3),
        )
        await opens(orchestrator, command)
    async with database.transaction(staff.org_id) as tx:
        await tx.run("update engagements set status = 2 where name = 'Engagement 1'")
        await tx.run("update engagements set updated_at = updated_at + interval '1 day' where status = 2")
        await tx.run("update projects set phase = 3, status = 2 where name = 'Beta'")
    return staff


SORTS = [
    *(("engagements", field) for field in ("id", "name", "status", "created_at", "updated_at")),
    *(("projects", field) for field in ("id", "name", "status", "phase", "created_at", "updated_at")),
]


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize(("path", "field"), SORTS)
async def test_pages_in_every_order_neither_overlap_nor_skip(
    service: Service, crowd: Actor, path: str, field: str, direction: str
):
    seen: list[dict[str, Any]] = []
    link: str | None = f"/api/{path}?limit=3&sort={field}:{direction}"
    while link:
        answer = await service.call(crowd, "GET", link)
        seen += answer.json()["data"]
        link = answer.json()["links"]["next"]
    assert len(seen) == len({item["id"] for item in seen}) == (7 if path == "engagements" else 21)
    number = {"status": "status_id", "phase": "phase_id"}.get(field, field)
    ascending_ids = sorted(seen, key=lambda item: item["id"])
    assert seen == sorted(ascending_ids, key=lambda item: item[number], reverse=direction == "desc")


@pytest.mark.parametrize(
    ("path", "query", "count"),
    [
        ("engagements", "status=1", 5),
        ("engagements", "status=2", 2),
        ("engagements", "status=3", 0),
        ("projects", "status=1", 14),
        ("projects", "phase=3", 7),
        ("projects", "phase=3&status=1", 0),
    ],
)
async def test_filters_narrow_the_list_and_its_total(service: Service, crowd: Actor, path: str, query: str, count: int):
    body = (await service.call(crowd, "GET", f"/api/{path}?limit=100&{query}")).json()
    assert (len(body["data"]), body["meta"]["total"]) == (count, count)


async def test_filters_by_client_and_by_engagement(service: Service, crowd: Actor):
    first = (await service.call(crowd, "GET", "/api/engagements?limit=1&sort=id:asc")).json()["data"][0]
    mine = (await service.call(crowd, "GET", f"/api/engagements?client_id={first['client_id']}")).json()
    assert [each["id"] for each in mine["data"]] == [first["id"]]
    its = (await service.call(crowd, "GET", f"/api/projects?engagement_id={first['id']}")).json()
    assert {each["engagement_id"] for each in its["data"]} == {first["id"]}
    assert its["meta"]["total"] == 3


@pytest.mark.parametrize("path", ["engagements", "projects"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=rubbish:asc", "sort"),
        ("sort=name", "sort"),
        ("sort=name:up", "sort"),
        ("sort=", "sort"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=99999999999999999999", "page"),
        ("status=9", "status"),
        ("status=Active", "status"),
        ("rubbish=1", "rubbish"),
        ("page=1&page=2", "page"),
        ("page=2&after=", "after"),
        ("page=2&after=x", "after"),
        ("page=2&after=" + written(("name", "asc"), After("E", UUID(int=1))), "after"),
        ("page=2&after=" + written(("created_at", "desc"), After("some day", UUID(int=1))), "after"),
        ("after=" + written(("created_at", "desc"), After("2026-01-01", UUID(int=1))), "after"),
    ],
)
async def test_a_list_refuses_what_it_does_not_know(service: Service, staff: Actor, path: str, query: str, field: str):
    answer = await service.call(staff, "GET", f"/api/{path}?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert answer.headers["content-type"] == "application/problem+json"


async def test_ids_in_filters_are_uuids(service: Service, staff: Actor):
    for query, field in (("engagements?client_id=x", "client_id"), ("projects?engagement_id=x", "engagement_id")):
        answer = await service.call(staff, "GET", f"/api/{query}")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


async def test_a_page_past_the_end_is_empty_and_links_keep_the_filters(service: Service, crowd: Actor):
    body = (await service.call(crowd, "GET", "/api/projects?page=50&limit=10&phase=3&sort=name:asc")).json()
    assert (body["data"], body["meta"]["total"], body["meta"]["last_page"]) == ([], 7, 1)
    assert (body["meta"]["from"], body["meta"]["to"]) == (0, 0)
    for link in (body["links"]["first"], body["links"]["last"], body["links"]["prev"]):
        assert link == "http://service/api/projects?page=1&limit=10&phase=3&sort=name%3Aasc"


@pytest.mark.parametrize("path", ["engagements", "projects"])
async def test_what_comes_and_goes_meanwhile_moves_no_page(
    service: Service, orchestrator: Orchestrator, database: Database, path: str
):
    staff = actors.admin()
    for number in range(4):
        await opens(orchestrator, open_engagement(staff.org_id, name=f"Engagement {number}", names=("One",)))
    there = [each["id"] for each in (await service.call(staff, "GET", f"/api/{path}")).json()["data"]]
    first = (await service.call(staff, "GET", f"/api/{path}?limit=2")).json()
    await opens(orchestrator, open_engagement(staff.org_id, name="New", names=("New",)))
    async with database.transaction(staff.org_id) as tx:
        await tx.run(f"update {path} set cancelled_at = now() where id = $1", UUID(there[0]))
    second = (await service.call(staff, "GET", first["links"]["next"])).json()
    assert [each["id"] for each in second["data"]] == there[2:]
    assert (second["meta"]["current_page"], second["meta"]["from"], second["links"]["next"]) == (2, 3, None)
    again = (await service.call(staff, "GET", second["links"]["prev"])).json()
    assert (again["meta"]["current_page"], again["meta"]["total"], len(again["data"])) == (1, 4, 2)


async def test_an_empty_list_has_one_page(service: Service, staff: Actor):
    body = (await service.call(staff, "GET", "/api/engagements")).json()
    assert body["meta"] == {
        "current_page": 1,
        "from": 0,
        "to": 0,
        "last_page": 1,
        "per_page": 20,
        "total": 0,
        "path": "http://service/api/engagements",
    }
    assert (body["links"]["prev"], body["links"]["next"]) == (None, None)
