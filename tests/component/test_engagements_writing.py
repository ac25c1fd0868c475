"""Engagements made, changed and closed by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.engagements.domain import engagements as domain
from services.engagements.model import MOST_PROJECTS
from shared import clock
from shared.contracts.engagements import EngagementQuestion
from shared.contracts.identity import CloseClient
from shared.database import Database
from shared.ids import new_id
from shared.messaging import topology
from shared.web.actor import Role
from tests.component.engagement_desk import NAME, Desk, Owners, owning
from tests.support import actors
from tests.support.commands import Orchestrator, cancel_engagement, open_engagement, orchestrating
from tests.support.databases import Databases, opened
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import Broker, until
from tests.support.services import Service, running

ADD_PROJECTS = """
insert into projects (id, org_id, engagement_id, client_id, name, description, status, phase, created_at, updated_at)
select gen_random_uuid(), $1, $2, $3, lpad(n::text, 4, '0'), 'Long', 1, 1,
  now() + n * interval '1 second', now() from generate_series(1, $4::int) n
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh(NAME) as fresh:
        yield fresh


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(dsn: str, shared_broker: Broker) -> AsyncIterator[Service]:
    async with running(NAME, dsn, shared_broker) as running_service:
        yield running_service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owners(service: Service, shared_broker: Broker) -> AsyncIterator[Owners]:
    async with owning(shared_broker) as there:
        yield there


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def orchestrator(service: Service, shared_broker: Broker) -> AsyncIterator[Orchestrator]:
    async with orchestrating(shared_broker) as player:
        yield player


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(dsn: str) -> AsyncIterator[Database]:
    async with opened(dsn) as there:
        yield there


@pytest.fixture
def desk(service: Service, owners: Owners) -> Desk:
    """Staff of an organisation that nobody has used."""
    return Desk(service, owners, actors.admin())


def as_client(desk: Desk, service: Service, client: UUID) -> Desk:
    return Desk(service, desk.owners, actors.client(desk.org, id=client))


async def test_a_new_engagement_is_active_and_named_after_its_client(desk: Desk):
    client, proposal = desk.owners.client(desk.org), str(desk.owners.proposal(desk.org).id)
    made = await desk.engagement(client_id=str(client.id), proposal_id=proposal)
    assert made == {
        "id": made["id"],
        "org_id": str(desk.org),
        "client_id": str(client.id),
        "client": {"id": str(client.id), "name": "Jane Roe", "email": "jane@roe.example"},
        "name": "Jane Roe - Engagement",
        "status": "Active",
        "status_id": 1,
        "proposal_id": proposal,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "closed_at": None,
    }
    read = await desk.got("GET", f"engagements/{made['id']}")
    assert read == made | {"projects": [], "conversations": []}
    assert (await desk.got("GET", "engagements"))["data"] == [made]


async def test_a_member_opens_and_closes_engagements_too(desk: Desk, service: Service):
    member = Desk(service, desk.owners, replace(actors.admin(desk.org), role=Role.MEMBER))
    made = await member.engagement()
    assert (await member.call("DELETE", f"engagements/{made['id']}")).status_code == 204


@pytest.mark.parametrize(("sent", "name"), [("Retainer 2026", "Retainer 2026"), ("é" * 255, "é" * 255), (" ", None)])
async def test_an_engagement_has_the_name_that_it_is_given(desk: Desk, sent: str, name: str | None):
    assert (await desk.engagement(name=sent))["name"] == (name or "Jane Roe - Engagement")


