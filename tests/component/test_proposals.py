"""The proposal service: writing, reading and sending proposals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared.ids import new_id
from shared.web.actor import UNTRUSTED
from tests.support import actors
from tests.support.builders import expired_proposal, known, proposal_body, sent_proposal
from tests.support.databases import Databases
from tests.support.servers import Broker
from tests.support.services import Service, running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(databases: Databases, shared_broker: Broker) -> AsyncIterator[Service]:
    async with databases.fresh("proposals") as dsn, running("proposals", dsn, shared_broker) as running_service:
        yield running_service


async def test_a_new_proposal_is_a_draft_with_its_items_in_order_and_their_exact_sum(service: Service):
    answer = await service.call(actors.admin(), "POST", "/api/proposals", json=proposal_body())
    assert answer.status_code == 201
    proposal = answer.json()
    assert (proposal["status"], proposal["status_id"], proposal["total"]) == ("Draft", 0, "9700.50")
    assert [item["name"] for item in proposal["items"]] == ["Website Redesign", "SEO"]
    assert [(item["price"], item["quantity"], item["total"]) for item in proposal["items"]] == [
        ("8500.00", 1, "8500.00"),
        ("1200.50", 1, "1200.50"),
    ]
    assert proposal["client_name"] == "Jane Roe"
    assert proposal["currency"] == "USD"


async def test_three_times_ten_cents_are_thirty_cents(service: Service):
    items = [{"name": "n", "description": "", "price": 0.10}] * 3
    answer = await service.call(actors.admin(), "POST", "/api/proposals", json=proposal_body(items=items))
    assert answer.json()["total"] == "0.30"


async def test_what_was_written_reads_back_the_same(service: Service):
    actor = actors.admin()
    written = (await service.call(actor, "POST", "/api/proposals", json=proposal_body())).json()
    assert (await service.call(actor, "GET", f"/api/proposals/{written['id']}")).json() == written


async def test_every_bad_field_is_named(service: Service):
    body = proposal_body(client_email="nobody", client_name_f="", surprise=1, items=[{"name": "", "price": -1}])
    answer = await service.call(actors.admin(), "POST", "/api/proposals", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()["errors"]) == {
        "client_email",
        "client_name_f",
        "surprise",
        "items.0.name",
        "items.0.description",
        "items.0.price",
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": []}, "items"),
        ({"items": None}, "items"),
        ({"items": [{"name": "n", "description": "", "price": "1"}] * 101}, "items"),
        ({"currency": "dollars"}, "currency"),
        ({"currency": None}, "currency"),
        ({"valid_until": "tomorrow"}, "valid_until"),
        ({"valid_until": "2026-02-08T12:00:00"}, "valid_until"),
        ({"client_name_f": "x" * 101}, "client_name_f"),
        ({"client_name_f": "   "}, "client_name_f"),
        ({"notes": "a\x00b"}, "notes"),
        ({"items": [{"name": "n", "description": "", "price": "9999999999.99"}] * 2}, "items"),
        ({"items": [{"name": "n", "description": "", "price": 1, "service_id": "x"}]}, "items.0.service_id"),
    ],
)
async def test_a_bad_field_is_refused(service: Service, change: dict[str, object], field: str):
    answer = await service.call(actors.admin(), "POST", "/api/proposals", json=proposal_body(**change))
    assert answer.status_code == 400, answer.text
    assert list(answer.json()["errors"]) == [field]


async def test_a_template_that_does_not_exist_is_an_unknown_reference(service: Service):
    items = [{"name": "n", "description": "", "price": 1, "service_id": str(new_id())}]
    answer = await service.call(actors.admin(), "POST", "/api/proposals", json=proposal_body(items=items))
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["items.0.service_id"]


async def test_without_the_gateways_identity_nothing_is_answered(service: Service):
    answer = await service.call(None, "GET", "/api/proposals")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == UNTRUSTED


async def test_a_client_may_neither_write_nor_send_whatever_the_body(service: Service):
    client = actors.client(new_id())
    for path in ("/api/proposals", f"/api/proposals/{new_id()}/send", "/api/proposals/nonsense/send"):
        answer = await service.call(client, "POST", path, content=b"{")
        assert answer.status_code == 403, path


async def test_absent_foreign_and_malformed_ids_look_alike(service: Service):
    actor = actors.admin()
    foreign = (await service.call(actors.admin(), "POST", "/api/proposals", json=proposal_body())).json()["id"]
    seen = set()
    for id_in_path in (foreign, str(new_id()), "nonsense", "7"):
        answer = await service.call(actor, "GET", f"/api/proposals/{id_in_path}")
        problem = answer.json()
        seen.add((answer.status_code, problem["title"], problem["detail"], problem["type"]))
    assert len(seen) == 1
    assert seen.pop()[0] == 404


async def test_a_draft_is_sent_once(service: Service):
    actor = actors.admin()
    proposal = (await service.call(actor, "POST", "/api/proposals", json=proposal_body())).json()["id"]
    sent = await service.call(actor, "POST", f"/api/proposals/{proposal}/send")
    assert (sent.status_code, sent.json()["status"]) == (200, "Sent")
    assert sent.json()["sent_at"] == sent.json()["updated_at"]
    again = await service.call(actor, "POST", f"/api/proposals/{proposal}/send")
    assert again.status_code == 409
    assert "Sent" in again.json()["detail"]


async def test_a_client_sees_what_was_sent_to_them_and_nothing_else(service: Service):
    staff = actors.admin()
    client = await known(service, actors.client(staff.org_id, email="Jane@Roe.example"))
    theirs = await sent_proposal(service, staff)
    await sent_proposal(service, staff, client_email="other@roe.example")
    draft = (await service.call(staff, "POST", "/api/proposals", json=proposal_body())).json()["id"]
    listed = (await service.call(client, "GET", "/api/proposals")).json()
    assert [proposal["id"] for proposal in listed["data"]] == [theirs]
    assert listed["meta"]["total"] == 1
    assert (await service.call(client, "GET", f"/api/proposals/{draft}")).status_code == 404


async def test_a_sent_proposal_past_its_time_reads_and_filters_as_expired(service: Service):
    staff = actors.admin()
    expired = await expired_proposal(service, staff)
    fresh = await sent_proposal(service, staff, valid_until="2120-01-01T00:00:00Z")
    assert (await service.call(staff, "GET", f"/api/proposals/{expired}")).json()["status"] == "Expired"
    for status, found in ((5, expired), (1, fresh)):
        listed = (await service.call(staff, "GET", f"/api/proposals?status={status}")).json()["data"]
        assert [proposal["id"] for proposal in listed] == [found]


async def test_pages_neither_overlap_nor_skip(service: Service):
    staff = actors.admin()
    for _ in range(7):
        await service.call(staff, "POST", "/api/proposals", json=proposal_body())
    for sort in ("created_at:desc", "status:asc", "total:desc", "signed_at:asc"):
        seen: list[str] = []
        for page in (1, 2, 3, 4):
            listed = (await service.call(staff, "GET", f"/api/proposals?page={page}&limit=3&sort={sort}")).json()
            seen += [proposal["id"] for proposal in listed["data"]]
            assert "items" not in (listed["data"] or [{}])[0]
        assert len(seen) == len(set(seen)) == 7
        assert listed["meta"] == {
            "current_page": 4,
            "from": 0,
            "to": 0,
            "last_page": 3,
            "per_page": 3,
            "total": 7,
            "path": "http://service/api/proposals",
        }


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("page=0&limit=101&status=x", {"page", "limit", "status"}),
        ("sort=name:asc", {"sort"}),
        ("sort=created_at", {"sort"}),
        ("status=9", {"status"}),
        ("colour=red", {"colour"}),
        ("colour=red&page=0&limit=x", {"colour", "page", "limit"}),
        ("page=1&page=2", {"page"}),
    ],
)
async def test_a_bad_query_names_what_is_wrong(service: Service, query: str, fields: set[str]):
    answer = await service.call(actors.admin(), "GET", f"/api/proposals?{query}")
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == fields


async def test_a_missing_proposal_is_told_before_a_bad_body_or_media_type(service: Service):
    staff = actors.admin()
    for options in ({"content": b"{"}, {"content": b"{}", "headers": {"content-type": "text/plain"}}):
        absent = await service.call(staff, "POST", f"/api/proposals/{new_id()}/sign", **options)
        assert absent.status_code == 404, absent.text
    there = await sent_proposal(service, staff)
    path = f"/api/proposals/{there}/sign"
    plain = await service.call(staff, "POST", path, content=b"{}", headers={"content-type": "text/plain"})
    assert plain.status_code == 415
    json = {"content-type": "application/json"}
    assert (await service.call(staff, "POST", path, content=b"{", headers=json)).status_code == 400


async def test_the_same_key_writes_one_proposal_and_is_answered_the_same(service: Service):
    staff = actors.admin()
    key = {"idempotency-key": "one"}
    first = await service.call(staff, "POST", "/api/proposals", json=proposal_body(), headers=key)
    again = await service.call(staff, "POST", "/api/proposals", json=proposal_body(), headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert (await service.call(staff, "GET", "/api/proposals")).json()["meta"]["total"] == 1


async def test_concurrent_requests_under_one_key_have_one_effect(service: Service):
    staff = actors.admin()
    key = {"idempotency-key": "one"}
    answers = await asyncio.gather(
        *(service.call(staff, "POST", "/api/proposals", json=proposal_body(), headers=key) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert (await service.call(staff, "GET", "/api/proposals")).json()["meta"]["total"] == 1


async def test_a_refusal_burns_no_key(service: Service):
    staff = actors.admin()
    key = {"idempotency-key": "k"}
    for status, body in ((400, proposal_body(client_email="nobody")), (201, proposal_body()), (201, proposal_body())):
        answer = await service.call(staff, "POST", "/api/proposals", json=body, headers=key)
        assert answer.status_code == status, answer.text
    assert answer.headers["idempotent-replayed"] == "true"
    path = f"/api/proposals/{answer.json()['id']}"
    refused = await service.call(staff, "POST", f"{path}/reject", headers=key)
    assert (refused.status_code, "idempotent-replayed" in refused.headers) == (409, False)
    assert (await service.call(staff, "POST", f"{path}/send")).status_code == 200
    rejected = await service.call(staff, "POST", f"{path}/reject", headers=key)
    assert (rejected.status_code, rejected.json()["status"]) == (200, "Rejected")


async def test_the_same_key_with_another_body_or_path_is_refused(service: Service):
    staff = actors.admin()
    key = {"idempotency-key": "k"}
    await service.call(staff, "POST", "/api/proposals", json=proposal_body(), headers=key)
    other = await service.call(staff, "POST", "/api/proposals", json=proposal_body(notes="x"), headers=key)
    assert other.status_code == 422
    strangers = await service.call(actors.admin(), "POST", "/api/proposals", json=proposal_body(), headers=key)
    assert strangers.status_code == 201


@pytest.mark.parametrize("key", ["", '""', "a" * 256, "nul\x7f"])
async def test_a_key_that_is_none_is_refused(service: Service, key: str):
    answer = await service.call(
        actors.admin(), "POST", "/api/proposals", json=proposal_body(), headers={"idempotency-key": key}
    )
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["Idempotency-Key"]


async def test_what_the_caller_has_already_is_not_sent_again(service: Service):
    staff = actors.admin()
    written = await service.call(staff, "POST", "/api/proposals", json=proposal_body())
    path, tag = f"/api/proposals/{written.json()['id']}", written.headers["etag"]
    same = await service.call(staff, "GET", path, headers={"if-none-match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    await service.call(staff, "POST", f"{path}/send")
    assert (await service.call(staff, "GET", path, headers={"if-none-match": tag})).status_code == 200
