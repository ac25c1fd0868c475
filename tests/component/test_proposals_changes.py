"""The proposal service: changing, deleting and rejecting proposals, beside signatures; lists from both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from shared.database import Database
from shared.ids import new_id
from shared.web.actor import Actor, Role
from tests.support import actors
from tests.support.builders import LONG_AGO, expired_proposal, known, proposal_body, sent_proposal
from tests.support.databases import Databases, opened
from tests.support.interference import is_waiting_for_a_lock
from tests.support.neighbours import Neighbours, is_silent
from tests.support.servers import Broker, until
from tests.support.services import Service, running

PATH = "/api/proposals"
FAR_AWAY = "2120-01-01T00:00:00Z"
ITEM = {"name": "Copywriting", "description": "Ten pages", "price": "0.10"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh("proposals") as fresh:
        yield fresh


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(dsn: str, shared_broker: Broker) -> AsyncIterator[Service]:
    async with running("proposals", dsn, shared_broker) as running_service:
        yield running_service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(dsn: str) -> AsyncIterator[Database]:
    """The service's database as the service's role has it, for the test's own hands."""
    async with opened(dsn) as there:
        yield there


@pytest.fixture
def staff() -> Actor:
    """An administrator of an organisation that nobody has used."""
    return actors.admin()


async def draft(service: Service, actor: Actor, **changes: Any) -> dict[str, Any]:
    answer = await service.call(actor, "POST", PATH, json=proposal_body(**changes))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def status_of(service: Service, actor: Actor, proposal: str) -> str:
    return (await service.call(actor, "GET", f"{PATH}/{proposal}")).json()["status"]


async def ids_listed(service: Service, actor: Actor, query: str) -> list[str]:
    answer = await service.call(actor, "GET", f"{PATH}?{query}")
    assert answer.status_code == 200, answer.text
    return [proposal["id"] for proposal in answer.json()["data"]]


async def in_each_status(service: Service, staff: Actor, neighbours: Neighbours) -> dict[int, str]:
    """A proposal of each status, by its number, written in the order of the numbers."""
    drafted = (await draft(service, staff))["id"]
    sent = await sent_proposal(service, staff, valid_until="2120-01-01T00:00:00Z")
    signed = await sent_proposal(service, staff)
    assert (await service.call(staff, "POST", f"{PATH}/{signed}/sign")).status_code == 200
    rejected = await sent_proposal(service, staff)
    await service.call(staff, "POST", f"{PATH}/{rejected}/reject")
    signing = await sent_proposal(service, staff)
    neighbours.answers["engagements.open"] = is_silent
    answer = await service.call(staff, "POST", f"{PATH}/{signing}/sign", headers={"prefer": "wait=0"})
    assert answer.status_code == 202
    expired = await expired_proposal(service, staff)
    return dict(enumerate([drafted, sent, signed, rejected, signing, expired]))


async def test_a_change_touches_what_was_sent_and_leaves_the_rest(service: Service, staff: Actor):
    before = await draft(service, staff, notes="n", client_company="Roe", valid_until="2120-01-01T00:00:00Z")
    path = f"{PATH}/{before['id']}"
    body = {"client_email": "Joe@roe.example", "client_name_f": "Joe", "currency": "EUR", "notes": None}
    after = (await service.call(staff, "PUT", path, json=body)).json()
    changed = {**body, "client_name": "Joe Roe", "updated_at": after["updated_at"]}
    assert after == before | changed
    assert after["updated_at"] > before["updated_at"]
    body = {"client_name_l": "Doe", "client_company": None, "valid_until": None}
    last = (await service.call(staff, "PUT", path, json=body)).json()
    assert last == after | body | {"client_name": "Joe Doe", "updated_at": last["updated_at"]}
    assert (await service.call(staff, "GET", path)).json() == last