async def test_a_name_made_of_the_clients_is_cut_to_255_characters(desk: Desk):
    client = desk.owners.client(desk.org, name_f="F" * 100, name_l="L" * 200)
    assert len((await desk.engagement(client_id=str(client.id)))["name"]) == 255


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"client_id"}),
        ({"client_id": None}, {"client_id"}),
        (
            {"client_id": "x", "name": "n" * 256, "proposal_id": 7, "status": 1},
            {"client_id", "name", "proposal_id", "status"},
        ),
        ({"client_id": str(new_id()), "name": None}, {"name"}),
        ({"client_id": str(new_id()), "name": "a\0b"}, {"name"}),
        ([], {"body"}),
    ],
)
async def test_a_bad_body_names_every_bad_field(desk: Desk, body: object, fields: set[str]):
    assert set((await desk.refused("POST", "engagements", body, status=400))["errors"]) == fields


async def test_a_client_who_does_not_exist_is_an_unknown_reference_and_asked_for_each_time(desk: Desk):
    nobody = new_id()
    for _ in range(2):
        problem = await desk.refused("POST", "engagements", {"client_id": str(nobody)}, status=422)
        assert list(problem["errors"]) == ["client_id"]
    assert desk.owners.times_asked(nobody) == 2


async def test_a_client_of_another_organisation_is_an_unknown_reference(desk: Desk, service: Service):
    foreign = desk.owners.client(new_id())
    await desk.refused("POST", "engagements", {"client_id": str(foreign.id)}, status=422)
    there = Desk(service, desk.owners, actors.admin(foreign.org_id))
    await there.engagement(client_id=str(foreign.id))
    await desk.refused("POST", "engagements", {"client_id": str(foreign.id)}, status=422)


async def test_a_proposal_that_is_not_there_or_foreign_is_an_unknown_reference(desk: Desk):
    client = str(desk.owners.client(desk.org).id)
    for unknown in (new_id(), desk.owners.proposal(new_id()).id):
        body = {"client_id": client, "proposal_id": str(unknown)}
        problem = await desk.refused("POST", "engagements", body, status=422)
        assert list(problem["errors"]) == ["proposal_id"]
    assert await desk.ids("engagements") == []


async def test_a_proposal_of_another_client_is_refused_before_one_that_is_signed(desk: Desk):
    client = str(desk.owners.client(desk.org).id)
    for answers, status in (
        ({"is_of_client": False}, 422),
        ({"is_of_client": False, "is_signed": True}, 422),
        ({"is_signed": True}, 409),
    ):
        body = {"client_id": client, "proposal_id": str(desk.owners.proposal(desk.org, **answers).id)}
        assert list((await desk.refused("POST", "engagements", body, status=status))["errors"]) == ["proposal_id"]
        unknown = await desk.refused("POST", "engagements", body | {"client_id": str(new_id())}, status=422)
        assert list(unknown["errors"]) == ["client_id"]
    assert await desk.ids("engagements") == []


async def test_a_proposal_that_nobody_can_be_asked_for_is_a_matter_of_time(desk: Desk):
    client, proposal = (await desk.engagement())["client_id"], str(desk.owners.proposal(desk.org).id)
    async with desk.owners.away():
        body = {"client_id": client, "proposal_id": proposal}
        answer = await desk.call("POST", "engagements", body)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        await desk.engagement(client_id=client)
    assert (await desk.engagement(client_id=client, proposal_id=proposal))["proposal_id"] == proposal


async def test_identity_is_asked_once_and_then_not_needed(desk: Desk):
    client = desk.owners.client(desk.org)
    await desk.engagement(client_id=str(client.id))
    async with desk.owners.away():
        await desk.engagement(client_id=str(client.id))
        answer = await desk.call("POST", "engagements", {"client_id": str(new_id())})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert desk.owners.times_asked(client.id) == 1


@pytest.mark.parametrize("flags", [{"is_closed": True}, {"is_closed": True, "is_deleted": True}])
async def test_a_client_who_is_closed_is_refused(desk: Desk, flags: dict[str, bool]):
    client = desk.owners.client(desk.org, **flags)
    refused = await desk.call("POST", "engagements", {"client_id": str(client.id)})
    cause = "There is no such client." if client.is_deleted else "The client is about to be deleted."
    assert (refused.status_code, refused.json()["errors"]) == (422, {"client_id": [cause]})
    assert await desk.ids("engagements") == []


