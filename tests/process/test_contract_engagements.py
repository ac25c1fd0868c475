"""The contract's tables of engagements and projects, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from shared.ids import new_id
from tests.support.contract import Body, List, Stage, names, sent, walk_body, walk_list
from tests.support.contract_roles import walk_roles

ENGAGEMENT = "id, org_id, client_id, client, name, status, status_id, proposal_id, created_at, updated_at, closed_at"
PROJECT = (
    "id, engagement_id, org_id, name, description, status, status_id, phase, phase_id, service_id, created_at,"
    "updated_at, completed_at"
)
CALLS = {  # admin, member, client, another client
    "GET /api/engagements": "200 200 200 200",
    "POST /api/engagements ← {}": "400 400 403 403",
    "GET /api/engagements/{engagement_id}": "200 200 200 404",
    "PUT /api/engagements/{engagement_id} ← {}": "200 200 403 403",
    "DELETE /api/engagements/{client_id}": "404 404 403 403",
    "GET /api/projects": "200 200 200 200",
    "POST /api/projects ← {}": "400 400 403 403",
    "GET /api/projects/{project_id}": "200 200 200 404",
    "PUT /api/projects/{project_id} ← {}": "200 200 403 403",
    "DELETE /api/projects/{client_id}": "404 404 403 403",
    "POST /api/projects/{client_id}/advance": "404 404 403 403",
}
ENGAGEMENT_STATUSES = [(1, "Active"), (2, "Paused"), (3, "Closed")]
PROJECT_STATUSES = [(1, "Active"), (2, "Paused"), (3, "Completed"), (4, "Cancelled")]
PHASES = ["Kickoff", "Setup", "Build", "Testing", "Deployment", "Handoff"]


def lists(stage: Stage) -> list[List]:
    return [
        List(
            "/api/engagements",
            sort="id, name, status, created_at, updated_at",
            filters={"status": (1, "status_id"), "client_id": (stage.ids["client_id"], "client_id")},
        ),
        List(
            "/api/projects",
            sort="id, name, status, phase, created_at, updated_at",
            filters={
                "status": (1, "status_id"),
                "phase": (1, "phase_id"),
                "engagement_id": (stage.ids["engagement_id"], "engagement_id"),
            },
        ),
    ]


async def bodies(stage: Stage) -> list[Body]:
    return [
        Body(
            create="POST /api/engagements",
            whole={
                "client_id": stage.ids["client_id"],
                "name": "Retainer",
                "proposal_id": await sent(stage),
            },
            required="client_id",
            nullable="proposal_id",
            change="PUT /api/engagements/{id}",
            cannot_change="client_id, proposal_id",
            bad=[("client_id", "x"), ("name", "n" * 256), ("name", 1), ("proposal_id", "x")],
        ),
        Body(
            create="POST /api/projects",
            whole={
                "engagement_id": stage.ids["engagement_id"],
                "name": "Website",
                "description": "All",
                "service_id": stage.ids["service_id"],
            },
            required="engagement_id, name",
            nullable="description, service_id",
            change="PUT /api/projects/{id}",
            cannot_change="engagement_id, service_id",
            bad=[("engagement_id", "x"), ("name", ""), ("name", "n" * 256), ("description", 1), ("service_id", "x")],
        ),
    ]


async def test_each_call_answers_each_role_as_the_table_says(stage: Stage):
    await walk_roles(stage, CALLS)


@pytest.mark.parametrize("which", [0, 1], ids=["engagement", "project"])
async def test_a_body_holds_what_the_table_says(stage: Stage, which: int):
    await walk_body(stage, (await bodies(stage))[which])


@pytest.mark.parametrize("which", [0, 1], ids=["engagements", "projects"])
async def test_a_list_sorts_filters_and_pages_as_the_table_says(stage: Stage, document: dict[str, Any], which: int):
    await walk_list(stage, lists(stage)[which], document)


async def test_each_answer_has_the_fields_of_the_table(stage: Stage):
    engagement = await stage.got("client", "GET /api/engagements/{engagement_id}")
    assert set(engagement) == names(ENGAGEMENT) | {"projects", "conversations"}
    assert set(engagement["client"]) == names("id, name, email")
    assert {frozenset(each) for each in engagement["projects"]} == {
        frozenset(names("id, name, status, status_id, phase, phase_id"))
    }
    assert {frozenset(each) for each in engagement["conversations"]} == {
        frozenset(names("id, project_id, subject, status, status_id, message_count, last_message_at"))
    }
    project = await stage.got("client", "GET /api/projects/{project_id}")
    assert set(project) == names(PROJECT) | {"engagement", "service"}
    assert set(project["engagement"]) == names("id, name, client_id, status")
    assert project["service"] == {"id": stage.ids["service_id"], "name": "Website"}
    for path, fields in (("engagements", ENGAGEMENT), ("projects", PROJECT)):
        listed = (await stage.got("client", f"GET /api/{path}?limit=100"))["data"]
        assert {frozenset(each) for each in listed} == {frozenset(names(fields))}


async def test_what_an_engagement_refers_to_is_there(stage: Stage):
    theirs, another = await sent(stage), await sent(stage, client_email=stage.ids["stranger_email"])
    body = {"client_id": stage.ids["client_id"], "proposal_id": theirs}
    assert (await stage.made("POST /api/engagements", body))["proposal_id"] == theirs
    await stage.got("admin", f"DELETE /api/proposals/{theirs}", status=204)
    for unknown in (theirs, another, str(new_id())):
        assert await stage.errors("POST /api/engagements", body | {"proposal_id": unknown}, 422) == {"proposal_id"}
    signed = body | {"proposal_id": stage.ids["proposal_id"]}
    assert await stage.errors("POST /api/engagements", signed, 409) == {"proposal_id"}
    assert await stage.errors("POST /api/engagements", {"client_id": str(new_id())}, 422) == {"client_id"}


async def test_an_engagement_goes_through_its_statuses(stage: Stage):
    made = await stage.made("POST /api/engagements", {"client_id": stage.ids["client_id"]})
    path = f"/api/engagements/{made['id']}"
    assert (made["name"], made["status"], set(made)) == ("Jane Roe - Engagement", "Active", names(ENGAGEMENT))
    for number, label in [*ENGAGEMENT_STATUSES, *reversed(ENGAGEMENT_STATUSES)]:
        changed = await stage.got("admin", f"PUT {path}", {"status": number})
        assert (changed["status"], changed["status_id"]) == (label, number)
        assert (changed["closed_at"] is not None) == (label == "Closed")
    for wrong in (0, 4, "Active", None):
        assert await stage.errors(f"PUT {path}", {"status": wrong}) == {"status"}
    await stage.got("admin", f"DELETE {path}", status=204)
    assert (await stage.got("admin", f"GET {path}"))["status"] == "Closed"
    body = {"engagement_id": made["id"], "name": "Too late"}
    await stage.made("POST /api/projects", body, 409)
    assert await stage.errors("POST /api/projects", body | {"service_id": str(new_id())}, 422) == {"service_id"}
    assert await stage.errors("POST /api/projects", body | {"engagement_id": str(new_id())}, 422) == {"engagement_id"}


async def test_a_project_goes_through_its_statuses(stage: Stage):
    path = f"/api/projects/{(await _project(stage))['id']}"
    for number, label in [*PROJECT_STATUSES, *reversed(PROJECT_STATUSES)]:
        changed = await stage.got("admin", f"PUT {path}", {"status": number})
        assert (changed["status"], changed["status_id"]) == (label, number)
        assert (changed["completed_at"] is not None) == (label == "Completed")
        if label != "Active":
            await stage.got("admin", f"POST {path}/advance", status=409)
    for wrong in (0, 5, "Active", None):
        assert await stage.errors(f"PUT {path}", {"status": wrong}) == {"status"}


async def test_a_phase_moves_one_step_forward_or_from_testing_back_to_build(stage: Stage):
    made = await _project(stage)
    assert (made["status"], made["phase"], made["phase_id"]) == ("Active", "Kickoff", 1)
    path = f"/api/projects/{made['id']}"
    for number, label in enumerate(PHASES, 1):
        shown = await stage.got("admin", f"GET {path}")
        assert (shown["phase"], shown["phase_id"]) == (label, number)
        legal = {number, number + 1} | ({3} if label == "Testing" else set())
        for wanted in set(range(1, 7)) - legal:
            problem = await stage.got("admin", f"PUT {path}", {"phase": wanted}, 409)
            assert label in problem["errors"]["phase"][0]
            assert PHASES[wanted - 1] in problem["errors"]["phase"][0]
        if label == "Testing":
            assert (await stage.got("admin", f"PUT {path}", {"phase": 3}))["phase"] == "Build"
            assert (await stage.got("admin", f"PUT {path}", {"phase": 4}))["phase"] == "Testing"
        moved = await stage.got("admin", f"POST {path}/advance", status=200 if number < 6 else 409)
        assert number == 6 or (set(moved), moved["phase"]) == (
            names(PROJECT) | {"engagement", "service"},
            PHASES[number],
        )
    for wrong in (0, 7, "Build", None):
        assert await stage.errors(f"PUT {path}", {"phase": wrong}) == {"phase"}


async def test_a_deleted_project_is_gone_from_every_list(stage: Stage):
    project = await _project(stage)
    talk = f"/api/projects/{project['id']}/conversations"
    await stage.made(f"POST {talk}", {"subject": "x"})
    await stage.got("admin", f"DELETE /api/projects/{project['id']}", status=204)
    await stage.got("admin", f"GET /api/projects/{project['id']}", status=404)
    listed = await stage.got("admin", f"GET /api/projects?engagement_id={project['engagement_id']}")
    assert project["id"] not in {each["id"] for each in listed["data"]}
    engagement = await stage.got("admin", f"GET /api/engagements/{project['engagement_id']}")
    assert project["id"] not in {each["id"] for each in engagement["projects"]}


async def test_the_projects_of_an_engagement_are_in_order_and_talk_is_newest_first(stage: Stage):
    items = [{"name": name, "description": "", "price": 1} for name in ("Zoo", "Ant", "Mule", "Bee")]
    proposal = await sent(stage, items=items)
    signed = await stage.got("client", f"POST /api/proposals/{proposal}/sign")
    engagement = signed["engagement"]["id"]
    await stage.made("POST /api/projects", {"engagement_id": engagement, "name": "Added"})
    subjects = ("one", "two", "three")
    talks = [f"/api/projects/{project['id']}/conversations" for project in signed["projects"]]
    made = [await stage.made(f"POST {talk}", {"subject": each}) for talk, each in zip(talks, subjects, strict=False)]
    await stage.made(f"POST {talks[1]}/{made[1]['id']}/messages", {"content": "newest"})
    shown = await stage.got("client", f"GET /api/engagements/{engagement}")
    assert [each["name"] for each in shown["projects"]] == ["Zoo", "Ant", "Mule", "Bee", "Added"]
    assert shown["conversations"][0]["subject"] == "two"
    assert {each["subject"] for each in shown["conversations"]} == set(subjects)


async def _project(stage: Stage) -> dict[str, Any]:
    return await stage.made("POST /api/projects", {"engagement_id": stage.ids["engagement_id"], "name": "Website"})