async def test_items_that_are_sent_replace_all_and_the_total_is_their_exact_sum(service: Service, staff: Actor):
    before = await draft(service, staff)
    path = f"{PATH}/{before['id']}"
    items = [ITEM | {"name": name} for name in "cab"]
    after = (await service.call(staff, "PUT", path, json={"items": items})).json()
    assert (after["total"], [item["name"] for item in after["items"]]) == ("0.30", ["c", "a", "b"])
    assert {item["id"] for item in after["items"]}.isdisjoint(item["id"] for item in before["items"])
    assert (await service.call(staff, "GET", path)).json() == after
    fewer = (await service.call(staff, "PUT", path, json={"items": [ITEM]})).json()
    assert (await service.call(staff, "GET", path)).json() == fewer
    assert (fewer["total"], len(fewer["items"])) == ("0.10", 1)


async def test_what_was_changed_last_is_what_is_signed(service: Service, staff: Actor, neighbours: Neighbours):
    proposal = (await draft(service, staff))["id"]
    await service.call(staff, "PUT", f"{PATH}/{proposal}", json={"items": [ITEM], "client_name_f": "Joe"})
    await service.call(staff, "POST", f"{PATH}/{proposal}/send")
    signed = (await service.call(staff, "POST", f"{PATH}/{proposal}/sign")).json()
    assert [project["name"] for project in signed["projects"]] == ["Copywriting"]
    assert signed["order"]["price"] == "0.10"
    names = [each["name"] for each in neighbours.commands("engagements.open") if each["proposal_id"] == proposal]
    assert names == ["Joe Roe - Engagement"]


async def test_a_change_that_changes_nothing_leaves_the_version(service: Service, staff: Actor):
    before = await draft(service, staff)
    for body in ({}, {"currency": "USD", "client_name_f": "Jane", "notes": None}):
        answer = await service.call(staff, "PUT", f"{PATH}/{before['id']}", json=body)
        assert (answer.status_code, answer.json()) == (200, before)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": []}, "items"),
        ({"items": None}, "items"),
        ({"items": [ITEM] * 101}, "items"),
        ({"items": [ITEM | {"price": "9999999999.99"}] * 2}, "items"),
        ({"items": [ITEM, {"name": "n", "description": ""}]}, "items.1.price"),
        ({"currency": "XYZ"}, "currency"),
        ({"currency": None}, "currency"),
        ({"client_email": None}, "client_email"),
        ({"client_name_f": ""}, "client_name_f"),
        ({"status": 1}, "status"),
        ({"total": "1.00"}, "total"),
        ({"valid_until": "2026-02-08T12:00:00"}, "valid_until"),
    ],
)
async def test_a_bad_change_is_refused(service: Service, staff: Actor, change: dict[str, Any], field: str):
    before = await draft(service, staff)
    stale = {"if-match": '"7"'}
    answer = await service.call(staff, "PUT", f"{PATH}/{before['id']}", json=change, headers=stale)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()["errors"]) == [field]
    assert (await service.call(staff, "GET", f"{PATH}/{before['id']}")).json() == before


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_moment_outside_of_the_calendar_is_no_moment(service: Service, staff: Actor, moment: str):
    proposal = (await draft(service, staff))["id"]
    for method, path in (("POST", PATH), ("PUT", f"{PATH}/{proposal}")):
        answer = await service.call(staff, method, path, json=proposal_body(valid_until=moment))
        assert answer.status_code == 400, answer.text
        assert list(answer.json()["errors"]) == ["valid_until"]


async def test_a_change_that_names_unknown_services_changes_nothing(service: Service, staff: Actor):
    before = await draft(service, staff)
    items = [ITEM, *({**ITEM, "service_id": str(new_id())} for _ in range(2))]
    refused = await service.call(staff, "PUT", f"{PATH}/{before['id']}", json={"items": items, "notes": "x"})
    assert refused.status_code == 422
    assert list(refused.json()["errors"]) == ["items.1.service_id", "items.2.service_id"]
    assert (await service.call(staff, "GET", f"{PATH}/{before['id']}")).json() == before


