"""The gateway's route table, the services' routes and the checked-in OpenAPI document are complete, each in the others.

`tests/process/test_openapi.py` holds the document to the one that is served.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from gateway import routes
from gateway.pages import pages
from gateway.routes import OTHER, OWN_PATHS, OWNERS, Service, engagement_in, is_own, is_public, owner_of, template_of
from shared.ids import new_id
from shared.settings import load
from shared.web.health import Health, probe_routes
from shared.web.shapes import JsonObject, element_of, fields_of, members, struct_of
from tests.support import actors

ROOT = Path(__file__).resolve().parents[2]
METHODS = {"get", "post", "put", "delete"}
PROBES = {("get", "/health/live"), ("get", "/health/ready")}
"""For whoever runs the processes, and at each of them: no part of the API."""

Call = tuple[str, str]


def documented() -> set[Call]:
    paths: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]
    return {(method, path) for path, item in paths.items() for method in item if method in METHODS}


def served(app: Litestar) -> Iterator[Call]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from ((method.lower(), route.path_format) for method in route.methods if method.lower() in METHODS)


def service_app(name: str) -> Litestar:
    """The service, not started: nothing is asked of a database or a broker."""
    module = import_module(f"services.{name}.app")
    shape = next(
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__name__.endswith("Settings")
    )
    environ = {
        "SERX_NATS_URL": "nats://nowhere",
        "SERX_DATABASE_DSN": "postgresql://nowhere/nothing",
        "SERX_INTERNAL_KEYS": actors.KEY,
        "SERX_SESSION_KEYS": actors.KEY,
    }
    return module.create_app(load(shape, environ))


@pytest.mark.parametrize("service", Service)
def test_each_call_on_a_resource_knows_how_to_look_for_it(service: Service):
    """A `404` comes before what is wrong with key, headers and body: only the handler's `resource` can look for it."""
    blind = [
        f"{method} {route.path_format}"
        for route in service_app(service).routes
        if isinstance(route, HTTPRoute) and "{" in route.path_format
        for method, (handler, _) in route.route_handler_map.items()
        if method in ("POST", "PUT") and "resource" not in handler.opt
    ]
    assert blind == []


@pytest.mark.parametrize("service", Service)
def test_each_change_of_a_callers_own_object_is_compared_with_what_is_stored(service: Service):
    """What is stored may exceed the bound, and has to be taken back: only the handler's `stored` can find it."""
    changes = [
        handler
        for route in service_app(service).routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method == "PUT"
    ]
    for handler in changes:
        assert handler.parsed_data_field is not None
        own = JsonObject in kinds_in(handler.parsed_data_field.annotation)
        assert ("stored" in handler.opt) is own, str(handler)


def kinds_in(shape: Any) -> Iterator[Any]:
    """Every type in a body, at whatever depth."""
    yield from members(shape)
    if (struct := struct_of(shape)) is not None:
        for field in fields_of(struct).values():
            yield from kinds_in(field.type)
    if (element := element_of(shape)) is not None:
        yield from kinds_in(element)


def own_pages() -> Litestar:
    async def nothing() -> bytes:
        return b""

    return Litestar(route_handlers=pages(probe_routes(Health("gateway", {})), nothing), openapi_config=None)


def filled(path: str) -> str:
    """The path with an id wherever it has a parameter."""
    return "/".join(str(new_id()) if segment.startswith("{") else segment for segment in path.split("/"))


@pytest.mark.parametrize("service", Service)
def test_each_call_that_a_service_serves_is_in_the_document_and_the_other_way_round(service: Service):
    of_service = {call for call in documented() if owner_of(filled(call[1])) is service}
    assert {call for call in served(service_app(service)) if call[1].startswith("/api")} == of_service
    assert of_service


def test_each_page_of_the_gateways_own_is_in_the_document_and_the_other_way_round():
    own = {call for call in documented() if is_own(call[1])}
    assert set(served(own_pages())) == own | PROBES
    assert {path for _, path in own} == OWN_PATHS


def test_each_call_of_the_document_has_an_owner_and_a_template_of_the_route_table():
    for method, path in documented():
        asked = filled(path)
        assert (owner_of(asked) is None) == is_own(asked), path
        if not is_own(asked):
            assert template_of(asked).count("{id}") == path.count("{"), path
            assert template_of(asked) != OTHER, path
        assert is_public(method.upper(), asked) == (is_own(asked) or path == routes.LOGIN), path


def test_each_entry_of_the_route_table_has_a_call_in_the_document():
    paths = {path for _, path in documented()}
    segments = [path.split("/") for path in paths]
    assert {each[2] for each in segments if len(each) > 2 and not is_own("/".join(each))} == set(OWNERS)
    assert {each[3] for each in segments if each[2:3] == ["auth"]} == routes._AUTH
    assert {each[4] for each in segments if len(each) > 4} == routes._ACTIONS


def test_the_one_composed_answer_is_a_call_of_the_document():
    composed = {path for _, path in documented() if engagement_in(filled(path)) is not None}
    assert composed == {"/api/engagements/{engagement_id}"}
