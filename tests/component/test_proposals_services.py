"""The proposal service: service templates, and what other services hear of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import nats
import pytest
import pytest_asyncio
from nats.aio.msg import Msg

from shared.contracts.proposals import ProposalQuestion, ProposalState, TemplateQuestion, TemplateState
from shared.ids import new_id
from shared.messaging import topology
from shared.web.actor import Actor, Role
from tests.support import actors
from tests.support.builders import known, proposal_body, sent_proposal
from tests.support.commands import arrived
from tests.support.databases import Databases
from tests.support.servers import Broker, until
from tests.support.services import Service, running

PATH = "/api/services"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(databases: Databases, shared_broker: Broker) -> AsyncIterator[Service]:
    async with databases.fresh("proposals") as dsn, running("proposals", dsn, shared_broker) as running_service:
        yield running_service


@pytest.fixture
def staff() -> Actor:
    """An administrator of an organisation that nobody has used."""
    return actors.admin()


async def written(service: Service, actor: Actor, **fields: Any) -> dict[str, Any]:
    answer = await service.call(actor, "POST", PATH, json={"name": "SEO audit"} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def listed(service: Service, actor: Actor, query: str) -> list[str]:
    answer = await service.call(actor, "GET", f"{PATH}?{query}")
    assert answer.status_code == 200, answer.text
    return [template["name"] for template in answer.json()["data"]]


async def test_a_name_is_all_that_a_service_needs(service: Service, staff: Actor):
    template = await written(service, staff)
    assert template == {
        "id": template["id"],
        "org_id": str(staff.org_id),
        "name": "SEO audit",
        "description": None,
        "price": "0.00",
        "pretty_price": "$0.00",
        "currency": "USD",
        "recurring": 0,
        "public": True,
        "deadline": None,
        "sort_order": 0,
        "metadata": {},
        "created_at": template["created_at"],
        "updated_at": template["created_at"],
    }


async def test_what_was_written_reads_back_the_same(service: Service, staff: Actor):
    fields = {
        "description": "All of it",
        "price": 2500,
        "currency": "CHF",
        "recurring": 2,
        "public": False,
        "deadline": 14,
        "sort_order": -3,
        "metadata": {"team": "search", "depth": {"levels": [1, 2.5, None, True]}},
    }
    template = await written(service, staff, **fields)
    assert {name: template[name] for name in fields} == fields | {"price": "2500.00"}
    assert template["pretty_price"] == "CHF 2,500.00"
    read = await service.call(staff, "GET", f"{PATH}/{template['id']}")
    assert (read.status_code, read.json()) == (200, template)
    assert (await service.call(staff, "GET", PATH)).json()["data"] == [template]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": None}, "name"),
        ({"price": -1}, "price"),
        ({"price": "1.005"}, "price"),
        ({"price": None}, "price"),
        ({"currency": "XYZ"}, "currency"),
        ({"currency": "usd"}, "currency"),
        ({"recurring": 3}, "recurring"),
        ({"recurring": True}, "recurring"),
        ({"public": 1}, "public"),
        ({"deadline": -1}, "deadline"),
        ({"deadline": 1.5}, "deadline"),
        ({"sort_order": 2**31}, "sort_order"),
        ({"metadata": []}, "metadata"),
        ({"metadata": None}, "metadata"),
        ({"metadata": {"a": "\x00"}}, "metadata.a"),
        ({"colour": "red"}, "colour"),
        ({"id": str(new_id())}, "id"),
    ],
)
async def test_a_bad_field_is_refused_in_a_new_service_and_in_a_change(
    service: Service, staff: Actor, change: dict[str, Any], field: str
):
    template = await written(service, staff)
    for method, path in (("POST", PATH), ("PUT", f"{PATH}/{template['id']}")):
        body = change if method == "PUT" else {"name": "n"} | change
        answer = await service.call(staff, method, path, json=body)
        assert answer.status_code == 400, answer.text
        assert list(answer.json()["errors"]) == [field]


async def test_a_change_touches_what_was_sent_and_leaves_the_rest(service: Service, staff: Actor):
    template = await written(service, staff, price="10.00", description="d", deadline=3, metadata={"a": 1})
    path = f"{PATH}/{template['id']}"
    changed = (await service.call(staff, "PUT", path, json={"price": "12.50", "metadata": {"b": 2}})).json()
    assert changed["updated_at"] > template["updated_at"]
    expected = {"price": "12.50", "pretty_price": "$12.50", "metadata": {"b": 2}, "updated_at": changed["updated_at"]}
    assert changed == template | expected
    cleared = (await service.call(staff, "PUT", path, json={"description": None, "deadline": None})).json()
    assert (cleared["description"], cleared["deadline"], cleared["price"]) == (None, None, "12.50")


async def test_a_change_that_changes_nothing_leaves_the_version(service: Service, staff: Actor):
    template = await written(service, staff, price="10.00")
    path = f"{PATH}/{template['id']}"
    for body in ({}, {"price": 10, "currency": "USD"}):
        answer = await service.call(staff, "PUT", path, json=body)
        assert (answer.status_code, answer.json()) == (200, template)
    told = await service.call(staff, "PUT", path, json={"metadata": {"a": True}})
    once_more = await service.call(staff, "PUT", path, json={"metadata": {"a": 1}})
    assert (told.json()["metadata"], once_more.json()["metadata"]) == ({"a": True}, {"a": 1})


async def test_a_stale_writer_is_told_so_before_anything_else(service: Service, staff: Actor):
    first = await service.call(staff, "POST", PATH, json={"name": "n"})
    path, tag = f"{PATH}/{first.json()['id']}", first.headers["etag"]
    changed = await service.call(staff, "PUT", path, json={"name": "m"}, headers={"if-match": tag})
    assert (changed.status_code, changed.headers["etag"] == tag) == (200, False)
    for method, options in (("PUT", {"json": {"name": "o"}}), ("DELETE", {})):
        stale = await service.call(staff, method, path, headers={"if-match": tag}, **options)
        assert stale.status_code == 412, stale.text
    fresh = {"if-none-match": changed.headers["etag"]}
    assert (await service.call(staff, "GET", path, headers=fresh)).status_code == 304
    gone = await service.call(staff, "DELETE", path, headers={"if-match": changed.headers["etag"]})
    assert gone.status_code == 204


async def test_a_deleted_service_is_gone_for_every_call(service: Service, staff: Actor):
    path = f"{PATH}/{(await written(service, staff))['id']}"
    gone = await service.call(staff, "DELETE", path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert await listed(service, staff, "") == []
    for method, options in (("GET", {}), ("DELETE", {}), ("PUT", {"json": {"name": "m"}}), ("PUT", {"content": b"{"})):
        assert (await service.call(staff, method, path, **options)).status_code == 404
    assert (await service.call(staff, "GET", f"{path}?colour=red")).status_code == 404


async def test_absent_foreign_and_malformed_ids_look_alike(service: Service, staff: Actor):
    foreign = (await written(service, actors.admin()))["id"]
    seen = set()
    for id_in_path in (foreign, str(new_id()), "nonsense", foreign.replace("-", "")):
        for method, options in (("GET", {}), ("PUT", {"json": {"name": "x"}}), ("DELETE", {})):
            problem = (await service.call(staff, method, f"{PATH}/{id_in_path}", **options)).json()
            seen.add((problem["status"], problem["type"], problem["detail"]))
    assert seen == {(404, "urn:serx:problem:not-found", "There is no such service.")}


async def test_no_client_may_call_any_of_it(service: Service, staff: Actor):
    client = actors.client(staff.org_id)
    path = f"{PATH}/{(await written(service, staff))['id']}"
    calls = [("GET", PATH), ("POST", PATH), ("GET", path), ("PUT", path), ("DELETE", path), ("PUT", f"{PATH}/nonsense")]
    for method, called in calls:
        answer = await service.call(client, method, called, content=b"{")
        assert answer.status_code == 403, (method, called)
    assert (await service.call(None, "GET", PATH)).status_code == 401


async def test_a_member_may_do_what_an_administrator_may(service: Service, staff: Actor):
    member = msgspec.structs.replace(staff, role=Role.MEMBER)
    path = f"{PATH}/{(await written(service, member))['id']}"
    assert (await service.call(member, "PUT", path, json={"name": "m"})).status_code == 200
    assert (await service.call(member, "DELETE", path)).status_code == 204


async def test_lists_are_filtered_and_sorted(service: Service, staff: Actor):
    await written(service, staff, name="a", price=3, recurring=1, public=True, sort_order=2)
    await written(service, staff, name="b", price=1, recurring=0, public=False, sort_order=3)
    await written(service, staff, name="c", price=2, recurring=2, public=True, sort_order=1)
    await written(service, actors.admin(), name="foreign")
    expected = {
        "": "cba",
        "sort=created_at:asc": "abc",
        "sort=id:asc": "abc",
        "sort=name:desc": "cba",
        "sort=price:asc": "bca",
        "sort=recurring:desc": "cab",
        "sort=public:asc": "bac",
        "sort=sort_order:asc": "cab",
        "public=true&sort=name:asc": "ac",
        "public=false": "b",
        "recurring=2": "c",
        "recurring=1&public=false": "",
    }
    found = {query: "".join(await listed(service, staff, query)) for query in expected}
    assert found == expected


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("sort=updated_at:asc", {"sort"}),
        ("recurring=3", {"recurring"}),
        ("public=perhaps", {"public"}),
        ("currency=USD", {"currency"}),
        ("page=0&limit=0", {"page", "limit"}),
    ],
)
async def test_a_bad_query_names_what_is_wrong(service: Service, staff: Actor, query: str, fields: set[str]):
    answer = await service.call(staff, "GET", f"{PATH}?{query}")
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == fields


async def test_pages_neither_overlap_nor_skip_and_keep_the_filters(service: Service, staff: Actor):
    for _ in range(5):
        await written(service, staff)
    seen: list[str] = []
    for page in (1, 2, 3):
        query = f"{PATH}?public=true&limit=2&page={page}&sort=name:asc"
        answer = (await service.call(staff, "GET", query)).json()
        seen += [template["id"] for template in answer["data"]]
    assert len(seen) == len(set(seen)) == 5
    assert answer["links"]["prev"] == "http://service/api/services?public=true&limit=2&page=2&sort=name%3Aasc"


async def test_the_same_key_writes_one_service(service: Service, staff: Actor):
    options: dict[str, Any] = {"json": {"name": "n"}, "headers": {"idempotency-key": "one"}}
    first = await service.call(staff, "POST", PATH, **options)
    again = await service.call(staff, "POST", PATH, **options)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert await listed(service, staff, "") == ["n"]
    other = await service.call(staff, "POST", PATH, json={"name": "m"}, headers={"idempotency-key": "one"})
    assert other.status_code == 422


async def test_others_hear_of_every_version_and_of_the_end(service: Service, shared_broker: Broker, staff: Actor):
    heard: list[TemplateState] = []

    async def hear(message: Msg) -> None:
        assert (message.headers or {})["ce-type"] == "template.changed.v1"
        heard.append(msgspec.json.decode(message.data, type=TemplateState))

    async with await nats.connect(shared_broker.operator) as connection:
        await connection.subscribe(topology.event_subject(staff.org_id, "template", "changed"), cb=hear)
        await arrived(connection)
        template = await written(service, staff, price="10.00", currency="EUR")
        path = f"{PATH}/{template['id']}"
        await service.call(staff, "PUT", path, json={"name": "Renamed"})
        await service.call(staff, "PUT", path, json={"name": "Renamed"})
        await service.call(staff, "DELETE", path)
        await until(lambda: asyncio.sleep(0, len(heard) >= 3))
    told = sorted(heard, key=lambda state: state.version)
    assert [(state.version, state.name, state.is_deleted) for state in told] == [
        (1, "SEO audit", False),
        (2, "Renamed", False),
        (3, "Renamed", True),
    ]
    assert {(str(state.id), state.org_id, str(state.price), state.currency) for state in told} == {
        (template["id"], staff.org_id, "10.00", "EUR")
    }


async def test_who_asks_what_a_service_is_is_told_also_of_a_deleted_one(
    service: Service, shared_broker: Broker, staff: Actor
):
    template = await written(service, staff, price="10.00")
    async with await nats.connect(
        shared_broker.operator, inbox_prefix=topology.answers_prefix("orders").encode()
    ) as connection:

        async def asked(org: Any, template_id: Any) -> TemplateState | None:
            question = msgspec.json.encode(TemplateQuestion(org_id=org, id=template_id))
            answer = await connection.request(topology.question_subject("proposals", "template"), question, timeout=5)
            return msgspec.json.decode(answer.data, type=TemplateState | None)

        state = await asked(staff.org_id, template["id"])
        assert state
        assert (state.version, state.name, str(state.price), state.is_deleted) == (1, "SEO audit", "10.00", False)
        assert await asked(new_id(), template["id"]) is None
        assert await asked(staff.org_id, new_id()) is None
        await service.call(staff, "DELETE", f"{PATH}/{template['id']}")
        gone = await asked(staff.org_id, template["id"])
        assert gone
        assert (gone.version, gone.is_deleted) == (2, True)


async def test_who_asks_whether_a_proposal_is_there_is_told_until_it_is_deleted(
    service: Service, shared_broker: Broker, staff: Actor
):
    made = await service.call(staff, "POST", "/api/proposals", json=proposal_body())
    proposal = made.json()["id"]
    async with await nats.connect(
        shared_broker.operator, inbox_prefix=topology.answers_prefix("engagements").encode()
    ) as connection:

        async def asked(org: Any, id: Any, **client: Any) -> ProposalState | None:
            question = msgspec.json.encode(ProposalQuestion(org_id=org, id=id, **client))
            answer = await connection.request(topology.question_subject("proposals", "proposal"), question, timeout=5)
            return msgspec.json.decode(answer.data, type=ProposalState | None)

        there = ProposalState(org_id=staff.org_id, id=UUID(proposal))
        assert await asked(staff.org_id, proposal) == there
        other = ProposalState(org_id=staff.org_id, id=UUID(proposal), is_of_client=False)
        assert await asked(staff.org_id, proposal, client_id=new_id(), client_email="JANE@roe.example") == there
        assert await asked(staff.org_id, proposal, client_id=new_id(), client_email="joe@roe.example") == other
        assert await asked(staff.org_id, proposal, client_id=new_id()) == other
        assert await asked(new_id(), proposal) is None
        assert await asked(staff.org_id, new_id()) is None
        owner = await known(service, actors.client(staff.org_id))
        sent = await sent_proposal(service, staff)
        whose = await asked(staff.org_id, sent, client_id=owner.id, client_email="moved@roe.example")
        by_address = await asked(staff.org_id, sent, client_id=new_id(), client_email="jane@roe.example")
        assert whose == ProposalState(org_id=staff.org_id, id=UUID(sent))
        assert by_address == ProposalState(org_id=staff.org_id, id=UUID(sent), is_of_client=False)
        await service.call(staff, "DELETE", f"/api/proposals/{proposal}")
        assert await asked(staff.org_id, proposal) is None


async def test_a_proposal_refers_to_services_that_are_there_and_every_bad_item_is_named(service: Service, staff: Actor):
    there, gone = [(await written(service, staff))["id"] for _ in range(2)]
    foreign = (await written(service, actors.admin()))["id"]
    await service.call(staff, "DELETE", f"{PATH}/{gone}")
    named = [there, gone, None, foreign, str(new_id())]
    items = [{"name": "n", "description": "", "price": 1, "service_id": each} for each in named]
    refused = await service.call(staff, "POST", "/api/proposals", json=proposal_body(items=items))
    assert refused.status_code == 422
    assert list(refused.json()["errors"]) == ["items.1.service_id", "items.3.service_id", "items.4.service_id"]
    accepted = await service.call(staff, "POST", "/api/proposals", json=proposal_body(items=[items[0], items[2]]))
    assert [item["service_id"] for item in accepted.json()["items"]] == [there, None]


@pytest.mark.parametrize("currency", ["JPY", "KRW", "CLP", "XAF"])
async def test_a_currency_without_minor_units_takes_whole_amounts(service: Service, staff: Actor, currency: str):
    assert (await written(service, staff, price="2500.00", currency=currency))["price"] == "2500.00"
    refused = await service.call(staff, "POST", PATH, json={"name": "x", "price": "2500.50", "currency": currency})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["price"])
    dollars = await written(service, staff, price="2500.50")
    moved = await service.call(staff, "PUT", f"{PATH}/{dollars['id']}", json={"currency": currency})
    assert (moved.status_code, list(moved.json()["errors"])) == (400, ["price"])
    items = [{"name": "a", "description": "d", "price": 1}, {"name": "b", "description": "d", "price": 1.5}]
    proposal = proposal_body(items=items)
    refused = await service.call(staff, "POST", "/api/proposals", json=proposal | {"currency": currency})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["items.1.price"])
    draft = (await service.call(staff, "POST", "/api/proposals", json=proposal)).json()
    moved = await service.call(staff, "PUT", f"/api/proposals/{draft['id']}", json={"currency": currency})
    assert (moved.status_code, list(moved.json()["errors"])) == (400, ["items.1.price"])


@pytest.mark.parametrize(("currency", "decimals"), [("KWD", "three"), ("BHD", "three"), ("CLF", "four")])
async def test_a_currency_with_more_than_two_decimals_is_refused(
    service: Service, staff: Actor, currency: str, decimals: str
):
    message = f"{currency} has {decimals} decimals, and amounts here have two."
    for path, body in ((PATH, {"name": "x"}), ("/api/proposals", proposal_body())):
        refused = await service.call(staff, "POST", path, json=body | {"currency": currency})
        assert (refused.status_code, refused.json()["errors"]) == (400, {"currency": [message]})


async def test_metadata_that_an_earlier_release_took_can_be_sent_back(service: Service, staff: Actor):
    template, large = await written(service, staff), {"a": "x" * 70_000}
    async with service.app.state.database.transaction(staff.org_id) as tx:
        await tx.run(
            "update templates set metadata_sent = $2 where id = $1", UUID(template["id"]), msgspec.json.encode(large)
        )
    path = f"{PATH}/{template['id']}"
    answer = await service.call(staff, "PUT", path, json={"metadata": large, "deadline": 3})
    assert (answer.status_code, answer.json()["metadata"], answer.json()["deadline"]) == (200, large, 3)
    refused = await service.call(staff, "PUT", path, json={"metadata": large | {"b": 1}})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["metadata"])
