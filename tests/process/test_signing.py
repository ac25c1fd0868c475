"""All processes: a proposal becomes an engagement, its projects and an order, through the public API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.ids import new_id
from tests.support.builders import proposal_body
from tests.support.exactly_once import has_exactly_one_of_everything, nothing_is_left_open
from tests.support.installation import Installation

MISSING = "019a0000-0000-7000-8000-000000000000"


async def test_everything_that_the_answer_names_reads_back_at_once_and_the_same(installation: Installation):
    proposal = await installation.sent_proposal(client_email=f"{new_id()}@roe.example")
    answer = await installation.sign(proposal)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    paths = {f"/api/proposals/{proposal}": body["proposal"]}
    paths[f"/api/engagements/{body['engagement']['id']}"] = body["engagement"]
    paths[f"/api/orders/{body['order']['id']}"] = body["order"]
    paths |= {f"/api/projects/{project['id']}": project for project in body["projects"]}
    for path, expected in paths.items():
        found = await installation.call("GET", path)
        assert (found.status_code, found.json()) == (200, expected), path
    await has_exactly_one_of_everything(installation, body["proposal"])


async def test_the_order_says_what_was_signed(installation: Installation):
    proposal = await installation.sent_proposal()
    order = (await installation.sign(proposal)).json()["order"]
    assert (order["status"], order["price"], order["service"]) == ("Unpaid", "9700.50", "Website Redesign")
    assert order["metadata"]["proposal_id"] == proposal
    assert order["metadata"]["engagement_id"] == order["engagement_id"]
    assert [item["price"] for item in order["metadata"]["proposal_items"]] == ["8500.00", "1200.50"]
    assert len(order["number"]) == 8


async def test_of_twenty_concurrent_signatures_one_is_answered_200_and_the_others_409(installation: Installation):
    proposal = await installation.sent_proposal()
    answers = await asyncio.gather(*(installation.sign(proposal) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    await has_exactly_one_of_everything(installation, await installation.signed(proposal))


async def test_two_proposals_of_one_new_client_make_one_client(installation: Installation):
    email = f"{new_id()}@roe.example"
    proposals = [await installation.sent_proposal(client_email=spelling) for spelling in (email, email.upper())]
    answers = await asyncio.gather(*(installation.sign(proposal) for proposal in proposals))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.json()["engagement"]["client_id"] for answer in answers}) == 1
    clients = await installation.rows("identity", "select id from clients where lower(email) = $1", email)
    assert len(clients) == 1


async def test_the_email_of_a_member_of_staff_is_refused_and_nothing_stays(installation: Installation):
    proposal = await installation.sent_proposal(client_email=installation.ready["demo"]["admin_email"])
    refused = await installation.sign(proposal)
    assert refused.status_code == 409
    assert "staff" in refused.json()["detail"]
    found = (await installation.call("GET", f"/api/proposals/{proposal}")).json()
    assert (found["status"], found["converted_order_id"]) == ("Sent", None)
    for service, table in (("engagements", "engagements"), ("orders", "orders")):
        made = await installation.rows(
            service, f"select id from {table} where proposal_id = $1::uuid and cancelled_at is null", proposal
        )
        assert made == []
    await nothing_is_left_open(installation)


async def test_the_client_signs_with_their_own_token_and_sees_what_is_theirs(installation: Installation):
    walked = (await installation.call("GET", "/api/engagements", token="client_token")).json()
    email = walked["data"][0]["client"]["email"]
    proposal = await installation.sent_proposal(client_email=email)
    answer = await installation.call("POST", f"/api/proposals/{proposal}/sign", token="client_token")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    for path in (f"/api/engagements/{body['engagement']['id']}", f"/api/orders/{body['order']['id']}"):
        assert (await installation.call("GET", path, token="client_token")).status_code == 200
    stranger = await installation.sent_proposal(client_email=f"{new_id()}@roe.example")
    theirs = (await installation.sign(stranger)).json()
    for path in (
        f"/api/proposals/{stranger}",
        f"/api/engagements/{theirs['engagement']['id']}",
        f"/api/projects/{theirs['projects'][0]['id']}",
        f"/api/orders/{theirs['order']['id']}",
    ):
        assert (await installation.call("GET", path, token="client_token")).status_code == 404


async def test_the_report_tells_how_it_went(installation: Installation):
    proposal = await installation.sent_proposal()
    assert (await installation.call("GET", f"/api/proposals/{proposal}/sign")).status_code == 404
    await installation.sign(proposal)
    report = (await installation.call("GET", f"/api/proposals/{proposal}/sign")).json()
    assert report["status"] == "completed"
    assert report["finished_at"] > report["started_at"]
    assert {(step["service"], step["status"]) for step in report["steps"]} >= {
        ("engagements", "done"),
        ("orders", "done"),
    }


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/api/nowhere", {"headers": {"authorization": ""}}, 401),
        ("POST", "/api/proposals", {"headers": {"authorization": "Bearer nonsense"}, "content": b"{"}, 401),
        ("GET", "/api/nowhere", {}, 404),
        ("GET", f"/api/proposals/{MISSING}", {}, 404),
        ("GET", "/api/engagements/7", {}, 404),
        ("POST", f"/api/proposals/{MISSING}/sign", {}, 404),
        ("POST", "/api/proposals", {"content": b"x" * 1_100_000}, 413),
        ("POST", "/api/proposals", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/api/proposals", {"json": {"colour": "red"}}, 400),
        ("GET", "/api/orders?colour=red", {}, 400),
        ("POST", "/api/proposals", {"json": proposal_body(), "token": "client_token"}, 403),
        ("DELETE", "/api/orders", {}, 405),
    ],
)
async def test_what_is_wrong_is_answered_as_a_problem(
    installation: Installation, method: str, path: str, options: dict[str, Any], status: int
):
    answer = await installation.call(method, path, **dict(options))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    problem = answer.json()
    assert (
        {"type", "title", "status", "detail", "instance"}
        <= set(problem)
        <= {
            "type",
            "title",
            "status",
            "detail",
            "instance",
            "errors",
        }
    )
    assert problem["status"] == status
    assert ("www-authenticate" in answer.headers) == (status == 401)