async def test_a_client_who_was_opened_again_is_taken_at_once(desk: Desk):
    client = desk.owners.client(desk.org)
    await desk.owners.ask("close-client", CloseClient(client=replace(client, version=2, is_closed=True)))
    desk.owners.client(desk.org, id=client.id, version=3)
    await desk.engagement(client_id=str(client.id))


async def test_closing_a_client_counts_what_hangs_on_them_and_lets_nothing_new_do(desk: Desk):
    client = desk.owners.client(desk.org)
    await desk.engagement()
    closed = desk.owners.client(desk.org, id=client.id, version=2, is_closed=True)
    assert await desk.owners.ask("close-client", CloseClient(client=closed)) == {"count": 0}
    assert await desk.owners.ask("close-client", CloseClient(client=closed)) == {"count": 0}
    await desk.refused("POST", "engagements", {"client_id": str(client.id)}, status=422)


async def test_closed_engagements_count_and_undone_ones_do_not(desk: Desk, orchestrator: Orchestrator):
    client = desk.owners.client(desk.org)
    made = await desk.engagement(client_id=str(client.id))
    await desk.got("DELETE", f"engagements/{made['id']}", status=204)
    undone = open_engagement(desk.org, client=client)
    await orchestrator.ask(NAME, "open", undone, key=f"{undone.saga_id}.engagement")
    await orchestrator.ask(NAME, "cancel", cancel_engagement(undone), key=f"{undone.saga_id}.engagement.cancel")
    closed = replace(client, version=2, is_closed=True)
    assert await desk.owners.ask("close-client", CloseClient(client=closed)) == {"count": 1}


async def test_an_older_word_does_not_close_a_client_who_is_open_again(desk: Desk):
    client = desk.owners.client(desk.org, version=3)
    await desk.engagement(client_id=str(client.id))
    late = replace(client, version=2, is_closed=True)
    assert await desk.owners.ask("close-client", CloseClient(client=late)) == {"count": 1}
    async with desk.owners.away():
        await desk.engagement(client_id=str(client.id))


async def test_closing_waits_for_a_create_that_is_under_way_and_counts_it(
    desk: Desk, database: Database, databases: Databases, dsn: str
):
    client = desk.owners.client(desk.org)
    await desk.engagement(client_id=str(client.id))
    async with database.transaction(desk.org) as tx:
        new = domain.NewEngagement(client_id=client.id, name="", proposal_id=None)
        await domain.create(tx, desk.staff, new, clock.now())
        closing = asyncio.create_task(
            desk.owners.ask("close-client", CloseClient(client=replace(client, version=2, is_closed=True)))
        )
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    assert await closing == {"count": 2}


async def test_a_create_waits_for_a_closing_that_is_under_way_and_is_refused(
    desk: Desk, database: Database, databases: Databases, dsn: str
):
    client = desk.owners.client(desk.org)
    await desk.engagement(client_id=str(client.id))
    async with database.transaction(desk.org) as tx:
        closed = await domain.close_client(tx, CloseClient(client=replace(client, version=2, is_closed=True)))
        creating = asyncio.create_task(desk.call("POST", "engagements", {"client_id": str(client.id)}))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    assert (closed.count, (await creating).status_code) == (1, 422)


async def test_a_renamed_client_is_renamed_on_every_engagement(desk: Desk, orchestrator: Orchestrator):
    client = desk.owners.client(desk.org)
    made = await desk.engagement(client_id=str(client.id))
    told = replace(client, version=2, name_l="Doe")
    await orchestrator.tell(topology.event_subject(desk.org, "client", "changed"), "client.changed.v1", told)

    async def is_renamed() -> bool:
        return (await desk.got("GET", f"engagements/{made['id']}"))["client"]["name"] == "Jane Doe"

    await until(is_renamed)


