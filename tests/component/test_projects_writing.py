"""Projects begun, changed, advanced and deleted by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.engagements.domain import engagements, projects
from services.engagements.model import EngagementChanges, EngagementStatus, Phase, ProjectStatus
from shared import clock
from shared.contracts.engagements import ProjectQuestion, ProjectToOpen
from shared.contracts.proposals import TemplateState
from shared.database import Database
from shared.ids import new_id
from shared.messaging import topology
from shared.web.actor import Role
from tests.component.engagement_desk import NAME, Desk, Owners, owning
from tests.support import actors
from tests.support.commands import Orchestrator, open_engagement, orchestrating
from tests.support.databases import Databases, opened
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import Broker, until
from tests.support.services import Service, running


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


async def in_phase(desk: Desk, phase: Phase, **changes: Any) -> dict[str, Any]:
    """A project that has come to the phase on the legal way."""
    project = await desk.project(**changes)
    for _ in range(phase - 1):
        project = await desk.got("POST", f"projects/{project['id']}/advance")
    assert project["phase_id"] == phase
    return project


async def test_a_new_project_is_active_in_kickoff(desk: Desk):
    engagement, template = await desk.engagement(), desk.owners.template(desk.org)
    made = await desk.project(
        engagement_id=engagement["id"], name="Website", description="All of it", service_id=str(template.id)
    )
    assert made == {
        "id": made["id"],
        "engagement_id": engagement["id"],
        "org_id": str(desk.org),
        "name": "Website",
        "description": "All of it",
        "status": "Active",
        "status_id": 1,
        "phase": "Kickoff",
        "phase_id": 1,
        "service_id": str(template.id),
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "completed_at": None,
        "engagement": {
            "id": engagement["id"],
            "name": engagement["name"],
            "client_id": engagement["client_id"],
            "status": "Active",
        },
        "service": {"id": str(template.id), "name": "Search"},
    }
    assert await desk.got("GET", f"projects/{made['id']}") == made
    summary = {name: value for name, value in made.items() if name not in ("engagement", "service")}
    assert (await desk.got("GET", "projects"))["data"] == [summary]
    assert (await desk.got("GET", f"engagements/{engagement['id']}"))["projects"] == [
        {"id": made["id"], "name": "Website", "status": "Active", "status_id": 1, "phase": "Kickoff", "phase_id": 1}
    ]


async def test_a_member_may_write_too(desk: Desk, service: Service):
    member = Desk(service, desk.owners, replace(actors.admin(desk.org), role=Role.MEMBER))
    made = await member.project()
    await member.got("POST", f"projects/{made['id']}/advance")
    await member.got("DELETE", f"projects/{made['id']}", status=204)


async def test_an_engagement_has_its_projects_in_the_order_in_which_they_were_begun(desk: Desk):
    engagement = (await desk.engagement())["id"]
    made = [(await desk.project(engagement_id=engagement, name=name))["id"] for name in "zaymb"]
    assert [each["id"] for each in (await desk.got("GET", f"engagements/{engagement}"))["projects"]] == made


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"engagement_id", "name"}),
        (
            {"engagement_id": "x", "name": "", "description": 1, "service_id": "y"},
            {"engagement_id", "name", "description", "service_id"},
        ),
        ({"engagement_id": None, "name": None}, {"engagement_id", "name"}),
        ({"engagement_id": str(new_id()), "name": "n" * 256}, {"name"}),
        ({"engagement_id": str(new_id()), "name": "  ", "status": 1, "phase": 2}, {"name", "status", "phase"}),
        ([], {"body"}),
    ],
)
async def test_a_bad_body_names_every_bad_field(desk: Desk, body: object, fields: set[str]):
    assert set((await desk.refused("POST", "projects", body, status=400))["errors"]) == fields


async def test_an_unknown_engagement_or_service_is_told_before_a_closed_engagement(desk: Desk, service: Service):
    foreign = await Desk(service, desk.owners, actors.admin()).engagement()
    for engagement in (foreign["id"], str(new_id())):
        body = {"engagement_id": engagement, "name": "x"}
        assert list((await desk.refused("POST", "projects", body, status=422))["errors"]) == ["engagement_id"]
    closed = await desk.engagement()
    await desk.got("PUT", f"engagements/{closed['id']}", {"status": 3})
    body = {"engagement_id": closed["id"], "name": "x"}
    unknown = body | {"service_id": str(new_id())}
    assert list((await desk.refused("POST", "projects", unknown, status=422))["errors"]) == ["service_id"]
    assert "Closed" in (await desk.refused("POST", "projects", body, status=409))["detail"]
    assert await desk.ids("projects") == []


async def test_a_paused_engagement_takes_projects(desk: Desk):
    engagement = (await desk.engagement())["id"]
    await desk.got("PUT", f"engagements/{engagement}", {"status": 2})
    await desk.project(engagement_id=engagement)


async def test_a_project_waits_for_a_closing_that_is_under_way_and_is_refused(
    desk: Desk, database: Database, databases: Databases, dsn: str
):
    engagement = (await desk.engagement())["id"]
    async with database.transaction(desk.org) as tx:
        locked = await engagements.lock(tx, desk.staff, UUID(engagement))
        await engagements.change(tx, locked, EngagementChanges(status=EngagementStatus.CLOSED), clock.now())
        beginning = asyncio.create_task(desk.call("POST", "projects", {"engagement_id": engagement, "name": "x"}))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    assert (await beginning).status_code == 409


async def test_a_template_is_asked_for_once_and_then_not_needed(desk: Desk):
    template, engagement = desk.owners.template(desk.org), (await desk.engagement())["id"]
    body = {"engagement_id": engagement, "service_id": str(template.id)}
    await desk.project(**body)
    async with desk.owners.away():
        assert (await desk.project(**body))["service"]["name"] == "Search"
        answer = await desk.call("POST", "projects", {**body, "name": "x", "service_id": str(new_id())})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert desk.owners.times_asked(template.id) == 1


async def test_a_template_that_is_deleted_or_of_another_organisation_is_an_unknown_reference(desk: Desk):
    engagement = (await desk.engagement())["id"]
    for template in (desk.owners.template(desk.org, is_deleted=True), desk.owners.template(new_id())):
        body = {"engagement_id": engagement, "name": "x", "service_id": str(template.id)}
        assert list((await desk.refused("POST", "projects", body, status=422))["errors"]) == ["service_id"]


async def test_a_template_known_only_by_a_signatures_name_is_asked_for(desk: Desk, orchestrator: Orchestrator):
    template = new_id()
    item = ProjectToOpen(
        id=new_id(), event_id=new_id(), name="SEO", description="", service_id=template, service_name="As signed"
    )
    command = open_engagement(desk.org, projects=[item])
    await orchestrator.ask(NAME, "open", command, key=f"{command.saga_id}.engagement")
    body = {"engagement_id": str(command.engagement_id), "name": "x", "service_id": str(template)}
    await desk.refused("POST", "projects", body, status=422)
    desk.owners.template(desk.org, id=template, name="As it is now")
    assert (await desk.project(**body))["service"]["name"] == "As it is now"


async def test_a_renamed_template_is_renamed_on_every_project(desk: Desk, orchestrator: Orchestrator):
    template = desk.owners.template(desk.org)
    made = await desk.project(service_id=str(template.id))
    told = TemplateState(
        org_id=desk.org, id=template.id, version=2, name="Found", price=Decimal(1), currency="USD", is_deleted=True
    )
    await orchestrator.tell(topology.event_subject(desk.org, "template", "changed"), "template.changed.v1", told)

    async def is_renamed() -> bool:
        return (await desk.got("GET", f"projects/{made['id']}"))["service"] == {"id": str(template.id), "name": "Found"}

    await until(is_renamed)


async def test_a_change_leaves_what_is_not_sent_and_null_clears_the_description(desk: Desk):
    made = await desk.project(name="Before", description="All of it")
    path = f"projects/{made['id']}"
    renamed = await desk.got("PUT", path, {"name": "After"})
    assert renamed == made | {"name": "After", "updated_at": renamed["updated_at"]}
    assert renamed["updated_at"] > made["updated_at"]
    same = {"name": "After", "description": "All of it", "status": 1, "phase": 1}
    for body in ({}, same):
        assert await desk.got("PUT", path, body) == renamed
    assert (await desk.got("PUT", path, {"description": None}))["description"] is None
    assert (await desk.got("PUT", path, {"description": "Again"}))["description"] == "Again"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"status": 5, "phase": 7}, {"status", "phase"}),
        ({"status": "Active", "phase": "Build"}, {"status", "phase"}),
        ({"name": None, "status": None, "phase": None}, {"name", "status", "phase"}),
        ({"name": "n" * 256}, {"name"}),
        ({"name": ""}, {"name"}),
        ({"engagement_id": str(new_id()), "service_id": None}, {"engagement_id", "service_id"}),
        ([], {"body"}),
    ],
)
async def test_a_bad_change_names_every_bad_field(desk: Desk, body: object, fields: set[str]):
    made = await desk.project()
    assert set((await desk.refused("PUT", f"projects/{made['id']}", body, status=400))["errors"]) == fields


@pytest.mark.parametrize("status", list(ProjectStatus))
async def test_a_project_is_completed_at_some_time_exactly_while_it_is_completed(desk: Desk, status: ProjectStatus):
    path = f"projects/{(await desk.project())['id']}"
    done = await desk.got("PUT", path, {"status": 3})
    assert (done["status"], done["completed_at"]) == ("Completed", done["updated_at"])
    moved = await desk.got("PUT", path, {"status": status})
    assert (moved["status"], moved["status_id"]) == (status.label, status)
    assert moved["completed_at"] == (done["completed_at"] if status is ProjectStatus.COMPLETED else None)


@pytest.mark.parametrize("start", list(Phase))
async def test_a_phase_moves_one_step_forward_or_from_testing_back_to_build(desk: Desk, start: Phase):
    engagement = (await desk.engagement())["id"]
    for wanted in Phase:
        made = await in_phase(desk, start, engagement_id=engagement)
        path = f"projects/{made['id']}"
        if wanted in (start, start + 1) or (start, wanted) == (Phase.TESTING, Phase.BUILD):
            moved = await desk.got("PUT", path, {"phase": wanted})
            assert (moved["phase"], moved["phase_id"]) == (wanted.label, wanted)
        else:
            (told,) = (await desk.refused("PUT", path, {"phase": wanted, "name": "x"}, status=409))["errors"]["phase"]
            assert start.label in told
            assert wanted.label in told
            assert await desk.got("GET", path) == made


async def test_phase_and_status_change_together_or_not_at_all(desk: Desk):
    made = await in_phase(desk, Phase.DEPLOYMENT)
    path = f"projects/{made['id']}"
    await desk.refused("PUT", path, {"phase": 2, "status": 3}, status=409)
    assert await desk.got("GET", path) == made
    done = await desk.got("PUT", path, {"phase": 6, "status": 3})
    assert (done["phase"], done["status"]) == ("Handoff", "Completed")


@pytest.mark.parametrize("status", [2, 3, 4])
async def test_a_phase_moves_only_while_the_project_is_or_becomes_active(desk: Desk, status: int):
    made = await desk.project()
    path = f"projects/{made['id']}"
    paused = await desk.got("PUT", path, {"status": status})
    for body in ({"phase": 2}, {"phase": 2, "status": status}, {"phase": 2, "name": "x"}):
        (detail,) = (await desk.refused("PUT", path, body, status=409))["errors"]["phase"]
        assert all(label in detail for label in ("Kickoff", "Setup", ProjectStatus(status).label))
        assert await desk.got("GET", path) == paused
    assert (await desk.got("PUT", path, {"phase": 1, "name": "x"}))["name"] == "x"
    again = await desk.got("PUT", path, {"phase": 2, "status": 1})
    assert (again["phase"], again["status"], again["completed_at"]) == ("Setup", "Active", None)


async def test_advancing_walks_from_kickoff_to_handoff_and_no_further(desk: Desk):
    made = await in_phase(desk, Phase.HANDOFF)
    problem = await desk.refused("POST", f"projects/{made['id']}/advance", status=409)
    assert "Handoff" in problem["detail"]
    assert list(problem["errors"]) == ["phase"]
    assert await desk.got("GET", f"projects/{made['id']}") == made


@pytest.mark.parametrize("status", [2, 3, 4])
async def test_only_an_active_project_advances(desk: Desk, status: int):
    made = await desk.project()
    await desk.got("PUT", f"projects/{made['id']}", {"status": status})
    problem = await desk.refused("POST", f"projects/{made['id']}/advance", status=409)
    assert ProjectStatus(status).label in problem["detail"]


async def test_of_concurrent_advances_each_makes_one_step(desk: Desk, orchestrator: Orchestrator):
    made = await desk.project()
    path = f"projects/{made['id']}"
    answers = await asyncio.gather(*(desk.call("POST", f"{path}/advance") for _ in range(7)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [409] * 2
    assert (await desk.got("GET", path))["phase"] == "Handoff"
    heard = await orchestrator.hears(desk.org, 7)
    assert sorted(body["version"] for name, _, body in heard if name.startswith("project")) == [1, 2, 3, 4, 5, 6]


async def test_a_deleted_project_is_gone_from_every_list_and_from_its_engagement(desk: Desk, service: Service):
    made = await desk.project()
    kept = await desk.project(engagement_id=made["engagement_id"], name="Kept")
    path = f"projects/{made['id']}"
    gone = await desk.call("DELETE", path)
    assert (gone.status_code, gone.content) == (204, b"")
    for query in ("", "?status=1", "?phase=1", f"?engagement_id={made['engagement_id']}"):
        assert await desk.ids(f"projects{query}") == [kept["id"]]
    engagement = await desk.got("GET", f"engagements/{made['engagement_id']}")
    assert [each["id"] for each in engagement["projects"]] == [kept["id"]]
    for method, where, body in (
        ("GET", path, None),
        ("PUT", path, {"name": "x"}),
        ("DELETE", path, None),
        ("POST", f"{path}/advance", None),
    ):
        await desk.refused(method, where, body, status=404)
    client = Desk(service, desk.owners, actors.client(desk.org, id=UUID(engagement["client_id"])))
    await client.refused("GET", path, status=404)
    assert await client.ids("projects") == [kept["id"]]


async def test_events_tell_the_whole_state_and_a_deletion_leaves_a_tombstone(desk: Desk, orchestrator: Orchestrator):
    made = await desk.project(name="Before")
    path = f"projects/{made['id']}"
    await desk.got("PUT", path, {"name": "After", "phase": 2, "status": 2})
    await desk.got("PUT", path, {"name": "After"})
    question = ProjectQuestion(org_id=desk.org, id=UUID(made["id"]))
    whole = {
        "org_id": str(desk.org),
        "id": made["id"],
        "engagement_id": made["engagement_id"],
        "client_id": made["engagement"]["client_id"],
        "name": "After",
    }
    assert await desk.owners.ask("project", question) == whole | {"version": 2, "is_deleted": False}
    await desk.got("DELETE", path, status=204)
    heard = await orchestrator.hears(desk.org, 4)
    told = {body["version"]: (name, body) for name, _, body in heard if name.startswith("project")}
    assert {version: name for version, (name, _) in told.items()} == {
        1: "project.opened",
        2: "project.changed",
        3: "project.deleted",
    }
    assert told[1][1] == whole | {"version": 1, "is_deleted": False, "name": "Before"}
    assert told[2][1] == whole | {"version": 2, "is_deleted": False}
    assert told[3][1] == await desk.owners.ask("project", question) == whole | {"version": 3, "is_deleted": True}
    types = {headers["ce-type"] for headers in orchestrator.headers_of_events(desk.org)}
    assert types == {"engagement.opened.v1", "project.opened.v1", "project.changed.v1", "project.deleted.v1"}


async def test_an_absent_or_foreign_project_is_answered_with_nothing(desk: Desk):
    made = await desk.project()
    for org, id in ((desk.org, new_id()), (new_id(), UUID(made["id"]))):
        assert await desk.owners.ask("project", ProjectQuestion(org_id=org, id=id)) is None


async def test_a_client_may_write_nothing_whatever_the_id_or_body(desk: Desk, service: Service):
    made = await desk.project()
    client = Desk(service, desk.owners, actors.client(desk.org, id=UUID(made["engagement"]["client_id"])))
    for method, path, body in (
        ("POST", "projects", {"engagement_id": made["engagement_id"], "name": "x"}),
        ("POST", "projects", []),
        ("PUT", f"projects/{made['id']}", {"name": "x"}),
        ("PUT", "projects/nonsense", []),
        ("DELETE", f"projects/{made['id']}", None),
        ("POST", f"projects/{made['id']}/advance", None),
        ("POST", "projects/nonsense/advance", None),
    ):
        await client.refused(method, path, body, status=403)
    assert await client.got("GET", f"projects/{made['id']}") == made


async def test_absent_foreign_and_malformed_ids_look_alike_before_the_body_is_looked_at(desk: Desk, service: Service):
    foreign = await Desk(service, desk.owners, actors.admin()).project()
    for method, more, body in (
        ("PUT", "", {"name": "x"}),
        ("PUT", "", {"nonsense": 1}),
        ("DELETE", "", None),
        ("POST", "/advance", None),
    ):
        problems = [
            await desk.refused(method, f"projects/{id}{more}", body, status=404)
            for id in (foreign["id"], new_id(), "nonsense")
        ]
        assert len({(each["type"], each["title"], each["detail"]) for each in problems}) == 1


async def test_a_stale_change_is_refused_before_it_is_made(desk: Desk):
    body = {"engagement_id": (await desk.engagement())["id"], "name": "Before"}
    made = await desk.call("POST", "projects", body)
    path, tag = f"projects/{made.json()['id']}", made.headers["etag"]
    assert (await desk.call("GET", path)).headers["etag"] == tag
    assert (await desk.call("GET", path, if_none_match=tag)).status_code == 304
    changed = await desk.call("PUT", path, {"name": "After"}, if_match=tag)
    assert (changed.status_code, (await desk.call("GET", path)).headers["etag"]) == (200, changed.headers["etag"])
    for method, where, late in (
        ("PUT", path, {"phase": 5}),
        ("DELETE", path, None),
        ("POST", f"{path}/advance", None),
    ):
        assert (await desk.call(method, where, late, if_match=tag)).status_code == 412
    assert await desk.got("GET", path) == changed.json()
    assert (await desk.call("PUT", path, {"phase": 5}, if_match=changed.headers["etag"])).status_code == 409
    assert (await desk.call("DELETE", path, if_match=changed.headers["etag"])).status_code == 204


async def test_a_renamed_engagement_is_seen_but_makes_no_version_of_its_projects_stale(desk: Desk):
    made = await desk.project()
    path = f"projects/{made['id']}"
    before = (await desk.call("GET", path)).headers["etag"]
    await desk.got("PUT", f"engagements/{made['engagement_id']}", {"name": "Renamed"})
    after = await desk.call("GET", path, if_none_match=before)
    assert (after.status_code, after.json()["engagement"]["name"]) == (200, "Renamed")
    assert (await desk.call("PUT", path, {"name": "x"}, if_match=before)).status_code == 200


async def test_the_same_key_begins_one_project_and_makes_one_step(desk: Desk):
    body = {"engagement_id": (await desk.engagement())["id"], "name": "Website"}
    first, again = [await desk.call("POST", "projects", body, idempotency_key="k") for _ in range(2)]
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert (again.headers["etag"], again.headers["idempotent-replayed"]) == (first.headers["etag"], "true")
    path = f"projects/{first.json()['id']}/advance"
    steps = [await desk.call("POST", path, idempotency_key="step") for _ in range(2)]
    assert [(step.status_code, step.json()["phase"]) for step in steps] == [(200, "Setup")] * 2
    elsewhere = await desk.call("POST", path, idempotency_key="k")
    assert (elsewhere.status_code, "idempotent-replayed" in elsewhere.headers) == (200, False)
    assert len(await desk.ids("projects")) == 1


async def test_lists_are_narrowed_by_status_phase_and_engagement(desk: Desk):
    first = await in_phase(desk, Phase.SETUP)
    second = await in_phase(desk, Phase.BUILD)
    await desk.got("PUT", f"projects/{second['id']}", {"status": 2})
    assert await desk.ids("projects?phase=3") == [second["id"]]
    assert await desk.ids("projects?status=2&phase=3") == [second["id"]]
    assert await desk.ids("projects?status=1&phase=3") == []
    assert await desk.ids(f"projects?engagement_id={first['engagement_id']}") == [first["id"]]
    assert await desk.ids("projects?sort=phase:desc") == [second["id"], first["id"]]
    assert await desk.ids("projects?sort=updated_at:asc") == [first["id"], second["id"]]


async def test_deleting_waits_for_a_change_that_is_under_way(
    desk: Desk, database: Database, databases: Databases, dsn: str, orchestrator: Orchestrator
):
    made = await desk.project()
    async with database.transaction(desk.org) as tx:
        locked = await projects.lock(tx, desk.staff, UUID(made["id"]))
        await projects.advance(tx, locked, clock.now())
        deleting = asyncio.create_task(desk.call("DELETE", f"projects/{made['id']}"))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    assert (await deleting).status_code == 204
    told = await desk.owners.ask("project", ProjectQuestion(org_id=desk.org, id=UUID(made["id"])))
    assert (told["version"], told["is_deleted"]) == (3, True)
