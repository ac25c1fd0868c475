"""Every `PUT` of the document: an empty one, and one of the answer's own values, are no change.

The routes come from the document that the gateway serves, so that a new one cannot be forgotten.
"""

from __future__ import annotations

from typing import Any

import pytest_asyncio

from tests.support.builders import proposal_body
from tests.support.contract import Stage

SERVICES = ("identity", "proposals", "engagements", "conversations", "orders")
OTHERWISE_NAMED = {"status": "status_id", "phase": "phase_id"}
"""Answers carry the label of these, and the number beside it."""
WRITE_ONLY = {"password"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def resources(stage: Stage) -> dict[str, str]:
    """Where one thing of each kind is that can be changed, by the route of its change."""
    draft = await stage.made("POST /api/proposals", proposal_body(client_email=stage.ids["client_email"]))
    free = {"custom_fields": {"b": 1, "a": [1.5, None, True], "ä": {"deep": "x"}}, "address": {"city": "Berlin"}}
    await stage.got("admin", "PUT /api/clients/{client_id}", free)
    await stage.got("admin", "PUT /api/services/{service_id}", {"metadata": {"b": 1, "a": {"d": 1.5, "c": False}}})
    order = {"user_id": stage.ids["client_id"], "service": "Hosting", "tags": ["a"], "form_data": {"b": 1, "a": 2}}
    order |= {"metadata": {"b": 1.5, "a": {}}, "employees": [stage.ids["user_id"]]}
    ids = stage.ids | {"proposal_id": draft["id"], "order_id": (await stage.made("POST /api/orders", order))["id"]}
    paths = (await stage.got("admin", "GET /api/openapi.json"))["paths"]
    return {path: path.format_map(ids) for path, item in paths.items() if "put" in item}


async def fields_of(stage: Stage, route: str) -> set[str]:
    """The fields that the body of the change has, by the document."""
    document = await stage.got("admin", "GET /api/openapi.json")
    schema = document["paths"][route]["put"]["requestBody"]["content"]["application/json"]["schema"]
    return set(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"])


def sent_back(shown: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    """The answer's own values, as a front end sends them back that has read all of them."""
    named = {name: OTHERWISE_NAMED[name] if OTHERWISE_NAMED.get(name) in shown else name for name in fields}
    body = {name: shown[shown_as] for name, shown_as in named.items() if shown_as in shown}
    if "employees" in shown:
        body |= {
            name: [each["id"] for each in shown["employees"]]
            for name in ("employees", "employee_ids")
            if name in fields
        }
    if "items" in body:
        kept = ("name", "description", "price", "service_id")
        body["items"] = [{name: item[name] for name in kept} for item in shown["items"]]
    if body.get("deadline") is None and body.get("due_at") is None:
        body = {name: value for name, value in body.items() if name not in ("deadline", "due_at")}
    return body


async def events_about(stage: Stage, id: str) -> int:
    """How many events any service has written about the thing."""
    count = "select count(*) as n from outbox where body ->> 'id' = $1"
    return sum([(await stage.installation.rows(service, count, id))[0]["n"] for service in SERVICES])


async def test_an_empty_put_and_one_of_its_own_values_change_nothing(stage: Stage, resources: dict[str, str]):
    assert len(resources) >= 10
    found: dict[str, Any] = {}
    for route, path in resources.items():
        first = await stage.call("admin", f"PUT {path}", {})
        assert first.status_code == 200, (route, first.text)
        fields = await fields_of(stage, route)
        body = sent_back(first.json(), fields)
        missing = fields - body.keys() - WRITE_ONLY - {"due_at", "deadline"}
        told = await events_about(stage, first.json()["id"])
        for sent in ({}, body, {}):
            again = await stage.call("admin", f"PUT {path}", sent, if_match=first.headers["etag"])
            same = (again.status_code, again.content, again.headers.get("etag")) == (
                200,
                first.content,
                first.headers["etag"],
            )
            if not same or missing or await events_about(stage, first.json()["id"]) != told:
                found[f"{route} {sorted(sent)}"] = (again.status_code, again.text, sorted(missing))
    assert found == {}


async def test_a_put_of_another_value_is_one_change_and_moves_the_tag(stage: Stage, resources: dict[str, str]):
    """The other way round: what is looked at above does move."""
    texts = ("name", "subject", "name_f", "client_name_f", "note")
    for number, (route, path) in enumerate(resources.items()):
        first = await stage.call("admin", f"PUT {path}", {})
        fields = await fields_of(stage, route)
        field, other = next(name for name in texts if name in fields), f"Another {number}"
        changed = await stage.call("admin", f"PUT {path}", {field: other}, if_match=first.headers["etag"])
        assert (changed.status_code, changed.json()[field]) == (200, other), route
        assert changed.headers["etag"] != first.headers["etag"], route
        stale = await stage.call("admin", f"PUT {path}", {field: other}, if_match=first.headers["etag"])
        assert stale.status_code == 412, route
