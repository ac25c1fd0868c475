"""The contract's tables of service templates, proposals and their signing, row by row."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.ids import new_id
from tests.support.builders import proposal_body
from tests.support.contract import Body, List, Stage, names, sent, walk_body, walk_list
from tests.support.contract_roles import walk_roles
from tests.support.pictures import png

SERVICE = (
    "id, org_id, name, description, price, currency, recurring, public, deadline, sort_order, metadata, pretty_price,"
    "created_at, updated_at"
)
SUMMARY = (
    "id, org_id, client_id, client_email, client_name, client_name_f, client_name_l, client_company, status, status_id,"
    "total, currency, notes, valid_until, created_at, updated_at, sent_at, signed_at, converted_order_id,"
    "converted_engagement_id, rejected_at, rejection_reason"
)
ITEM = "id, name, description, price, quantity, total, service_id, created_at"
REPORT = "saga_id, status, started_at, finished_at, steps"
STEP = "name, service, status, attempts, started_at, finished_at, error"
PICTURE = "data:image/png;base64," + b64encode(png()).decode()
LISTS = [
    List(
        "/api/services",
        sort="id, name, price, recurring, public, sort_order, created_at",
        filters={"public": ("true", "public"), "recurring": (0, "recurring")},
    ),
    List(
        "/api/proposals",
        sort="id, client_email, status, total, created_at, sent_at, signed_at",
        filters={"status": (2, "status_id"), "client_email": ("jane@roe.example", "client_email")},
    ),
]
BAD_PRICES = [-1, "-0.01", "1.234", 1.234, "1e3", 1e30, "12345678901", 12345678901, "", "1,5", True, "NaN", " 1"]
BODIES = {
    "service": Body(
        create="POST /api/services",
        whole={
            "name": "Website",
            "description": "All",
            "price": "2500.00",
            "currency": "EUR",
            "recurring": 1,
            "public": False,
            "deadline": 14,
            "sort_order": -2,
            "metadata": {"a": {"b": [1]}},
        },
        required="name",
        nullable="description, deadline",
        change="PUT /api/services/{id}",
        bad=[
            ("name", ""),
            ("name", "n" * 256),
            ("currency", "usd"),
            ("currency", "XXY"),
            ("recurring", 3),
            ("public", 1),
            ("deadline", -1),
            ("sort_order", "1"),
            ("metadata", []),
            *(("price", price) for price in BAD_PRICES),
        ],
    ),
    "proposal": Body(
        create="POST /api/proposals",
        whole={
            "client_email": "jane@roe.example",
            "client_name_f": "Jane",
            "client_name_l": "Roe",
            "client_company": "Roe Ltd",
            "notes": "Soon",
            "currency": "CHF",
            "valid_until": "2099-01-01T00:00:00Z",
            "items": [
                {"name": "Site", "description": "", "price": "0.10"},
                {"name": "SEO", "description": "Year", "price": "9.90"},
            ],
        },
        required="client_email, client_name_f, items",
        nullable="client_company, notes, valid_until",
        change="PUT /api/proposals/{id}",
        bad=[
            ("client_email", "jane"),
            ("client_name_f", ""),
            ("client_name_f", "n" * 101),
            ("client_name_l", "n" * 101),
            ("currency", "francs"),
            ("valid_until", "tomorrow"),
            ("items", []),
            ("items", [{"name": "n", "description": "", "price": 1}] * 101),
            ("items.0.name", [{"name": "", "description": "", "price": 1}]),
            ("items.0.name", [{"name": "n" * 256, "description": "", "price": 1}]),
            ("items.0.description", [{"name": "n", "price": 1}]),
            ("items.1.price", [{"name": "n", "description": "", "price": 1}, {"name": "n", "description": ""}]),
            ("items.0.quantity", [{"name": "n", "description": "", "price": 1, "quantity": 1}]),
            ("items.0.service_id", [{"name": "n", "description": "", "price": 1, "service_id": "x"}]),
            ("items", [{"name": "n", "description": "", "price": "9999999999.99"}] * 2),
            *(("items.0.price", [{"name": "n", "description": "", "price": price}]) for price in BAD_PRICES),
        ],
    ),
}
MOVES = {
    "change": "PUT /api/proposals/{}",
    "send": "POST /api/proposals/{}/send",
    "reject": "POST /api/proposals/{}/reject",
    "sign": "POST /api/proposals/{}/sign",
    "report": "GET /api/proposals/{}/sign",
    "delete": "DELETE /api/proposals/{}",
}
STATUSES: list[tuple[int, str, dict[str, int]]] = [  # what is refused in each
    (0, "Draft", {"reject": 409, "sign": 409, "report": 404}),
    (1, "Sent", {"change": 409, "send": 409, "report": 404}),
    (2, "Signed", {"change": 409, "send": 409, "reject": 409, "sign": 409, "delete": 409}),
    (3, "Rejected", {"change": 409, "send": 409, "reject": 409, "sign": 409, "report": 404}),
    (5, "Expired", {"change": 409, "send": 409, "reject": 409, "sign": 409, "report": 404}),
]
CALLS = {  # admin, member, client, another client
    "GET /api/services": "200 200 403 403",
    "POST /api/services ← {}": "400 400 403 403",
    "GET /api/services/{service_id}": "200 200 403 403",
    "PUT /api/services/{service_id} ← {}": "200 200 403 403",
    "DELETE /api/services/{client_id}": "404 404 403 403",
    "GET /api/proposals": "200 200 200 200",
    "POST /api/proposals ← {}": "400 400 403 403",
    "GET /api/proposals/{proposal_id}": "200 200 200 404",
    "PUT /api/proposals/{proposal_id} ← {}": "409 409 403 403",
    "DELETE /api/proposals/{proposal_id}": "409 409 403 403",
    "POST /api/proposals/{proposal_id}/send": "409 409 403 403",
    "POST /api/proposals/{proposal_id}/reject": "409 409 409 404",
    "POST /api/proposals/{proposal_id}/sign": "409 409 409 404",
    "GET /api/proposals/{proposal_id}/sign": "200 200 200 404",
}


async def test_each_call_answers_each_role_as_the_table_says(stage: Stage):
    await walk_roles(stage, CALLS)


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_holds_what_the_table_says(stage: Stage, name: str):
    await walk_body(stage, BODIES[name])


@pytest.mark.parametrize("told", LISTS, ids=lambda told: told.path)
async def test_a_list_sorts_filters_and_pages_as_the_table_says(stage: Stage, document: dict[str, Any], told: List):
    await walk_list(stage, told, document)


async def test_each_answer_has_the_fields_of_the_table(stage: Stage):
    service = await stage.got("admin", "GET /api/services/{service_id}")
    assert (set(service), service["pretty_price"], service["currency"]) == (names(SERVICE), "$2,500.00", "USD")
    proposal = await stage.got("client", "GET /api/proposals/{proposal_id}")
    assert set(proposal) == names(SUMMARY) | {"items"}
    assert {frozenset(item) for item in proposal["items"]} == {frozenset(names(ITEM))}
    assert (proposal["items"][0]["quantity"], proposal["items"][0]["total"]) == (1, proposal["items"][0]["price"])
    listed = (await stage.got("admin", "GET /api/proposals?limit=100"))["data"]
    assert {frozenset(each) for each in listed} == {frozenset(names(SUMMARY))}
    report = await stage.got("client", "GET /api/proposals/{proposal_id}/sign")
    assert set(report) == names(REPORT)
    assert {frozenset(step) for step in report["steps"]} == {frozenset(names(STEP))}


async def test_a_service_is_deleted_softly(stage: Stage):
    service = (await stage.made("POST /api/services", {"name": "Gone"}))["id"]
    item = {"name": "n", "description": "", "price": 1, "service_id": service}
    kept = await stage.made("POST /api/proposals", proposal_body(items=[item]))
    await stage.got("admin", f"DELETE /api/services/{service}", status=204)
    await stage.got("admin", f"GET /api/services/{service}", status=404)
    assert service not in {one["id"] for one in (await stage.got("admin", "GET /api/services?limit=100"))["data"]}
    assert (await stage.got("admin", f"GET /api/proposals/{kept['id']}"))["items"][0]["service_id"] == service
    create, change = "POST /api/proposals", f"PUT /api/proposals/{kept['id']}"
    for call, unknown in ((create, service), (create, str(new_id())), (change, str(new_id()))):
        items = [item | {"service_id": None}, item | {"service_id": unknown}]
        assert await stage.errors(call, proposal_body(items=items), 422) == {"items.1.service_id"}
    stays = await stage.got("admin", change, {"items": [item | {"service_id": None}, item]})
    assert [one["service_id"] for one in stays["items"]] == [None, service]


async def test_a_proposal_goes_through_its_statuses(stage: Stage):
    for number, label, refused in STATUSES:
        proposal = await _in_status(stage, label)
        shown = await stage.got("admin", f"GET /api/proposals/{proposal}")
        assert (shown["status"], shown["status_id"]) == (label, number)
        found = (await stage.got("admin", f"GET /api/proposals?status={number}&limit=100"))["data"]
        assert proposal in {each["id"] for each in found}
        for name, status in refused.items():
            await stage.got("admin", MOVES[name].format(proposal), {"notes": "x"} if name == "change" else None, status)
        if "delete" not in refused:
            await stage.got("admin", MOVES["delete"].format(proposal), status=204)
            await stage.got("admin", MOVES["report"].format(proposal), status=404)


async def _in_status(stage: Stage, label: str) -> str:
    match label:
        case "Draft":
            return (await stage.made("POST /api/proposals", proposal_body()))["id"]
        case "Sent":
            return await sent(stage)
        case "Signed":
            return stage.ids["proposal_id"]
        case "Rejected":
            proposal = await sent(stage)
            rejected = await stage.got("client", f"POST /api/proposals/{proposal}/reject", {"reason": "Too dear"})
            assert rejected["status"] == "Rejected"
            return proposal
        case _:
            proposal = await sent(stage)
            ended = {"valid_until": (datetime.now(UTC) - timedelta(days=1)).isoformat()}
            assert (await stage.got("admin", f"PUT /api/proposals/{proposal}", ended))["status"] == "Expired"
            return proposal


async def test_a_client_sees_what_was_sent_to_them_and_no_draft(stage: Stage):
    draft = await stage.made("POST /api/proposals", proposal_body(client_email=stage.ids["client_email"].upper()))
    for call in ("GET /api/proposals/{}", "GET /api/proposals/{}/sign", "POST /api/proposals/{}/reject"):
        await stage.got("client", call.format(draft["id"]), status=404)
    mine = await sent(stage)
    for who, sees in (("client", True), ("stranger", False)):
        seen = {each["id"] for each in (await stage.got(who, "GET /api/proposals?limit=100"))["data"]}
        assert (mine in seen, draft["id"] in seen) == (sees, False)


async def test_a_signature_makes_what_the_contract_counts_up(stage: Stage):
    items = [
        {"name": "Site", "description": "All", "price": 0.1, "service_id": stage.ids["service_id"]},
        {"name": "SEO", "description": "", "price": "0.1", "service_id": None},
        {"name": "Brand", "description": "", "price": "0.10", "service_id": None},
    ]
    proposal = await sent(stage, items=items, currency="EUR")
    body = {"signer_name": "Jane Roe", "signature": PICTURE}
    signed = await stage.got("client", f"POST /api/proposals/{proposal}/sign", body)
    assert set(signed) == {"proposal", "engagement", "projects", "order"}
    engagement, order = signed["engagement"], signed["order"]
    assert (engagement["name"], engagement["status"], engagement["proposal_id"], engagement["client_id"]) == (
        *("Jane Roe - Engagement", "Active", proposal),
        stage.ids["client_id"],
    )
    assert [(each["name"], each["status"], each["phase"], each["service_id"]) for each in signed["projects"]] == [
        ("Site", "Active", "Kickoff", stage.ids["service_id"]),
        ("SEO", "Active", "Kickoff", None),
        ("Brand", "Active", "Kickoff", None),
    ]
    assert (order["status"], order["price"], order["currency"], order["service"], order["service_id"]) == (
        *("Unpaid", "0.30", "EUR", "Site"),
        stage.ids["service_id"],
    )
    assert "metadata" not in order
    written = (await stage.got("admin", f"GET /api/orders/{order['id']}"))["metadata"]
    expected = [item | {"price": "0.10"} for item in items]
    assert written == {"proposal_id": proposal, "engagement_id": engagement["id"], "proposal_items": expected}
    assert signed["proposal"] == await stage.got("client", f"GET /api/proposals/{proposal}")
    assert signed["engagement"] == await stage.got("client", f"GET /api/engagements/{engagement['id']}")
    assert signed["order"] == await stage.got("client", f"GET /api/orders/{order['id']}")
    for project in signed["projects"]:
        assert project == await stage.got("client", f"GET /api/projects/{project['id']}")
    final = signed["proposal"]
    assert (final["status"], final["converted_engagement_id"], final["converted_order_id"]) == (
        *("Signed", engagement["id"]),
        order["id"],
    )


async def test_an_image_that_is_none_is_told_at_signature_and_a_wait_of_nothing_is_202(stage: Stage):
    proposal = await sent(stage)
    script = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"
    too_large = "data:image/svg+xml,<svg>" + "x" * 256 * 1024
    for wrong in ("Jane", "data:image/gif;base64,R0lG", "data:image/png;base64,R0lG", script, too_large):
        assert await stage.errors(f"POST /api/proposals/{proposal}/sign", {"signature": wrong}) == {"signature"}
    answer = await stage.call("client", f"POST /api/proposals/{proposal}/sign", prefer="wait=0")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/proposals/{proposal}/sign")
    assert set(answer.json()) == names(REPORT)
    await stage.installation.signed(proposal)
