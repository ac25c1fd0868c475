"""The contract from end to end, over all services: what one of them changes, the others show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.ids import new_id
from tests.support.builders import proposal_body
from tests.support.installation import Installation
from tests.support.servers import until


@pytest_asyncio.fixture(loop_scope="session")
async def email() -> str:
    return f"{new_id()}@walk.example"


async def made(installation: Installation, path: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = await installation.call("POST", path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def changed(installation: Installation, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await installation.call("PUT", path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def shows(installation: Installation, path: str, *keys: str | int, value: Any) -> None:
    """Wait until the answer at `path` has `value` under `keys`: what another service said has arrived."""

    async def is_shown() -> bool:
        found: Any = (await installation.call("GET", path)).json()
        for key in keys:
            found = found[key]
        return found == value

    await until(is_shown)


async def signed(installation: Installation, email: str, **changes: Any) -> dict[str, Any]:
    answer = await installation.sign(await installation.sent_proposal(client_email=email, **changes))
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest_asyncio.fixture(loop_scope="session")
async def client(installation: Installation, email: str) -> AsyncIterator[dict[str, Any]]:
    person = {"name_f": "Jane", "name_l": "Roe", "email": email}
    yield await made(installation, "/api/clients", person)


async def test_a_client_made_beforehand_is_the_one_who_signs(installation: Installation, client: dict[str, Any]):
    walked = await signed(installation, client["email"].upper())
    assert walked["engagement"]["client_id"] == client["id"]
    assert walked["order"]["user_id"] == client["id"]


async def test_a_new_name_arrives_everywhere(installation: Installation, client: dict[str, Any]):
    walked = await signed(installation, client["email"])
    await changed(installation, f"/api/clients/{client['id']}", {"name_l": "Doe"})
    await shows(installation, f"/api/engagements/{walked['engagement']['id']}", "client", "name", value="Jane Doe")
    await shows(installation, f"/api/orders/{walked['order']['id']}", "client", "name_l", value="Doe")


async def test_a_project_names_the_service_that_it_delivers(installation: Installation, email: str):
    template = await made(installation, "/api/services", {"name": "Website", "price": "2500.00"})
    item = {"name": "Our site", "description": "", "price": "2000", "service_id": template["id"]}
    walked = await signed(installation, email, items=[item])
    assert walked["projects"][0]["service"] == {"id": template["id"], "name": "Website"}
    assert walked["order"]["service_id"] == template["id"]
    await changed(installation, f"/api/services/{template['id']}", {"name": "Web presence"})
    path = f"/api/projects/{walked['projects'][0]['id']}"
    await shows(installation, path, "service", "name", value="Web presence")
    order = await made(
        installation, "/api/orders", {"user_id": walked["order"]["user_id"], "service_id": template["id"]}
    )
    assert (order["price"], order["service"]) == ("2500.00", "Web presence")


async def test_a_deleted_template_does_not_keep_a_proposal_from_being_signed(installation: Installation, email: str):
    template = await made(installation, "/api/services", {"name": "Website", "price": "2500.00"})
    item = {"name": "Our site", "description": "", "price": "2000", "service_id": template["id"]}
    proposal = await installation.sent_proposal(client_email=email, items=[item])
    assert (await installation.call("DELETE", f"/api/services/{template['id']}")).status_code == 204
    assert (await installation.sign(proposal)).status_code == 200


async def test_a_project_walks_its_phases(installation: Installation, email: str):
    project = (await signed(installation, email))["projects"][0]["id"]
    phases = []
    while (answer := await installation.call("POST", f"/api/projects/{project}/advance")).status_code == 200:
        phases.append(answer.json()["phase"])
    assert phases == ["Setup", "Build", "Testing", "Deployment", "Handoff"]
    assert answer.status_code == 409


async def test_talk_is_seen_by_whom_it_is_meant_for(installation: Installation):
    demo = await installation.call("GET", "/api/engagements", token="client_token")
    address = demo.json()["data"][0]["client"]["email"]
    walked = await signed(installation, address)
    talk = f"/api/projects/{walked['projects'][0]['id']}/conversations"
    conversation = await made(installation, talk, {"subject": "Colours"})
    path = f"{talk}/{conversation['id']}"
    await made(installation, f"{path}/messages", {"content": "Which blue?"})
    before = await as_client(installation, path)
    await made(installation, f"{path}/messages", {"content": "They never know.", "is_internal": True})
    after = await as_client(installation, path)
    assert after.json() == before.json()
    assert after.headers["etag"] == before.headers["etag"]
    staff = (await installation.call("GET", path)).json()
    assert (staff["message_count"], after.json()["message_count"]) == (2, 1)
    engagement = f"/api/engagements/{walked['engagement']['id']}"
    assert (await installation.call("GET", engagement)).json()["conversations"][0]["message_count"] == 2
    assert (await as_client(installation, engagement)).json()["conversations"][0]["message_count"] == 1


async def as_client(installation: Installation, path: str) -> httpx.Response:
    answer = await installation.call("GET", path, token="client_token")
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_deleted_project_takes_its_conversations_along(installation: Installation, email: str):
    walked = await signed(installation, email)
    project = walked["projects"][0]["id"]
    talk = f"/api/projects/{project}/conversations"
    conversation = await made(installation, talk, {"subject": "Colours"})
    assert (await installation.call("DELETE", f"/api/projects/{project}")).status_code == 204

    async def is_gone() -> bool:
        return (await installation.call("GET", f"{talk}/{conversation['id']}")).status_code == 404

    await until(is_gone)
    engagement = (await installation.call("GET", f"/api/engagements/{walked['engagement']['id']}")).json()
    assert [found["name"] for found in engagement["projects"]] == ["SEO"]
    assert engagement["conversations"] == []


async def test_a_client_with_an_engagement_stays_and_one_without_can_go(installation: Installation, email: str):
    walked = await signed(installation, email)
    kept = await installation.call("DELETE", f"/api/clients/{walked['engagement']['client_id']}")
    assert kept.status_code == 409, kept.text
    assert (await installation.sign(await installation.sent_proposal(client_email=email))).status_code == 200
    person = {"name_f": "No", "name_l": "Body", "email": f"{new_id()}@walk.example"}
    alone = await made(installation, "/api/clients", person)
    assert (await installation.call("DELETE", f"/api/clients/{alone['id']}")).status_code == 204
    assert (await installation.call("GET", f"/api/clients/{alone['id']}")).status_code == 404
    await made(installation, "/api/clients", person)


async def test_a_disabled_client_is_a_cause_to_refuse_a_signature(installation: Installation, client: dict[str, Any]):
    await changed(installation, f"/api/clients/{client['id']}", {"status": 0})
    proposal = await installation.sent_proposal(client_email=client["email"])
    refused = await installation.sign(proposal)
    assert refused.status_code == 409
    assert "disabled" in refused.json()["detail"]
    await changed(installation, f"/api/clients/{client['id']}", {"status": 1})
    assert (await installation.sign(proposal)).status_code == 200


async def test_signed_amounts_never_change(installation: Installation, email: str):
    order = (await signed(installation, email))["order"]
    path = f"/api/orders/{order['id']}"
    for change in ({"price": "1.00"}, {"currency": "EUR"}, {"quantity": 2}):
        assert (await installation.call("PUT", path, json=change)).status_code == 409
    assert (await changed(installation, path, {"status": 1}))["status"] == "In Progress"


async def test_a_stale_change_is_refused_and_a_fresh_one_is_not(installation: Installation, client: dict[str, Any]):
    path = f"/api/clients/{client['id']}"
    tag = (await installation.call("GET", path)).headers["etag"]
    first = await installation.call("PUT", path, json={"company": "Roe Ltd"}, headers={"if-match": tag})
    stale = await installation.call("PUT", path, json={"company": "Doe Ltd"}, headers={"if-match": tag})
    assert (first.status_code, stale.status_code) == (200, 412)
    fresh = await installation.call("PUT", path, json={"phone": "1"}, headers={"if-match": first.headers["etag"]})
    assert fresh.status_code == 200
    assert (await installation.call("DELETE", path, headers={"if-match": tag})).status_code == 412


@pytest.mark.parametrize(
    ("prices", "total"),
    [
        ([0.10, 0.10, 0.10], "0.30"),
        (["0.1", 0.2, "0"], "0.30"),
        (["9999999999.98", "0.01"], "9999999999.99"),
        ([1234567890.12, 0.07, 7], "1234567897.19"),
        ([9999999999.99], "9999999999.99"),
        ([0.01] * 100, "1.00"),
    ],
)
async def test_a_sum_is_exact_from_the_proposal_to_the_order(
    installation: Installation, email: str, prices: list[float | str], total: str
):
    items = [{"name": f"Part {n}", "description": "", "price": price} for n, price in enumerate(prices)]
    proposal = await made(installation, "/api/proposals", proposal_body(client_email=email, items=items))
    assert proposal["total"] == total
    assert sum(Decimal(item["price"]) for item in proposal["items"]) == Decimal(total)
    await made(installation, f"/api/proposals/{proposal['id']}/send", {}, status=200)
    signed = await made(installation, f"/api/proposals/{proposal['id']}/sign", {}, status=200)
    assert (signed["proposal"]["total"], signed["order"]["price"]) == (total, total)
    order = (await installation.call("GET", f"/api/orders/{signed['order']['id']}")).json()
    assert (order["price"], [item["price"] for item in order["metadata"]["proposal_items"]]) == (
        total,
        [item["price"] for item in proposal["items"]],
    )


async def test_internal_messages_leave_no_trace_for_a_client_through_the_gateway(installation: Installation):
    address = (await as_client(installation, "/api/auth/me")).json()["email"]
    walked = await signed(installation, address)
    talk = f"/api/projects/{walked['projects'][0]['id']}/conversations"
    path = f"{talk}/{(await made(installation, talk, {'subject': 'Colours'}))['id']}"
    looked_at = [path, talk, f"{path}/messages", "/api/conversations", f"/api/engagements/{walked['engagement']['id']}"]

    async def seen() -> list[tuple[Any, str | None]]:
        answers = [await as_client(installation, each) for each in looked_at]
        return [(answer.json(), answer.headers.get("etag")) for answer in answers]

    for before in ({"content": "Hello"}, None):
        if before:
            await made(installation, f"{path}/messages", before)
        told = await seen()
        attached = [{"name": "cost.pdf", "url": "https://files.example/cost.pdf"}]
        for body in ({"content": "Plain"}, {"content": "With a file", "attachments": attached}):
            hidden = await made(installation, f"{path}/messages", body | {"is_internal": True})
            assert await seen() == told
            gone = await installation.call("DELETE", f"{path}/messages/{hidden['id']}", token="client_token")
            assert gone.status_code == 404
            assert (await installation.call("DELETE", f"{path}/messages/{hidden['id']}")).status_code == 204
            assert await seen() == told