async def test_refusals_come_in_the_order_of_the_contract(service: Service, staff: Actor):
    sent = await sent_proposal(service, staff)
    path, stale = f"{PATH}/{sent}", {"if-match": '"1"'}
    unknown = {"items": [{**ITEM, "service_id": str(new_id())}]}
    client = actors.client(staff.org_id)
    assert (await service.call(client, "PUT", f"{PATH}/nonsense", content=b"{")).status_code == 403
    assert (await service.call(staff, "PUT", f"{PATH}/nonsense", content=b"{")).status_code == 404
    assert (await service.call(staff, "PUT", path, content=b"{}")).status_code == 415
    assert (await service.call(staff, "PUT", path, json={"x": 1}, headers=stale)).status_code == 400
    assert (await service.call(staff, "PUT", path, json=unknown, headers=stale)).status_code == 412
    assert (await service.call(staff, "PUT", path, json=unknown)).status_code == 422
    assert (await service.call(staff, "PUT", path, json={"items": [ITEM]})).status_code == 409
    assert (await service.call(staff, "DELETE", path, headers=stale)).status_code == 412


@pytest.mark.parametrize("action", ["send", "reject"])
async def test_a_missing_proposal_is_told_before_a_bad_or_used_key(service: Service, staff: Actor, action: str):
    there = (await service.call(staff, "POST", PATH, json=proposal_body())).json()["id"]
    used = {"idempotency-key": "used"}
    assert (await service.call(staff, "POST", f"{PATH}/{there}/send", headers=used)).status_code == 200
    if action != "send":
        assert (await service.call(staff, "POST", f"{PATH}/{there}/{action}", headers=used)).status_code == 200
    for headers, refused in (({"idempotency-key": ""}, 400), (used, 422)):
        absent = await service.call(staff, "POST", f"{PATH}/{new_id()}/{action}", content=b"{", headers=headers)
        found = await service.call(staff, "POST", f"{PATH}/{there}/{action}", content=b"{", headers=headers)
        assert (absent.status_code, found.status_code) == (404, refused)
    await service.call(staff, "DELETE", f"{PATH}/{there}")
    gone = await service.call(staff, "POST", f"{PATH}/{there}/{action}", headers=used)
    assert gone.status_code == 404


