"""Every id in a body, every filter and every parameter of the document: another organisation's, unknown, or nonsense.

All of them are read from the document, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.process.test_matrix import OF_THE_CREDENTIAL, PUBLIC, Route, World, ids_of_everything, is_problem, world
from tests.support.complaints import Marks, complaints, marks
from tests.support.installation import Installation

__all__ = ["world"]

KINDS = {"user_id": "client_id", "employees": "user_id", "employee_ids": "user_id"}
"""What a field's id is of, where its name does not say so: an order's `user_id` is its client."""
FITTING: dict[str, dict[str, Any]] = {
    "POST /api/tokens": {"role": "client"},
    "POST /api/orders": {"service": "Website"},
}
"""What else has to be said for an id to matter."""


@pytest.fixture(scope="module", autouse=True)
def before(installation: Installation) -> Marks:
    """How long the logs were before these tests."""
    return marks(installation.folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_ids(installation: Installation, world: World) -> dict[str, str]:
    """One thing of each kind, in the organisation of `world.another`."""
    return await ids_of_everything(installation, world.another)


def resolved(world: World, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself: past references, and past the null that it may be as well."""
    while True:
        options = [option for option in schema.get("oneOf", []) if option != {"type": "null"}]
        if "$ref" in schema:
            schema = world.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif options:
            schema = {**{key: value for key, value in schema.items() if key != "oneOf"}, **options[0]}
        else:
            return schema


def body_schema(world: World, route: Route) -> dict[str, Any] | None:
    body = route.operation.get("requestBody")
    return resolved(world, body["content"]["application/json"]["schema"]) if body else None


