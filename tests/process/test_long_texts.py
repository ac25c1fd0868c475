"""Every text of a body that may be longer than 1,000 characters, at its bound and one character above it.

They are read from the document, so that a new one cannot be forgotten; Schemathesis is not asked for texts so long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx

from tests.process.test_matrix import Route, World, world
from tests.process.test_matrix_inputs import FITTING, body_schema, filled, resolved, text_fields, with_id
from tests.support.fuzzing import LONG
from tests.support.installation import Installation

__all__ = ["world"]

STARTS = {"url": "https://files.example/", "signature": "data:image/png;base64,"}
"""What a text of a pattern starts with."""
OF_ITS_CONTENT = {"signature"}
"""Refused at their bound as well: the text is no image."""


def field_of(world: World, schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The schema of what is at `path`; empty for what an object of the caller's own holds."""
    for step in path:
        schema = resolved(world, schema)
        schema = schema["items"] if step == "0" else schema.get("properties", {}).get(step, {})
    return resolved(world, schema)


def long_fields(world: World) -> Iterator[tuple[Route, tuple[str, ...], int]]:
    for route in world.routes:
        schema = body_schema(world, route) or {}
        for path in text_fields(world, schema):
            if (bound := field_of(world, schema, path).get("maxLength", 0)) > LONG:
                yield route, path, bound


async def sent(
    installation: Installation, world: World, route: Route, path: tuple[str, ...], text: str, **more: Any
) -> httpx.Response:
    """Answer to the least body that has `text` at `path`."""
    schema = body_schema(world, route) or {}
    least = filled(world, schema, world.ids) | FITTING.get(str(route), {})
    body = with_id(world, schema, least, path, world.ids, text) | more
    admin = installation.ready["demo"]["admin_token"]
    return await installation.call_as(admin, route.method.upper(), route.filled(world.ids), json=body)


def text_of(path: tuple[str, ...], length: int) -> str:
    return STARTS.get(path[-1], "").ljust(length, "x")


async def test_a_text_above_its_bound_is_400_and_named(installation: Installation, world: World):
    found, bounds = {}, set()
    for route, path, bound in long_fields(world):
        answer = await sent(installation, world, route, path, text_of(path, bound + 1))
        bounds.add(bound)
        if answer.status_code != 400 or list(answer.json().get("errors", {})) != [".".join(path)]:
            found[f"{route} {'.'.join(path)}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert bounds >= {1_024, 2_048, 64 * 1024, 256 * 1024}


async def test_a_text_at_its_bound_is_not_what_a_body_is_refused_for(installation: Installation, world: World):
    """The body has a field too many, so that nothing is changed."""
    found, tried = {}, 0
    for route, path, bound in long_fields(world):
        if path[-1] in OF_ITS_CONTENT:
            continue
        answer = await sent(installation, world, route, path, text_of(path, bound), surprise=1)
        tried += 1
        if answer.status_code != 400 or list(answer.json().get("errors", {})) != ["surprise"]:
            found[f"{route} {'.'.join(path)}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 20


async def test_what_a_signature_makes_of_the_longest_texts_can_be_sent_back(installation: Installation, world: World):
    """Each field of a change, as the resource answers it: nothing that a flow writes is more than a caller may send."""
    email = f"{'l' * 64}@{'d' * 60}.example"
    items = [{"name": "n" * 255, "description": "d" * 9_000, "price": "9999999.99"} for _ in range(100)]
    names = {"client_name_f": "f" * 100, "client_name_l": "l" * 100, "client_company": "c" * 255}
    proposal = await installation.sent_proposal(client_email=email, items=items, **names)
    signed = (await installation.sign(proposal)).json()
    made = {
        "client_id": signed["order"]["user_id"],
        "engagement_id": signed["engagement"]["id"],
        "project_id": signed["projects"][0]["id"],
        "order_id": signed["order"]["id"],
    }
    tried = set()
    for route in world.routes:
        if route.method != "put" or set(re.findall(r"{(\w+)}", route.path)) - made.keys():
            continue
        path = route.filled(made)
        read = await installation.call("GET", path)
        numbers = {name: read.json()[f"{name}_id"] for name in ("status", "phase") if f"{name}_id" in read.json()}
        fields = resolved(world, body_schema(world, route) or {})["properties"]
        same = {name: value for name, value in (read.json() | numbers).items() if name in fields}
        again = await installation.call("PUT", path, json=same)
        assert again.status_code == 200, (path, again.text[:300])
        assert again.json()["updated_at"] == read.json()["updated_at"], path
        tried.add(path.split("/")[2])
    assert tried == {"clients", "engagements", "projects", "orders"}


async def test_a_place_above_its_bound_is_400_and_named(installation: Installation, world: World):
    found, tried = {}, 0
    for route in world.routes:
        bounds = {
            one["name"]: one["schema"].get("maxLength", 0)
            for one in route.operation.get("parameters", [])
            if one.get("in") == "query"
        }
        for name, bound in ((name, bound) for name, bound in bounds.items() if bound > LONG):
            tried += 1
            answer = await installation.call("GET", f"{route.filled(world.ids)}?{name}={'x' * (bound + 1)}")
            if answer.status_code != 400 or list(answer.json().get("errors", {})) != [name]:
                found[f"{route} {name}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 10
