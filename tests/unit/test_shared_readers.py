"""What staff write about the work is left out of answers to clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from msgspec import UNSET

from services.identity.views import ClientView
from services.orders.views import OrderView
from services.proposals.views import ServiceView
from shared.contracts.orders import STAFF_ONLY
from shared.ids import new_id
from shared.web.readers import StaffOnly, shown_to, staff_only_fields
from tests.architecture.test_routes import service_app
from tests.support import actors

SERVICES = ("identity", "proposals", "engagements", "conversations", "orders")
MADE_BY_SINGLE_OR_LISTING = ("Response", "Listing")


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    note: StaffOnly[str | None] = UNSET
    tags: StaffOnly[list[str]] = UNSET


class Sub(Thing, frozen=True, kw_only=True):
    more: int = 1


def test_staff_are_shown_everything():
    thing = Sub(name="x", note=None, tags=["a"])
    assert shown_to(actors.admin(), thing) is thing
    assert msgspec.json.encode(thing) == b'{"name":"x","note":null,"tags":["a"],"more":1}'


@pytest.mark.parametrize("note", ["secret", None, ""])
def test_a_client_is_not_shown_that_there_is_such_a_field(note: str | None):
    shown = shown_to(actors.client(new_id()), Sub(name="x", note=note, tags=["secret"]))
    assert msgspec.json.encode(shown) == b'{"name":"x","more":1}'


def test_what_has_no_such_field_is_left_as_it_is():
    class Plain(msgspec.Struct):
        name: str

    plain = Plain("x")
    assert shown_to(actors.client(new_id()), plain) is plain


def test_the_fields_are_those_that_the_contract_names():
    assert set(staff_only_fields(OrderView)) == {"note", "metadata", "tags"} == set(STAFF_ONLY)
    assert set(staff_only_fields(ClientView)) == {"note", "custom_fields"}
    assert set(staff_only_fields(ServiceView)) == {"metadata"}


def handlers(service: str) -> Iterator[HTTPRouteHandler]:
    for route in service_app(service).routes:
        if isinstance(route, HTTPRoute):
            yield from route.route_handlers


def views_in(annotation: Any) -> Iterator[type[msgspec.Struct]]:
    """Every struct that an annotation is made of, fields of structs included."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
        for hint in get_type_hints(annotation, include_extras=True).values():
            yield from views_in(hint)
    for part in get_args(annotation):
        yield from views_in(part)


@pytest.mark.parametrize("service", SERVICES)
def test_no_handler_gives_such_a_view_away_by_itself(service: str):
    found = [
        str(handler)
        for handler in handlers(service)
        if any(map(staff_only_fields, views_in(handler.parsed_fn_signature.return_type.annotation)))
        and handler.parsed_fn_signature.return_type.raw.__name__ not in MADE_BY_SINGLE_OR_LISTING
    ]
    assert found == []


@pytest.mark.parametrize("shape", [OrderView, ClientView, ServiceView])
def test_such_a_field_is_on_top_of_its_view_where_it_can_be_left_out(shape: type[msgspec.Struct]):
    inner = [view for hint in get_type_hints(shape).values() for view in views_in(hint)]
    assert not any(map(staff_only_fields, inner))