async def test_of_writers_who_read_the_same_version_one_wins(service: Service, staff: Actor):
    first = await service.call(staff, "POST", PATH, json=proposal_body())
    path, tag = f"{PATH}/{first.json()['id']}", {"if-match": first.headers["etag"]}
    bodies = [{"items": [ITEM] * count} for count in range(1, 7)]
    answers = await asyncio.gather(*(service.call(staff, "PUT", path, json=body, headers=tag) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 5]
    won = next(answer for answer in answers if answer.status_code == 200)
    assert (await service.call(staff, "GET", path)).json() == won.json()
    again = await service.call(staff, "PUT", path, json={"notes": "n"}, headers={"if-match": won.headers["etag"]})
    assert again.status_code == 200


async def test_concurrent_changes_without_a_condition_leave_one_of_them_whole(service: Service, staff: Actor):
    path = f"{PATH}/{(await draft(service, staff))['id']}"
    bodies = [{"items": [ITEM | {"name": str(count)}] * count} for count in range(1, 7)]
    answers = await asyncio.gather(*(service.call(staff, "PUT", path, json=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    left = (await service.call(staff, "GET", path)).json()
    count = len(left["items"])
    assert ({item["name"] for item in left["items"]}, left["total"]) == ({str(count)}, f"0.{count}0")


async def test_each_status_allows_what_the_contract_says(service: Service, staff: Actor, neighbours: Neighbours):
    proposals = await in_each_status(service, staff, neighbours)
    calls = (("PUT", ""), ("POST", "/send"), ("POST", "/reject"), ("DELETE", ""))
    body: dict[str, Any] = {"PUT": {"json": {"notes": "n"}}}
    found = {
        (status, method, action): (
            await service.call(staff, method, f"{PATH}/{proposal}{action}", **body.get(method, {}))
        ).status_code
        for method, action in calls
        for status, proposal in proposals.items()
        if (status, method, action) not in {(0, "POST", "/send"), (1, "POST", "/reject")}
    }
    assert {call: code for call, code in found.items() if code != 409} == {
        (0, "PUT", ""): 200,
        (0, "DELETE", ""): 204,
        (1, "DELETE", ""): 204,
        (3, "DELETE", ""): 204,
        (5, "DELETE", ""): 204,
    }
    assert await ids_listed(service, staff, "sort=created_at:asc") == [proposals[2], proposals[4]]


async def test_of_what_was_sent_only_the_time_changes_and_alone(service: Service, staff: Actor, neighbours: Neighbours):
    for status, proposal in (await in_each_status(service, staff, neighbours)).items():
        path = f"{PATH}/{proposal}"
        before = (await service.call(staff, "GET", path)).json()
        for beside in ({"notes": None}, {"client_name_f": before["client_name_f"]}, {"items": [ITEM]}):
            answer = await service.call(staff, "PUT", path, json={"valid_until": FAR_AWAY} | beside)
            if status == 0:
                assert answer.status_code == 200
                continue
            assert (answer.status_code, (await service.call(staff, "GET", path)).json()) == (409, before)
            assert list(answer.json().get("errors", {})) == (list(beside) if status in (1, 5) else [])
        alone = await service.call(staff, "PUT", path, json={"valid_until": None})
        assert alone.status_code == (200 if status in (0, 1, 5) else 409)
        if status == 5:
            assert (alone.json()["status"], alone.json()["valid_until"]) == ("Sent", None)


async def test_a_sent_proposal_is_given_more_time_less_or_none(service: Service, staff: Actor, neighbours: Neighbours):
    proposal = await sent_proposal(service, staff)
    path, client = f"{PATH}/{proposal}", actors.client(staff.org_id)
    for valid_until, label in ((LONG_AGO, "Expired"), (FAR_AWAY, "Sent"), (LONG_AGO, "Expired"), (None, "Sent")):
        before = await service.call(staff, "GET", path)
        tag = {"if-match": before.headers["etag"]}
        answer = await service.call(staff, "PUT", path, json={"valid_until": valid_until}, headers=tag)
        after = answer.json()
        assert answer.status_code == 200
        assert after == before.json() | {
            "status": label,
            "status_id": 5 if label == "Expired" else 1,
            "valid_until": valid_until,
            "updated_at": after["updated_at"],
        }
        same = await service.call(staff, "PUT", path, json={"valid_until": valid_until})
        assert (same.content, same.headers["etag"]) == (answer.content, answer.headers["etag"])
        stale = await service.call(staff, "PUT", path, json={"valid_until": FAR_AWAY}, headers=tag)
        assert stale.status_code == 412
        assert (await service.call(client, "PUT", path, json={"valid_until": None})).status_code == 403
    assert (await service.call(staff, "POST", f"{path}/sign")).status_code == 200


async def test_what_has_expired_is_signed_once_it_has_more_time(service: Service, staff: Actor, neighbours: Neighbours):
    proposal = await expired_proposal(service, staff)
    refused = await service.call(staff, "POST", f"{PATH}/{proposal}/sign")
    assert (refused.status_code, "Expired" in refused.json()["detail"]) == (409, True)
    await service.call(staff, "PUT", f"{PATH}/{proposal}", json={"valid_until": FAR_AWAY})
    assert (await service.call(staff, "POST", f"{PATH}/{proposal}/sign")).status_code == 200


async def test_a_signature_and_the_end_of_its_time_at_once_have_one_winner(
    service: Service, staff: Actor, neighbours: Neighbours
):
    for _ in range(10):
        path = f"{PATH}/{await sent_proposal(service, staff)}"
        signed, ended = await asyncio.gather(
            service.call(staff, "POST", f"{path}/sign"),
            service.call(staff, "PUT", path, json={"valid_until": LONG_AGO}),
        )
        assert sorted((signed.status_code, ended.status_code)) == [200, 409]
        read = (await service.call(staff, "GET", path)).json()
        assert (read["status"], read["valid_until"]) == (
            ("Signed", None) if signed.status_code == 200 else ("Expired", LONG_AGO)
        )


async def test_a_draft_whose_time_has_passed_is_not_sent(service: Service, staff: Actor):
    drafted = await draft(service, staff, valid_until=LONG_AGO)
    path = f"{PATH}/{drafted['id']}"
    refused = await service.call(staff, "POST", f"{path}/send")
    assert (refused.status_code, list(refused.json()["errors"])) == (409, ["valid_until"])
    assert (await service.call(staff, "GET", path)).json() == drafted
    for valid_until in (FAR_AWAY, None):
        await service.call(staff, "PUT", path, json={"valid_until": valid_until})
    sent = await service.call(staff, "POST", f"{path}/send")
    assert (sent.status_code, sent.json()["status"]) == (200, "Sent")


async def test_a_draft_is_saved_with_its_own_items_when_their_template_is_gone(service: Service, staff: Actor):
    gone, other = [
        (await service.call(staff, "POST", "/api/services", json={"name": "Site", "price": "1"})).json()["id"]
        for _ in range(2)
    ]
    before = await draft(service, staff, items=[ITEM | {"service_id": gone}, ITEM])
    path = f"{PATH}/{before['id']}"
    for template in (gone, other):
        assert (await service.call(staff, "DELETE", f"/api/services/{template}")).status_code == 204
    own = [{name: item[name] for name in ("name", "description", "price", "service_id")} for item in before["items"]]
    same = await service.call(staff, "PUT", path, json={"items": own})
    assert (same.status_code, same.json()) == (200, before)
    more = [*own, ITEM | {"name": "More"}, own[0] | {"price": "7.00"}]
    saved = await service.call(staff, "PUT", path, json={"items": more})
    assert saved.status_code == 200
    assert [item["service_id"] for item in saved.json()["items"]] == [gone, None, None, gone]
    for service_id in (other, str(new_id())):
        refused = await service.call(staff, "PUT", path, json={"items": [*own, ITEM | {"service_id": service_id}]})
        assert (refused.status_code, list(refused.json()["errors"])) == (422, ["items.2.service_id"])
    without = await service.call(staff, "PUT", path, json={"items": [ITEM]})
    assert without.status_code == 200
    refused = await service.call(staff, "PUT", path, json={"items": own})
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["items.0.service_id"])
    assert (await service.call(staff, "POST", PATH, json=proposal_body(items=own))).status_code == 422


async def test_a_deleted_proposal_is_gone_for_every_call(service: Service, staff: Actor):
    proposal = await sent_proposal(service, staff)
    path = f"{PATH}/{proposal}"
    gone = await service.call(staff, "DELETE", path)
    assert (gone.status_code, gone.content) == (204, b"")
    for method, called in (("GET", ""), ("DELETE", ""), ("PUT", ""), ("GET", "/sign")):
        assert (await service.call(staff, method, path + called, content=b"")).status_code == 404
    for action in ("send", "reject", "sign"):
        assert (await service.call(staff, "POST", f"{path}/{action}")).status_code == 404
    for actor in (staff, await known(service, actors.client(staff.org_id))):
        assert await ids_listed(service, actor, "") == []


async def test_a_rejection_shows_when_and_why_and_ends_the_proposal(service: Service, staff: Actor):
    proposal = await sent_proposal(service, staff)
    path = f"{PATH}/{proposal}/reject"
    answer = await service.call(staff, "POST", path, json={"reason": "Too dear"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["status_id"], len(body["items"])) == ("Rejected", 3, 2)
    assert answer.headers["etag"]
    assert (await service.call(staff, "GET", f"{PATH}/{proposal}")).json() == body
    assert (body["rejected_at"], body["rejection_reason"]) == (body["updated_at"], "Too dear")
    for actor in (staff, await known(service, actors.client(staff.org_id))):
        read = (await service.call(actor, "GET", f"{PATH}/{proposal}")).json()
        (listed,) = (await service.call(actor, "GET", PATH)).json()["data"]
        for shown in (read, listed):
            assert (shown["rejected_at"], shown["rejection_reason"]) == (body["rejected_at"], "Too dear")
    for action in ("reject", "sign", "send"):
        again = await service.call(staff, "POST", f"{PATH}/{proposal}/{action}")
        assert again.status_code == 409
        assert "Rejected" in again.json()["detail"]


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"json": {"reason": None}}, {"json": {"reason": "r"}}])
async def test_a_client_rejects_what_was_sent_to_them(service: Service, staff: Actor, options: dict[str, Any]):
    proposal = await sent_proposal(service, staff)
    client = await known(service, actors.client(staff.org_id, email="Jane@Roe.example"))
    answer = await service.call(client, "POST", f"{PATH}/{proposal}/reject", **options)
    assert (answer.status_code, answer.json()["status"]) == (200, "Rejected")


async def test_a_client_cannot_reject_what_is_not_theirs_or_a_draft(service: Service, staff: Actor):
    drafted, sent = (await draft(service, staff))["id"], await sent_proposal(service, staff)
    stranger = await known(service, actors.client(staff.org_id, email="x@y.example"))
    owner = await known(service, actors.client(staff.org_id))
    foreign = actors.client(new_id())
    for actor, proposal in ((stranger, sent), (owner, drafted), (foreign, sent), (owner, "nonsense")):
        for options in ({}, {"json": {"surprise": 1}}):
            answer = await service.call(actor, "POST", f"{PATH}/{proposal}/reject", **options)
            assert answer.status_code == 404, answer.text
    assert await status_of(service, staff, sent) == "Sent"


@pytest.mark.parametrize("body", [{"reason": 1}, {"reason": "x" * 65_537}, {"cause": "c"}])
async def test_a_bad_rejection_is_refused(service: Service, staff: Actor, body: dict[str, Any]):
    proposal = await sent_proposal(service, staff)
    answer = await service.call(staff, "POST", f"{PATH}/{proposal}/reject", json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, list(body))


async def test_an_expired_proposal_cannot_be_rejected(service: Service, staff: Actor):
    proposal = await expired_proposal(service, staff)
    for actor in (staff, await known(service, actors.client(staff.org_id))):
        answer = await service.call(actor, "POST", f"{PATH}/{proposal}/reject")
        assert answer.status_code == 409
        assert "Expired" in answer.json()["detail"]


async def test_the_same_key_rejects_once_and_is_answered_the_same(service: Service, staff: Actor):
    proposal = await sent_proposal(service, staff)
    options: dict[str, Any] = {"json": {"reason": "r"}, "headers": {"idempotency-key": "one"}}
    first = await service.call(staff, "POST", f"{PATH}/{proposal}/reject", **options)
    again = await service.call(staff, "POST", f"{PATH}/{proposal}/reject", **options)
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_client_may_neither_change_nor_delete(service: Service, staff: Actor):
    proposal = await sent_proposal(service, staff)
    client = actors.client(staff.org_id)
    for path in (f"{PATH}/{proposal}", f"{PATH}/{new_id()}", f"{PATH}/nonsense"):
        for method in ("PUT", "DELETE"):
            assert (await service.call(client, method, path, content=b"{")).status_code == 403


async def test_a_member_may_do_what_an_administrator_may(service: Service, staff: Actor):
    member = msgspec.structs.replace(staff, role=Role.MEMBER)
    path = f"{PATH}/{(await draft(service, member))['id']}"
    assert (await service.call(member, "PUT", path, json={"notes": "n"})).status_code == 200
    assert (await service.call(member, "POST", f"{path}/send")).status_code == 200
    assert (await service.call(member, "POST", f"{path}/reject")).status_code == 200
    assert (await service.call(member, "DELETE", path)).status_code == 204


@pytest.mark.parametrize(
    ("method", "action", "done", "lost"), [("DELETE", "", 204, 404), ("POST", "/reject", 200, 409)]
)
async def test_of_a_signature_and_an_end_that_race_exactly_one_happens(
    service: Service, staff: Actor, neighbours: Neighbours, method: str, action: str, done: int, lost: int
):
    for _ in range(6):
        proposal = await sent_proposal(service, staff)
        signed, ended = await asyncio.gather(
            service.call(staff, "POST", f"{PATH}/{proposal}/sign"),
            service.call(staff, method, f"{PATH}/{proposal}{action}"),
        )
        assert (signed.status_code, ended.status_code) in {(200, 409), (lost, done)}, (signed.text, ended.text)
    opened_for = {
        command["proposal_id"]
        for command in neighbours.commands("engagements.open")
        if command["org_id"] == str(staff.org_id)  # flows of other tests may still be under way
    }
    assert opened_for == set(await ids_listed(service, staff, "status=2"))


@pytest.mark.parametrize(
    ("method", "action", "done", "lost"), [("DELETE", "", 204, 404), ("POST", "/reject", 200, 409)]
)
async def test_a_signature_that_waits_behind_an_end_finds_it(
    service: Service,
    databases: Databases,
    database: Database,
    dsn: str,
    staff: Actor,
    neighbours: Neighbours,
    method,
    action,
    done,
    lost,
):
    proposal = await sent_proposal(service, staff)
    async with database.transaction(staff.org_id) as tx:
        await tx.value("select id from proposals where id = $1 for update", proposal)
        ending = asyncio.create_task(service.call(staff, method, f"{PATH}/{proposal}{action}"))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        signing = asyncio.create_task(service.call(staff, "POST", f"{PATH}/{proposal}/sign"))
    answers = (await ending).status_code, (await signing).status_code
    assert answers in {(done, lost), (409, 200)}


async def test_staff_filter_and_sort_by_every_status(service: Service, staff: Actor, neighbours: Neighbours):
    proposals = await in_each_status(service, staff, neighbours)
    for status, proposal in proposals.items():
        listed = (await service.call(staff, "GET", f"{PATH}?status={status}")).json()
        assert [(each["id"], each["status_id"]) for each in listed["data"]] == [(proposal, status)]
        assert listed["meta"]["total"] == 1
    ascending = list(proposals.values())
    assert await ids_listed(service, staff, "sort=status:asc") == ascending
    assert await ids_listed(service, staff, "sort=status:desc") == ascending[::-1]
    assert await ids_listed(service, staff, "sort=id:asc") == ascending
    # Those without the time come last either way.
    assert (await ids_listed(service, staff, "sort=signed_at:desc"))[0] == proposals[2]
    assert (await ids_listed(service, staff, "sort=signed_at:asc"))[0] == proposals[2]
    assert await ids_listed(service, staff, "sort=sent_at:asc") == [*ascending[1:], proposals[0]]
    assert await ids_listed(service, staff, "sort=sent_at:desc") == [*ascending[:0:-1], proposals[0]]


async def test_a_client_lists_their_own_in_every_status_but_draft(
    service: Service, staff: Actor, neighbours: Neighbours
):
    client = await known(service, actors.client(staff.org_id, email="JANE@roe.example"))
    proposals = await in_each_status(service, staff, neighbours)
    other = await sent_proposal(service, staff, client_email="other@roe.example")
    assert set(await ids_listed(service, client, "")) == set(proposals.values()) - {proposals[0]}
    for status, proposal in proposals.items():
        assert await ids_listed(service, client, f"status={status}") == ([proposal] if status else [])
        seen = await service.call(client, "GET", f"{PATH}/{proposal}")
        assert seen.status_code == (200 if status else 404)
    assert await ids_listed(service, client, "client_email=other@roe.example") == []
    assert (await service.call(client, "GET", f"{PATH}/{other}")).status_code == 404


async def test_an_address_filters_in_any_case_of_letters_and_whole(service: Service, staff: Actor):
    jane = (await draft(service, staff, client_email="Jane@Roe.example"))["id"]
    await draft(service, staff, client_email="jane@roe.example.org")
    assert await ids_listed(service, staff, "client_email=jANE@roe.example") == [jane]
    assert await ids_listed(service, staff, "client_email=jane") == []
    assert await ids_listed(service, staff, "client_email=jane@roe.example&status=1") == []


async def test_lists_sort_by_address_and_total(service: Service, staff: Actor):
    made = {
        name: (await draft(service, staff, client_email=f"{name}@x.example", items=[ITEM | {"price": price}]))["id"]
        for name, price in (("b", "9.00"), ("a", "100.00"), ("c", "20.00"))
    }
    assert await ids_listed(service, staff, "sort=client_email:asc") == [made["a"], made["b"], made["c"]]
    assert await ids_listed(service, staff, "sort=total:desc") == [made["a"], made["c"], made["b"]]
    assert await ids_listed(service, staff, "sort=created_at:asc") == [made["b"], made["a"], made["c"]]


async def test_a_moment_is_answered_in_utc_at_once(service: Service, staff: Actor):
    answer = await draft(service, staff, valid_until="2120-01-01T02:30:00.5+02:00")
    assert answer["valid_until"] == "2120-01-01T00:30:00.500000Z"
    assert (await service.call(staff, "GET", f"{PATH}/{answer['id']}")).json() == answer