def id_fields(world: World, schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where ids are in a body."""
    schema = resolved(world, schema)
    if schema.get("format") == "uuid":
        yield path
    for name, inner in schema.get("properties", {}).items():
        yield from id_fields(world, inner, (*path, name))
    if "items" in schema:
        yield from id_fields(world, schema["items"], (*path, "0"))


def filled(world: World, schema: dict[str, Any], ids: dict[str, str], name: str = "") -> Any:
    """The least that a body can say."""
    schema = resolved(world, schema)
    if schema.get("format") == "uuid":
        return ids[KINDS.get(name, name)]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            needed = schema.get("required", [])
            return {field: filled(world, schema["properties"][field], ids, field) for field in needed}
        case "array":
            return [filled(world, schema["items"], ids, name)]
        case "string":
            return schema.get("examples", ["Something"])[0]
        case _:
            return 1


def with_id(
    world: World, schema: dict[str, Any], body: Any, path: tuple[str, ...], ids: dict[str, str], id: str
) -> Any:
    """`body` with `id` at `path`; what is missing on the way is filled."""
    if not path:
        return id
    schema, (step, *rest) = resolved(world, schema), path
    if step == "0":
        inner = schema["items"]
        first = body[0] if body else filled(world, inner, ids) if rest else None
        return [with_id(world, inner, first, tuple(rest), ids, id)]
    inner = schema["properties"][step]
    start = body.get(step) if step in body else (None if not rest else [] if rest[0] == "0" else {})
    return {**body, step: with_id(world, inner, start, tuple(rest), ids, id)}


async def test_no_id_of_another_organisation_is_taken_in_a_body(
    installation: Installation, world: World, own_ids: dict[str, str]
):
    found, tried = {}, 0
    for route in world.routes:
        if (route.method, route.path) in PUBLIC:
            continue  # a caller without a credential has no organisation yet that another could be compared with
        schema = body_schema(world, route) or {}
        for path in id_fields(world, schema):
            name = next(step for step in reversed(path) if step != "0")
            least = filled(world, schema, own_ids) | FITTING.get(str(route), {})
            body = with_id(world, schema, least, path, own_ids, world.ids[KINDS.get(name, name)])
            answer = await installation.call_as(world.another, route.method.upper(), route.filled(own_ids), json=body)
            tried += 1
            if answer.status_code != 422:
                found[f"{route} {'.'.join(path)}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 10


@pytest.mark.parametrize("who", ["another organisation", "another client"])
async def test_a_filter_by_an_id_of_others_finds_nothing(installation: Installation, world: World, who: str):
    token = world.another if who == "another organisation" else installation.ready["demo"]["client_token"]
    found, tried = {}, 0
    for route in world.routes:
        for parameter in route.operation.get("parameters", []):
            if parameter.get("in") != "query" or parameter["schema"].get("format") != "uuid" or "{" in route.path:
                continue
            name = str(parameter["name"])
            id = world.ids[KINDS.get(name, name)]
            answer = await installation.call_as(token, "GET", f"{route.path}?{name}={id}")
            tried += 1
            if answer.status_code != 200 or answer.json()["meta"]["total"] != 0:
                found[f"{route} {name}"] = answer.text[:200]
    assert found == {}
    assert tried > 5


async def test_each_single_id_of_another_organisation_in_a_path_is_404(
    installation: Installation, world: World, own_ids: dict[str, str]
):
    """Own ids in all other places: a conversation of theirs in a project of one's own, and so on."""
    found, tried = {}, 0
    for route in world.routes:
        names = [name for name in world.ids if "{" + name + "}" in route.path]
        for name in names if len(names) > 1 else []:
            path = route.filled(own_ids | {name: world.ids[name]})
            body = {"content": "x"} if route.method == "post" else {}
            answer = await installation.call_as(
                world.another, route.method.upper(), path, **({"json": body} if route.method in ("post", "put") else {})
            )
            tried += 1
            if answer.status_code != 404:
                found[f"{route} {name}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 10


async def test_another_client_of_the_agency_finds_nothing_through_any_route(installation: Installation, world: World):
    """The demo's client, and what is there of somebody else's."""
    client = installation.ready["demo"]["client_token"]
    found: dict[str, Any] = {}
    for route in world.routes:
        if (route.method, route.path) in PUBLIC | OF_THE_CREDENTIAL or route.refuses_clients:
            continue
        answer = await installation.call_as(client, route.method.upper(), route.filled(world.ids))
        if "{" in route.path:
            is_right = answer.status_code == 404
        else:
            is_right = all(value not in answer.text for value in world.ids.values())
        if not is_right:
            found[str(route)] = (answer.status_code, answer.text[:200])
    assert found == {}


def unreadable(route: Route) -> list[tuple[str, str]]:
    """Parameters that the route does not have, and values that its own cannot take."""
    told = [one["name"] for one in route.operation.get("parameters", []) if one.get("in") == "query"]
    free = {"client_email"}  # any text can be looked for
    wrong = [(name, value) for name in told if name not in free for value in ("null", "nonsense", "-1")]
    wrong += [("unknown", "1"), ("prefer", "wait=1")]
    return wrong + ([("limit", "101"), ("limit", "0"), ("page", "0")] if "limit" in told else [])


def text_fields(world: World, schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where text of the caller's own is in a body."""
    schema = resolved(world, schema)
    if schema.get("type") == "string" and "enum" not in schema and "format" not in schema:
        yield path
    if schema.get("type") == "object" and "properties" not in schema:
        yield (*path, "own")
    for name, inner in schema.get("properties", {}).items():
        yield from text_fields(world, inner, (*path, name))
    if "items" in schema:
        yield from text_fields(world, schema["items"], (*path, "0"))


def with_text(world: World, schema: dict[str, Any], body: Any, path: tuple[str, ...], ids: dict[str, str]) -> Any:
    """`body` with a null character at `path`."""
    if path[-1] == "own":
        return with_id(world, schema, body, path[:-1], ids, {"deep": ["\0"]})  # pyright: ignore[reportArgumentType]
    return with_id(world, schema, body, path, ids, "a\0b")


async def test_a_null_character_in_a_body_is_400_and_named(installation: Installation, world: World):
    admin, found, tried = installation.ready["demo"]["admin_token"], {}, 0
    for route in world.routes:
        schema = body_schema(world, route) or {}
        for path in text_fields(world, schema):
            least = filled(world, schema, world.ids) | FITTING.get(str(route), {})
            body = with_text(world, schema, least, path, world.ids)
            answer = await installation.call_as(admin, route.method.upper(), route.filled(world.ids), json=body)
            tried += 1
            field = ".".join(path).replace(".own", ".deep.0")
            if answer.status_code != 400 or field not in answer.json().get("errors", {}):
                found[f"{route} {field}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 60


async def test_a_null_character_in_a_path_is_400(installation: Installation, world: World):
    admin, found, tried = installation.ready["demo"]["admin_token"], {}, 0
    for route in world.routes:
        names = [name for name in world.ids if "{" + name + "}" in route.path]
        for path in [f"{route.filled(world.ids)}%00", *(route.filled(world.ids | {name: "a%00"}) for name in names)]:
            answer = await installation.call_as(admin, route.method.upper(), path)
            tried += 1
            if answer.status_code != 400 or not is_problem(answer):
                found[f"{route.method} {path}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 100


async def test_a_null_character_in_a_query_is_400_and_named(installation: Installation, world: World):
    """In the value and in the name of every parameter, and of one that there is not."""
    admin, found, tried = installation.ready["demo"]["admin_token"], {}, 0
    for route in world.routes:
        told = [one["name"] for one in route.operation.get("parameters", []) if one.get("in") == "query"]
        for query, name in [(f"{name}=%00", name) for name in [*told, "unknown"]] + [("a%00b=1", "a\0b")]:
            answer = await installation.call_as(admin, route.method.upper(), f"{route.filled(world.ids)}?{query}")
            tried += 1
            is_named = (route.method, route.path) in PUBLIC or name in answer.json().get("errors", {})
            if answer.status_code != 400 or not is_problem(answer) or not is_named:
                found[f"{route}?{query}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 150


async def test_a_null_character_in_a_header_is_400(installation: Installation, world: World):
    address = urlsplit(installation.ready["gateway_url"])
    for name in ("Authorization", "User-Agent", "Idempotency-Key", "If-Match", "Prefer", "X-Request-Id"):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET /api/proposals HTTP/1.1\r\nHost: x\r\n{name}: a\0b\r\n\r\n".encode())
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 400 "), name


NUMBERS = ("1e3", "+1", "1_0", "%201", "1%20", "1.0", "01", "0x1", "%D9%A1", "%EF%BC%91", "1e0", "", "--1")
BOOLEANS = ("TRUE", "True", "yes", "no", "on", "t", "01", "%20true", "", "2")


async def test_a_number_or_a_boolean_in_a_query_has_one_spelling(installation: Installation, world: World):
    admin, found, tried = installation.ready["demo"]["admin_token"], {}, 0
    for route in world.routes:
        for one in route.operation.get("parameters", []):
            if one.get("in") != "query" or route.method != "get":
                continue
            kind = resolved(world, one["schema"]).get("type")
            wrong = {"integer": NUMBERS, "boolean": BOOLEANS}.get(kind or "", ())
            for query in [f"{one['name']}={value}" for value in wrong] + [f"{one['name']}=1&{one['name']}=1"]:
                answer = await installation.call_as(admin, "GET", f"{route.filled(world.ids)}?{query}")
                tried += 1
                if answer.status_code != 400 or one["name"] not in answer.json().get("errors", {}):
                    found[f"{route}?{query}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 300


async def test_a_parameter_that_cannot_be_read_or_is_unknown_is_400_and_named(installation: Installation, world: World):
    admin = installation.ready["demo"]["admin_token"]
    found = {}
    for route in world.routes:
        if route.method != "get" or (route.method, route.path) in PUBLIC:
            continue
        for name, value in unreadable(route):
            answer = await installation.call_as(admin, "GET", f"{route.filled(world.ids)}?{name}={value}")
            if answer.status_code != 400 or name not in answer.json().get("errors", {}):
                found[f"{route} {name}={value}"] = (answer.status_code, answer.text[:100])
    assert found == {}


async def test_text_in_a_query_that_is_not_utf_8_is_400_and_named(installation: Installation, world: World):
    """In the value and in the name of every parameter, and of one that there is not."""
    admin, found, tried = installation.ready["demo"]["admin_token"], {}, 0
    for route in world.routes:
        if (route.method, route.path) in PUBLIC:
            continue
        told = [one["name"] for one in route.operation.get("parameters", []) if one.get("in") == "query"]
        spelled = [(f"{name}={text}", name) for name in [*told, "unknown"] for text in ("%ff", "%ed%a0%80", "a%c3")]
        for query, name in [*spelled, ("a%80b=1", "a\ufffdb")]:
            answer = await installation.call_as(admin, route.method.upper(), f"{route.filled(world.ids)}?{query}")
            tried += 1
            if answer.status_code != 400 or not is_problem(answer) or name not in answer.json().get("errors", {}):
                found[f"{route}?{query}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 400


async def test_options_names_the_methods_of_every_path(installation: Installation, world: World):
    found, methods = {}, dict[str, set[str]]()
    for route in world.routes:
        methods.setdefault(route.path, {"OPTIONS"}).add(route.method.upper())
    for route in world.routes:
        expected = methods[route.path] | ({"HEAD"} if "GET" in methods[route.path] else set())
        answer = await installation.call("OPTIONS", route.filled(world.ids))
        if answer.status_code != 204 or set(answer.headers["allow"].split(", ")) != expected:
            found[route.path] = (answer.status_code, answer.headers.get("allow"), expected)
    assert found == {}


async def test_head_answers_wherever_get_does(installation: Installation, world: World):
    """With the same headers (but what moves by itself), and no body."""
    moving = {"x-request-id", "ratelimit", "content-length"}
    found, tried = {}, 0
    for route in world.routes:
        if route.method != "get":
            continue
        path = route.filled(world.ids)
        got, head = [await installation.call(method, path) for method in ("GET", "HEAD")]
        named = {name: value for name, value in got.headers.items() if name not in moving}
        same = {name: value for name, value in head.headers.items() if name not in moving}
        tried += 1
        if (head.status_code, same, head.content) != (got.status_code, named, b""):
            found[str(route)] = (got.status_code, head.status_code, named, same)
        if route.path != "/api/health" and head.headers["content-length"] != got.headers["content-length"]:
            found[str(route)] = (got.headers["content-length"], head.headers["content-length"])
    assert found == {}
    assert tried > 20


async def test_a_body_in_a_content_coding_is_415_whatever_it_says(installation: Installation, world: World):
    found, tried = {}, 0
    for route in world.routes:
        if "requestBody" not in route.operation:
            continue
        for coding in ("gzip", "br", "deflate, gzip"):
            headers = {"content-encoding": coding, "content-type": "application/json"}
            answer = await installation.call(
                route.method.upper(), route.filled(world.ids), content=b"{}", headers=headers
            )
            tried += 1
            if answer.status_code != 415 or answer.headers.get("accept-encoding") != "identity":
                found[f"{route} {coding}"] = (answer.status_code, answer.text[:200])
    assert found == {}
    assert tried > 50


async def test_a_number_or_an_address_that_is_taken_is_409(installation: Installation):
    """What a unique index would refuse is found before it: of clients, users and orders, made and changed."""
    token = installation.ready["demo"]["admin_token"]
    person = {"name_f": "Jo", "name_l": "Doe"}
    user = person | {"role": "member"}
    client = (await installation.call("GET", "/api/clients")).json()["data"][0]["id"]
    tried = 0
    for path, bodies in {
        "/api/clients": [person | {"email": f"{name}@taken.example"} for name in ("a", "b")],
        "/api/users": [user | {"email": f"{name}@staff.example"} for name in ("a", "b")],
        "/api/orders": [{"user_id": client, "service": "x", "number": number} for number in ("TAKEN001", "TAKEN002")],
    }.items():
        first, second = [await installation.call_as(token, "POST", path, json=body) for body in bodies]
        assert (first.status_code, second.status_code) == (201, 201), first.text + second.text
        name = "number" if path == "/api/orders" else "email"
        again = await installation.call_as(token, "POST", path, json=bodies[0])
        taken = {name: bodies[0][name]}
        moved = await installation.call_as(token, "PUT", f"{path}/{second.json()['id']}", json=taken)
        assert (again.status_code, moved.status_code) == (409, 409)
        tried += 1
    assert tried == 3


def test_nothing_of_all_that_made_a_process_log_an_error(installation: Installation, before: Marks):
    """What the database refuses is refused before it is asked; and no caller can fill a log."""
    assert complaints(installation.folder, before) == []