async def test_entering_closed_is_timed_and_leaving_it_clears_the_time(desk: Desk):
    path = f"engagements/{(await desk.engagement())['id']}"
    closed = await desk.got("PUT", path, {"status": 3})
    assert (closed["status"], closed["status_id"], closed["closed_at"]) == ("Closed", 3, closed["updated_at"])
    again = await desk.got("PUT", path, {"status": 3})
    assert again == closed
    paused = await desk.got("PUT", path, {"status": 2})
    assert (paused["status"], paused["closed_at"]) == ("Paused", None)


async def test_a_change_leaves_what_is_not_sent(desk: Desk):
    made = await desk.engagement(name="Before", proposal_id=str(desk.owners.proposal(desk.org).id))
    path = f"engagements/{made['id']}"
    renamed = await desk.got("PUT", path, {"name": "After"})
    assert renamed == made | {"name": "After", "updated_at": renamed["updated_at"]}
    assert renamed["updated_at"] > made["updated_at"]
    assert await desk.got("PUT", path, {}) == renamed
    assert await desk.got("PUT", path, {"name": "After", "status": 1}) == renamed
    assert await desk.got("GET", path) == renamed | {"projects": [], "conversations": []}
    assert (await desk.got("PUT", path, {"name": ""}))["name"] == "Jane Roe - Engagement"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"status": 4}, {"status"}),
        ({"status": 0}, {"status"}),
        ({"status": "Active"}, {"status"}),
        ({"status": None, "name": None}, {"status", "name"}),
        ({"name": "n" * 256}, {"name"}),
        ({"client_id": str(new_id())}, {"client_id"}),
        ([], {"body"}),
    ],
)
async def test_a_bad_change_names_every_bad_field(desk: Desk, body: object, fields: set[str]):
    made = await desk.engagement()
    assert set((await desk.refused("PUT", f"engagements/{made['id']}", body, status=400))["errors"]) == fields


async def test_deleting_closes_and_closing_again_changes_nothing(desk: Desk):
    made = await desk.engagement()
    path = f"engagements/{made['id']}"
    first = await desk.call("DELETE", path)
    assert (first.status_code, first.content) == (204, b"")
    closed = await desk.got("GET", path)
    assert (closed["status"], closed["closed_at"]) == ("Closed", closed["updated_at"])
    await desk.got("DELETE", path, status=204)
    assert await desk.got("GET", path) == closed
    assert await desk.ids("engagements?status=3") == [made["id"]]


async def test_a_client_may_write_nothing_whatever_the_id_or_body(desk: Desk, service: Service):
    made = await desk.engagement()
    client = as_client(desk, service, UUID(made["client_id"]))
    for method, path, body in (
        ("POST", "engagements", {"client_id": made["client_id"]}),
        ("POST", "engagements", []),
        ("PUT", f"engagements/{made['id']}", {"name": "x"}),
        ("PUT", "engagements/nonsense", []),
        ("DELETE", f"engagements/{made['id']}", None),
        ("DELETE", f"engagements/{new_id()}", None),
    ):
        await client.refused(method, path, body, status=403)
    assert (await client.got("GET", f"engagements/{made['id']}"))["name"] == made["name"]


async def test_absent_foreign_and_malformed_ids_look_alike_before_the_body_is_looked_at(desk: Desk, service: Service):
    foreign = await Desk(service, desk.owners, actors.admin()).engagement()
    for method, body in (("PUT", {"name": "x"}), ("PUT", {"nonsense": 1}), ("DELETE", None), ("GET", None)):
        problems = [
            await desk.refused(method, f"engagements/{id}", body, status=404)
            for id in (foreign["id"], new_id(), "nonsense")
        ]
        assert len({(each["type"], each["title"], each["detail"]) for each in problems}) == 1
    plain = await service.call(
        desk.staff, "PUT", f"/api/engagements/{new_id()}", content=b"{", headers={"content-type": "text/plain"}
    )
    assert plain.status_code == 404


