"""The sign flow as the proposal service drives it; the test plays identity, engagements and orders."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import nats
import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.proposals.domain import signing
from services.proposals.model.proposals import Signature, SignCall
from shared import clock
from shared.contracts.identity import Address, Billing, ClientState
from shared.contracts.reply import Reply
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.envelope import Envelope
from shared.web.actor import Actor
from shared.web.idempotency import Key
from tests.support import actors
from tests.support.builders import expired_proposal, known, proposal_body, sent_proposal
from tests.support.commands import arrived
from tests.support.databases import Databases, opened
from tests.support.interference import is_waiting_for_a_lock
from tests.support.neighbours import Neighbours, ensures, is_silent, places, played, refuses
from tests.support.servers import Broker, until
from tests.support.services import Service, running

BILLING = Billing(tax_id="DE123", address=Address(line_1="1 Main St", city="Berlin"))
WRITE_AS_BEFORE = """
select write_client($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
OUTDATED = """
insert into idempotency_keys (org_id, key, fingerprint, saga_id) values ($1, 'before', $2, $3)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh("proposals") as fresh:
        yield fresh


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(dsn: str, shared_broker: Broker) -> AsyncIterator[Service]:
    async with running("proposals", dsn, shared_broker) as running_service:
        yield running_service


async def sign(service: Service, actor: Actor, proposal: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.call(actor, "POST", f"/api/proposals/{proposal}/sign", headers=named)


async def knows(service: Service, broker: Broker, org, email: str = "jane@roe.example") -> ClientState:
    """Let the service know of a client, by the event that identity would publish."""
    client = ClientState(org_id=org, id=new_id(), version=1, name_f="Jane", name_l="Roe", email=email, billing=BILLING)
    async with await nats.connect(broker.operator) as connection:
        envelope = Envelope(id=str(new_id()), type="client.changed.v1", source="identity", time="2026-02-08T12:00:00Z")
        subject = topology.event_subject(org, "client", "changed")
        await connection.jetstream().publish(subject, msgspec.json.encode(client), headers=envelope.headers())
    database = service.app.state.database

    async def is_kept() -> bool:
        async with database.transaction(org) as tx:
            return await tx.value("select true from clients where id = $1", client.id)

    await until(is_kept)
    return client


async def test_a_signature_answers_with_all_that_it_created(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    answer = await sign(service, staff, proposal)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["proposal"]["status"], body["proposal"]["status_id"]) == ("Signed", 2)
    assert body["proposal"]["converted_engagement_id"] == body["engagement"]["id"]
    assert body["proposal"]["converted_order_id"] == body["order"]["id"]
    assert [project["name"] for project in body["projects"]] == ["Website Redesign", "SEO"]
    assert body["order"]["price"] == "9700.50"
    assert (await service.call(staff, "GET", f"/api/proposals/{proposal}")).json() == body["proposal"]


async def test_an_unknown_client_is_ensured_first_and_the_others_get_the_id_of_the_reply(
    service: Service, neighbours: Neighbours
):
    staff = actors.admin()
    await sign(service, staff, await sent_proposal(service, staff))
    assert neighbours.heard[0][0] == "identity.ensure-client"
    (ensured,) = neighbours.commands("identity.ensure-client")
    assert neighbours.commands("engagements.open")[0]["client"]["id"] == ensured["client_id"]
    assert neighbours.commands("orders.place")[0]["client"]["id"] == ensured["client_id"]


async def test_a_known_client_is_not_asked_for(service: Service, shared_broker: Broker, neighbours: Neighbours):
    staff = actors.admin()
    known = await knows(service, shared_broker, staff.org_id, "JANE@roe.example")
    answer = await sign(service, staff, await sent_proposal(service, staff))
    assert answer.status_code == 200
    assert neighbours.commands("identity.ensure-client") == []
    assert neighbours.commands("engagements.open")[0]["client"]["id"] == str(known.id)
    assert neighbours.commands("orders.place")[0]["billed_to"] == {
        "name": "Jane Roe",
        "email": "JANE@roe.example",
        "company": None,
        "tax_id": "DE123",
        "address": {
            "line_1": "1 Main St",
            "line_2": None,
            "city": "Berlin",
            "state": None,
            "country": None,
            "postcode": None,
        },
    }


async def test_a_copy_that_lacks_what_a_bill_needs_is_asked_for(
    service: Service, shared_broker: Broker, neighbours: Neighbours
):
    """As the release before wrote it: a newer version, too, without what the client is billed by."""
    staff = actors.admin()
    known = await knows(service, shared_broker, staff.org_id)
    proposal = await sent_proposal(service, staff)
    async with service.app.state.database.transaction(staff.org_id) as tx:
        names = ("Jane", "Doe", known.email, None, None, True, False, False)
        await tx.run(WRITE_AS_BEFORE, known.id, staff.org_id, 2, *names)
    answer = await sign(service, staff, proposal)
    assert answer.status_code == 200, answer.text
    assert [each["client_id"] for each in neighbours.commands("identity.ensure-client")] == [str(known.id)]


async def test_of_twelve_concurrent_signatures_one_starts_the_flow(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    answers = await asyncio.gather(*(sign(service, staff, proposal) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    assert len(neighbours.commands("engagements.open")) == 1
    assert len(neighbours.commands("orders.place")) == 1


@pytest.mark.parametrize("state", ["draft", "expired", "signed"])
async def test_only_a_sent_unexpired_proposal_can_be_signed(service: Service, neighbours: Neighbours, state: str):
    staff = actors.admin()
    if state == "draft":
        proposal = (await service.call(staff, "POST", "/api/proposals", json=proposal_body())).json()["id"]
    else:
        proposal = await (expired_proposal if state == "expired" else sent_proposal)(service, staff)
    if state == "signed":
        assert (await sign(service, staff, proposal)).status_code == 200
    answer = await sign(service, staff, proposal)
    assert answer.status_code == 409
    assert state.capitalize() in answer.json()["detail"]


async def test_a_client_signs_their_own_proposal_and_no_other(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    stranger = await known(service, actors.client(staff.org_id, email="other@roe.example"))
    assert (await sign(service, stranger, proposal)).status_code == 404
    owner = await known(service, actors.client(staff.org_id))
    assert (await sign(service, owner, proposal)).status_code == 200


async def test_a_reply_of_a_service_that_the_step_is_not_of_is_not_believed(
    service: Service, neighbours: Neighbours, shared_broker: Broker
):
    staff = actors.admin()
    neighbours.answers["orders.place"] = is_silent
    proposal = await sent_proposal(service, staff)
    await sign(service, staff, proposal, prefer="wait=0")
    await neighbours.hears("orders.place")
    (_, command, headers) = next(each for each in neighbours.heard if each[0] == "orders.place")
    forged = replace(places(command), outcome="refused", cause="Forged.")
    place = headers["serx-reply-to"]
    assert place.startswith("rep.orders.")
    async with await shared_broker.connection("engagements") as forger:
        await forger.publish(place.replace("rep.orders.", "rep.engagements."), msgspec.json.encode(forged))
        await arrived(forger)
        await neighbours.answer(headers, places(command))
        answer = await until_signed(service, staff, proposal)
        assert (answer["status"], "Forged" in str(answer)) == ("completed", False)


async def until_signed(service: Service, staff: Actor, proposal: str) -> dict[str, Any]:
    async def report() -> dict[str, Any] | None:
        found = (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
        return found if found["status"] in ("completed", "rejected") else None

    return await until(report)


async def test_wait_0_returns_at_once_and_the_report_tells_the_rest(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    neighbours.answers["orders.place"] = is_silent
    proposal = await sent_proposal(service, staff)
    accepted = await sign(service, staff, proposal, prefer="wait=0")
    assert accepted.status_code == 202
    assert accepted.headers["location"] == f"/api/proposals/{proposal}/sign"
    assert accepted.json()["status"] == "running"
    assert (await service.call(staff, "GET", f"/api/proposals/{proposal}")).json()["status"] == "Signing"
    await neighbours.hears("orders.place")  # what it does not answer
    neighbours.answers["orders.place"] = places

    async def is_completed() -> bool:
        report = (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
        return report["status"] == "completed"

    await until(is_completed)
    report = (await service.call(staff, "GET", accepted.headers["location"])).json()
    assert {step["status"] for step in report["steps"]} == {"done"}
    assert next(step for step in report["steps"] if step["name"] == "order")["attempts"] > 1


async def test_a_command_goes_to_whoever_is_there_and_into_the_stream_where_nobody_is(
    service: Service, shared_broker: Broker
):
    staff = actors.admin()
    await knows(service, shared_broker, staff.org_id)
    for are_there, by in ((True, "now"), (False, "cmd")):
        async with played(shared_broker, are_there=are_there) as neighbours:
            answer = await sign(service, staff, await sent_proposal(service, staff))
            assert answer.status_code == 200, answer.text
            assert sorted(neighbours.subjects) == [f"{by}.engagements.open", f"{by}.orders.place"]
            report = (await service.call(staff, "GET", f"/api/proposals/{answer.json()['proposal']['id']}/sign")).json()
            assert [step["attempts"] for step in report["steps"]] == [1, 1]


async def test_what_was_not_answered_goes_into_the_stream(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    neighbours.answers["identity.ensure-client"] = is_silent
    accepted = await sign(service, staff, await sent_proposal(service, staff), prefer="wait=0")
    await neighbours.hears("identity.ensure-client", times=3)
    first, *again = neighbours.subjects
    assert first == "now.identity.ensure-client"
    assert set(again) == {"cmd.identity.ensure-client"}
    neighbours.answers["identity.ensure-client"] = ensures

    async def is_completed() -> bool:
        return (await service.call(staff, "GET", accepted.headers["location"])).json()["status"] == "completed"

    await until(is_completed)


async def test_what_is_not_answered_is_sent_again_under_another_message_id(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    neighbours.answers["engagements.open"] = is_silent
    await sign(service, staff, await sent_proposal(service, staff), prefer="wait=0")
    await neighbours.hears("engagements.open", times=3)
    ids = neighbours.message_ids("engagements.open")
    assert len(set(ids)) == len(ids)
    bodies = neighbours.commands("engagements.open")
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.parametrize("who", ["identity.ensure-client", "engagements.open", "orders.place"])
async def test_a_refusal_undoes_the_flow_and_the_proposal_can_be_signed_again(
    service: Service, neighbours: Neighbours, who: str
):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    willing = neighbours.answers[who]
    neighbours.answers[who] = refuses("The client was deleted.")
    refused = await sign(service, staff, proposal)
    assert refused.status_code == 409
    assert refused.json()["detail"] == "The client was deleted."
    assert len(neighbours.commands("engagements.cancel")) >= 1
    assert len(neighbours.commands("orders.cancel")) >= 1
    assert (await service.call(staff, "GET", f"/api/proposals/{proposal}")).json()["status"] == "Sent"
    report = (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
    assert report["status"] == "rejected"
    assert {step["status"] for step in report["steps"]} <= {"done", "refused", "cancelled"}
    neighbours.answers[who] = willing
    assert (await sign(service, staff, proposal)).status_code == 200
    opened = [command for command in neighbours.commands("engagements.open") if command["proposal_id"] == proposal]
    sagas = {command["saga_id"] for command in opened}
    assert len(sagas) == (1 if who == "identity.ensure-client" else 2)


async def test_a_step_that_was_never_sent_or_never_answered_is_cancelled_once_the_flow_is_undone(
    service: Service, neighbours: Neighbours
):
    staff = actors.admin()
    statuses: list[dict[str, str]] = []
    for who, answer in (("identity.ensure-client", refuses("No.")), ("orders.place", refuses("No."))):
        neighbours.answers[who] = answer
        neighbours.answers["engagements.open"] = is_silent
        proposal = await sent_proposal(service, staff)
        assert (await sign(service, staff, proposal)).status_code == 409
        report = (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
        statuses.append({step["name"]: step["status"] for step in report["steps"]})
        neighbours.answers["identity.ensure-client"] = ensures
    undone = {"engagement.cancel": "cancelled", "order.cancel": "cancelled"}
    never_sent = {"client": "refused", "engagement": "cancelled", "order": "cancelled"}
    never_answered = {"client": "done", "engagement": "cancelled", "order": "refused"}
    assert statuses == [never_sent | undone, never_answered | undone]


async def test_no_cancel_leaves_before_the_flow_has_turned_back(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    neighbours.answers["orders.place"] = refuses("No.")
    neighbours.answers["engagements.cancel"] = is_silent
    proposal = await sent_proposal(service, staff)
    await sign(service, staff, proposal, prefer="wait=0")
    await neighbours.hears("engagements.cancel")
    report = (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
    assert report["status"] == "compensating"


async def test_a_parked_step_stops_the_flow_and_the_report_says_so(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    neighbours.answers["orders.place"] = lambda _: Reply(outcome="parked", cause="ValueError: poison")
    proposal = await sent_proposal(service, staff)
    await sign(service, staff, proposal, prefer="wait=0")

    async def order_step() -> Any:
        report = (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
        return next((step for step in report["steps"] if step["status"] == "parked"), None)

    step = await until(order_step)
    assert (step["name"], step["error"]) == ("order", "ValueError: poison")


async def test_a_step_is_done_only_once_that_is_recorded(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    neighbours.answers["orders.place"] = is_silent
    proposal = await sent_proposal(service, staff)
    await sign(service, staff, proposal, prefer="wait=0")
    await neighbours.hears("orders.place", times=2)  # the first drive has ended and recorded what it knew
    report = (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
    statuses = {step["name"]: step["status"] for step in report["steps"]}
    assert statuses["engagement"] == "done"
    assert statuses["order"] == "waiting"


async def test_the_same_key_gets_the_same_answer_byte_for_byte(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    first = await sign(service, staff, proposal, idempotency_key='"k-1"')
    again = await sign(service, staff, proposal, idempotency_key="k-1")
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


async def test_a_refusal_before_any_flow_burns_no_key(service: Service, neighbours: Neighbours):
    staff = actors.admin()
    proposal = (await service.call(staff, "POST", "/api/proposals", json=proposal_body())).json()["id"]
    assert (await sign(service, staff, proposal, idempotency_key="k")).status_code == 409
    await service.call(staff, "POST", f"/api/proposals/{proposal}/send")
    signed = await sign(service, staff, proposal, idempotency_key="k")
    assert (signed.status_code, "idempotent-replayed" in signed.headers) == (200, False)


async def test_a_key_of_another_body_is_refused_and_of_another_path_is_another(
    service: Service, neighbours: Neighbours
):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    assert (await sign(service, staff, proposal, idempotency_key="k")).status_code == 200
    path, key = f"/api/proposals/{proposal}/sign", {"idempotency-key": "k"}
    answer = await service.call(staff, "POST", path, json={"signer_name": "Jane"}, headers=key)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:serx:problem:idempotency-key-reused")
    other = await sign(service, staff, await sent_proposal(service, staff), idempotency_key="k")
    assert (other.status_code, "idempotent-replayed" in other.headers) == (200, False)


async def test_another_client_gets_nothing_under_the_signers_key_and_spoils_nothing(
    service: Service, neighbours: Neighbours
):
    staff = actors.admin()
    signer = await known(service, actors.client(staff.org_id))
    other = await known(service, actors.client(staff.org_id, email="other@roe.example"))
    proposal = await sent_proposal(service, staff)
    for _ in range(2):
        assert (await sign(service, other, proposal, idempotency_key="sign")).status_code == 404
    signed = await sign(service, signer, proposal, idempotency_key="sign")
    assert (signed.status_code, "idempotent-replayed" in signed.headers) == (200, False)
    assert (await sign(service, other, proposal, idempotency_key="sign")).status_code == 404
    by_staff = await sign(service, staff, proposal, idempotency_key="sign")
    assert (by_staff.status_code, "idempotent-replayed" in by_staff.headers) == (409, False)
    again = await sign(service, signer, proposal, idempotency_key="sign")
    assert (again.content, again.headers["idempotent-replayed"]) == (signed.content, "true")


async def test_a_signature_is_given_again_before_its_body_or_version_is_looked_at(
    service: Service, neighbours: Neighbours
):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    path, headers = f"/api/proposals/{proposal}/sign", {"idempotency-key": "k", "content-type": "text/plain"}
    read = await service.call(staff, "GET", f"/api/proposals/{proposal}")
    signed = await sign(service, staff, proposal, idempotency_key="k", if_match=read.headers["etag"])
    assert signed.status_code == 200
    again = await sign(service, staff, proposal, idempotency_key="k", if_match=read.headers["etag"])
    assert (again.status_code, again.content) == (200, signed.content)
    reused = await service.call(staff, "POST", path, content=b"{", headers=headers)
    assert reused.status_code == 422
    assert (await service.call(staff, "POST", path, content=b"{", headers={})).status_code == 415


async def test_a_key_of_before_the_upgrade_answers_nobody_and_signs_nothing(service: Service, neighbours: Neighbours):
    """Its row has no caller: to answer it would show it to anybody, and to sign again would do it twice."""
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    path = f"/api/proposals/{proposal}/sign"
    fingerprint = hashlib.sha256(f"POST {path}\n".encode()).digest()
    async with service.app.state.database.transaction(staff.org_id) as tx:
        await tx.run(OUTDATED, staff.org_id, fingerprint, new_id())
    answer = await sign(service, staff, proposal, idempotency_key="before")
    assert (answer.status_code, "upgrade" in answer.json()["detail"]) == (409, True)
    assert (await sign(service, staff, proposal, idempotency_key="since")).status_code == 200


@pytest.mark.parametrize("sent", ['"1.0"', '"2.0", "9.0"', '"99999999999999999999.0"', "nonsense", '""', 'W/"7.0"'])
async def test_a_version_that_is_gone_is_not_signed(service: Service, neighbours: Neighbours, sent: str):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    path = f"/api/proposals/{proposal}"
    withdrawn = {"if-match": (await service.call(staff, "GET", path)).headers["etag"]}
    async with service.app.state.database.transaction(staff.org_id) as tx:
        await tx.run("update proposals set version = 7 where org_id = $1 and id = $2", staff.org_id, proposal)
    for if_match in (sent, withdrawn["if-match"]):
        stale = await sign(service, staff, proposal, if_match=if_match)
        assert (stale.status_code, stale.json()["title"]) == (412, "The resource has changed")
    assert neighbours.commands("engagements.open") == []
    now = (await service.call(staff, "GET", path)).headers["etag"]
    assert (await sign(service, staff, proposal, if_match=f'"1.0", {now}')).status_code == 200
    assert (await sign(service, staff, proposal, if_match=now)).status_code == 412
    assert (await sign(service, staff, proposal, if_match="*")).status_code == 409


async def test_a_version_that_goes_while_t1_waits_for_the_row_is_not_signed(
    service: Service, neighbours: Neighbours, databases: Databases, dsn: str
):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    read = await service.call(staff, "GET", f"/api/proposals/{proposal}")
    async with service.app.state.database.transaction(staff.org_id) as tx:
        await tx.run("update proposals set version = version + 1 where org_id = $1 and id = $2", staff.org_id, proposal)
        signing = asyncio.ensure_future(sign(service, staff, proposal, if_match=read.headers["etag"]))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    assert (await signing).status_code == 412
    assert neighbours.commands("engagements.open") == []


async def test_a_key_in_use_is_a_conflict_and_a_refused_flow_is_replayed_as_its_refusal(
    service: Service, neighbours: Neighbours
):
    staff = actors.admin()
    neighbours.answers["orders.place"] = is_silent
    proposal = await sent_proposal(service, staff)
    await sign(service, staff, proposal, idempotency_key="k", prefer="wait=0")
    assert (await sign(service, staff, proposal, idempotency_key="k")).status_code == 409
    neighbours.answers["orders.place"] = refuses("No.")

    async def is_rejected() -> bool:
        report = (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
        return report["status"] == "rejected"

    await until(is_rejected)
    again = await sign(service, staff, proposal, idempotency_key="k")
    assert (again.status_code, again.json()["detail"]) == (409, "No.")


async def test_the_second_call_with_a_key_is_told_of_the_first_and_not_of_the_proposal(
    service: Service, neighbours: Neighbours, dsn: str, databases: Databases
):
    """Both looked for the key when nobody had used it, and wait for the proposal."""
    staff = actors.admin()
    neighbours.answers["orders.place"] = is_silent
    proposal = await sent_proposal(service, staff)
    async with opened(dsn) as database, database.transaction(staff.org_id) as tx:
        await tx.value("select version from proposals where id = $1 for update", proposal)
        calls = [
            asyncio.ensure_future(sign(service, staff, proposal, idempotency_key="k", prefer="wait=0", **headers))
            for headers in ({}, {"if_match": "*"})
        ]
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    answers = sorted(await asyncio.gather(*calls), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [202, 409]
    assert answers[1].json()["detail"] == "The first request with this Idempotency-Key is still running."


async def test_a_used_key_signs_nothing_though_nobody_looked_for_it(service: Service, neighbours: Neighbours):
    """The flow was refused between the look and T1: else the key's unique index would say so, in PostgreSQL's log."""
    staff = actors.admin()
    neighbours.answers["orders.place"] = refuses("No.")
    proposal = await sent_proposal(service, staff)
    assert (await sign(service, staff, proposal, idempotency_key="k")).json()["detail"] == "No."
    database = service.app.state.database
    async with database.transaction(staff.org_id) as tx:
        used = await tx.value("select key from idempotency_keys where saga_id is not null")
    key = Key(used, b"", outdated_name="k", outdated_fingerprint=b"")
    nothing = Signature(signer_name=None, signature=None, address=None, user_agent=None)
    call = SignCall(proposal=UUID(proposal), signature=nothing, versions=None, key=key)
    async with database.joint() as tx:
        assert not await signing.begin(tx, staff, call, ids=signing.allocate_ids(), traceparent="", at=clock.now())
    neighbours.answers["orders.place"] = places
    assert (await sign(service, staff, proposal, idempotency_key="another")).status_code == 200


async def test_what_was_signed_is_kept_with_who_signed_it(service: Service, neighbours: Neighbours, dsn: str):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    svg = "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'/>"
    await service.call(
        staff,
        "POST",
        f"/api/proposals/{proposal}/sign",
        json={"signer_name": "Jane Roe", "signature": svg},
        headers={"user-agent": "a browser", "serx-client-address": "192.0.2.7"},
    )
    async with opened(dsn) as database, database.transaction(staff.org_id) as tx:
        kept = await tx.value(
            "select array[signer_name, signature, address, user_agent] from signatures where proposal_id = $1", proposal
        )
    assert kept == ["Jane Roe", svg, "192.0.2.7", "a browser"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"x" * 600, "x" * 512),
        ("\u00e9".encode() * 600, "\u00e9" * 512),
        ("\U0001f600".encode() * 600, "\U0001f600" * 512),
        (b"x" + "\u00e9".encode() * 600, "x" + "\u00e9" * 511),
        (b"caf\xe9", "caf\ufffd"),  # latin-1
        (b"\xed\xa0\x80x", "\ufffd" * 3 + "x"),  # half a surrogate pair
        (b"\xc3", "\ufffd"),
        (b"", ""),
    ],
)
async def test_a_user_agent_is_kept_as_text_of_at_most_512_characters(
    service: Service, neighbours: Neighbours, dsn: str, sent: bytes, kept: str
):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    headers = {"user-agent": sent}
    signed = await service.call(staff, "POST", f"/api/proposals/{proposal}/sign", headers=headers)
    assert signed.status_code == 200, signed.text
    async with opened(dsn) as database, database.transaction(staff.org_id) as tx:
        stored = await tx.value("select user_agent from signatures where proposal_id = $1", proposal)
    assert stored == kept


@pytest.mark.parametrize(
    "signature",
    [
        "hello",
        "data:image/gif;base64,R0lGOD",
        "data:image/png;base64,####",
        "data:image/png;base64,aGVsbG8=",
        "data:image/svg+xml;utf8,hello",
        "data:image/svg+xml;utf8,<svg>" + "x" * 262144,
    ],
)
async def test_a_signature_that_is_no_small_image_is_refused_and_signs_nothing(
    service: Service, neighbours: Neighbours, signature: str
):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    answer = await service.call(staff, "POST", f"/api/proposals/{proposal}/sign", json={"signature": signature})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["signature"]
    assert (await service.call(staff, "GET", f"/api/proposals/{proposal}")).json()["status"] == "Sent"


async def test_there_is_no_report_before_any_signing(service: Service):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    assert (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).status_code == 404


async def test_one_event_tells_that_the_proposal_is_signed(
    service: Service, neighbours: Neighbours, shared_broker: Broker
):
    staff = actors.admin()
    async with await nats.connect(shared_broker.operator) as connection:
        heard = await connection.subscribe(f"evt.{staff.org_id}.proposal.signed")
        await arrived(connection)
        proposal = await sent_proposal(service, staff)
        body = (await sign(service, staff, proposal)).json()
        message = await heard.next_msg(timeout=10)
        told = msgspec.json.decode(message.data)
        assert told["id"] == proposal
        assert told["engagement_id"] == body["engagement"]["id"]
        assert told["project_ids"] == [project["id"] for project in body["projects"]]


async def test_a_flow_goes_on_when_the_broker_comes_back_with_an_empty_store(databases: Databases, broker: Broker):
    staff = actors.admin()
    async with databases.fresh("proposals") as own, running("proposals", own, broker) as service:
        proposal = await sent_proposal(service, staff)
        await broker.kill()
        signing = asyncio.create_task(sign(service, staff, proposal))

        async def is_signing() -> bool:
            return (await service.call(staff, "GET", f"/api/proposals/{proposal}")).json()["status"] == "Signing"

        await until(is_signing)
        broker.forget()
        await broker.start()
        async with played(broker):
            assert (await signing).status_code == 200


async def test_a_run_that_nobody_drives_is_taken_over(databases: Databases, broker: Broker):
    staff = actors.admin()
    async with databases.fresh("proposals") as own:
        async with running("proposals", own, broker) as first:
            proposal = await sent_proposal(first, staff)
            assert (await sign(first, staff, proposal, prefer="wait=0")).status_code == 202
        async with played(broker), running("proposals", own, broker) as second:

            async def is_signed() -> bool:
                return (await second.call(staff, "GET", f"/api/proposals/{proposal}")).json()["status"] == "Signed"

            await until(is_signed)


async def test_two_replicas_sweep_the_same_runs_and_each_ends_once(databases: Databases, broker: Broker):
    staff = actors.admin()
    async with (
        databases.fresh("proposals") as own,
        running("proposals", own, broker, SERX_REPLICA="a") as first,
        running("proposals", own, broker, SERX_REPLICA="b"),
        played(broker) as neighbours,
    ):
        neighbours.answers["orders.place"] = is_silent
        proposals = [await sent_proposal(first, staff) for _ in range(5)]
        for proposal in proposals:
            await sign(first, staff, proposal, prefer="wait=0")
        await neighbours.hears("orders.place", times=15)
        neighbours.answers["orders.place"] = places

        async def are_signed() -> bool:
            listed = (await first.call(staff, "GET", "/api/proposals?status=2")).json()
            return listed["meta"]["total"] == len(proposals)

        await until(are_signed)
        async with opened(own) as database, database.transaction_across_organisations() as tx:
            assert await tx.value("select count(*) from outbox where type = 'proposal.signed.v1'") == len(proposals)