async def test_a_stale_change_is_refused_before_it_is_made(desk: Desk):
    made = await desk.call("POST", "engagements", {"client_id": str(desk.owners.client(desk.org).id)})
    path, tag = f"engagements/{made.json()['id']}", made.headers["etag"]
    changed = await desk.call("PUT", path, {"name": "After"}, if_match=tag)
    assert changed.status_code == 200
    for method, body in (("PUT", {"name": "Late"}), ("DELETE", None)):
        assert (await desk.call(method, path, body, if_match=tag)).status_code == 412
    assert (await desk.got("GET", path))["name"] == "After"
    assert (await desk.call("DELETE", path, if_match=changed.headers["etag"])).status_code == 204


async def test_a_new_project_is_seen_but_makes_no_version_of_the_engagement_stale(desk: Desk):
    made = await desk.engagement()
    path = f"engagements/{made['id']}"
    before = (await desk.call("GET", path)).headers["etag"]
    assert (await desk.call("GET", path, if_none_match=before)).status_code == 304
    await desk.project(engagement_id=made["id"])
    after = await desk.call("GET", path, if_none_match=before)
    assert (after.status_code, len(after.json()["projects"])) == (200, 1)
    assert (await desk.call("PUT", path, {"name": "x"}, if_match=before)).status_code == 200


async def test_the_same_key_opens_one_engagement(desk: Desk):
    body = {"client_id": str(desk.owners.client(desk.org).id)}
    first, again = [await desk.call("POST", "engagements", body, idempotency_key="k") for _ in range(2)]
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (201, 201, "true")
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    other = await desk.call("POST", "engagements", body | {"name": "x"}, idempotency_key="k")
    assert other.status_code == 422
    assert len(await desk.ids("engagements")) == 1


async def test_a_request_that_another_one_under_its_key_overtook_is_not_given_that_ones_answer(desk: Desk):
    client, proposal = (await desk.engagement())["client_id"], desk.owners.proposal(desk.org).id
    async with desk.owners.thinking():
        body = {"client_id": client, "proposal_id": str(proposal)}
        slow = asyncio.create_task(desk.call("POST", "engagements", body, idempotency_key="one"))
        await until(lambda: desk.owners.times_asked(proposal) == 1)
        quick = await desk.call("POST", "engagements", {"client_id": client}, idempotency_key="one")
    overtaken = await slow
    assert (quick.status_code, overtaken.status_code) == (201, 422)
    assert len(await desk.ids("engagements")) == 2


async def test_an_unknown_client_burns_no_key(desk: Desk):
    client = new_id()
    first = await desk.call("POST", "engagements", {"client_id": str(client)}, idempotency_key="k")
    desk.owners.client(desk.org, id=client)
    again = await desk.call("POST", "engagements", {"client_id": str(client)}, idempotency_key="k")
    assert (first.status_code, again.status_code, "idempotent-replayed" in again.headers) == (422, 201, False)


async def test_events_tell_the_whole_state_of_each_change_and_of_nothing_else(desk: Desk, orchestrator: Orchestrator):
    made = await desk.engagement()
    path = f"engagements/{made['id']}"
    await desk.got("PUT", path, {"name": "After", "status": 2})
    await desk.got("PUT", path, {"name": "After"})
    await desk.got("DELETE", path, status=204)
    heard = {body["version"]: (name, body) for name, _, body in await orchestrator.hears(desk.org, 3)}
    told = [(version, name, body["name"], body["status"]) for version, (name, body) in sorted(heard.items())]
    assert told == [
        (1, "engagement.opened", "Jane Roe - Engagement", 1),
        (2, "engagement.changed", "After", 2),
        (3, "engagement.changed", "After", 3),
    ]
    assert {headers["ce-type"] for headers in orchestrator.headers_of_events(desk.org)} == {
        "engagement.opened.v1",
        "engagement.changed.v1",
    }
    whole = {"org_id": str(desk.org), "id": made["id"], "client_id": made["client_id"], "proposal_id": None}
    asked = await desk.owners.ask("engagement", EngagementQuestion(org_id=desk.org, id=UUID(made["id"])))
    assert asked == heard[3][1] == heard[3][1] | whole | {"is_cancelled": False}


async def test_what_is_asked_of_an_undone_or_absent_engagement_is_a_tombstone_or_nothing(
    desk: Desk, orchestrator: Orchestrator
):
    command = open_engagement(desk.org)
    await orchestrator.ask(NAME, "open", command, key=f"{command.saga_id}.engagement")
    await orchestrator.ask(NAME, "cancel", cancel_engagement(command), key=f"{command.saga_id}.engagement.cancel")
    question = EngagementQuestion(org_id=desk.org, id=command.engagement_id)
    told = await desk.owners.ask("engagement", question)
    assert (told["version"], told["is_cancelled"]) == (2, True)
    assert await desk.owners.ask("engagement", replace(question, id=new_id())) is None
    assert await desk.owners.ask("engagement", replace(question, org_id=new_id())) is None


async def test_undoing_a_signature_takes_what_was_added_by_hand_with_it(desk: Desk, orchestrator: Orchestrator):
    command = open_engagement(desk.org)
    await orchestrator.ask(NAME, "open", command, key=f"{command.saga_id}.engagement")
    added = await desk.project(engagement_id=str(command.engagement_id))
    await orchestrator.ask(NAME, "cancel", cancel_engagement(command), key=f"{command.saga_id}.engagement.cancel")
    await desk.refused("GET", f"projects/{added['id']}", status=404)
    assert await desk.ids("projects") == []
    for method, body in (("PUT", {"name": "x"}), ("DELETE", None)):
        await desk.refused(method, f"engagements/{command.engagement_id}", body, status=404)


async def test_concurrent_changes_each_make_a_version_of_their_own(desk: Desk, orchestrator: Orchestrator):
    made = await desk.engagement()
    await asyncio.gather(*(desk.got("PUT", f"engagements/{made['id']}", {"name": f"{n}"}) for n in range(8)))
    heard = await orchestrator.hears(desk.org, 9)
    assert sorted(body["version"] for _, _, body in heard) == list(range(1, 10))
    newest = max((body for _, _, body in heard), key=lambda body: body["version"])
    assert (await desk.got("GET", f"engagements/{made['id']}"))["name"] == newest["name"]


async def test_lists_are_narrowed_by_status_and_client(desk: Desk, service: Service):
    first, second = await desk.engagement(), await desk.engagement()
    await desk.got("PUT", f"engagements/{second['id']}", {"status": 2})
    assert await desk.ids("engagements?status=2") == [second["id"]]
    assert await desk.ids(f"engagements?client_id={first['client_id']}") == [first["id"]]
    assert await desk.ids(f"engagements?client_id={first['client_id']}&status=2") == []
    assert await desk.ids("engagements?sort=status:desc") == [second["id"], first["id"]]
    assert await as_client(desk, service, UUID(first["client_id"])).ids("engagements") == [first["id"]]


async def test_an_engagement_brings_its_first_thousand_projects_along(desk: Desk, database: Database):
    engagement = await desk.engagement()
    async with database.transaction(desk.org) as tx:
        await tx.run(ADD_PROJECTS, desk.org, engagement["id"], engagement["client_id"], MOST_PROJECTS + 1)
    names = [project["name"] for project in (await desk.got("GET", f"engagements/{engagement['id']}"))["projects"]]
    assert names == [f"{number:04}" for number in range(1, MOST_PROJECTS + 1)]
    last = f"projects?engagement_id={engagement['id']}&limit=1"
    listed = await desk.got("GET", last)
    assert (listed["meta"]["total"], listed["data"][0]["name"]) == (MOST_PROJECTS + 1, f"{MOST_PROJECTS + 1:04}")
    assert listed["data"][0]["description"] == "Long"
