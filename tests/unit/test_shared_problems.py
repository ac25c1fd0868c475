"""Errors as RFC 9457 problems: one shape, one table."""

from __future__ import annotations

import msgspec
import pytest
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    PermissionDeniedException,
    ValidationException,
)

from shared.database import CommitUnknown, DatabaseAway, DatabaseBusy, UniqueViolated
from shared.errors import Forbidden, InvalidInput, NotFound, RefersToNothing, StateForbids
from shared.messaging.bus import BrokerAway
from shared.web import problems
from shared.web.actor import UntrustedIdentity
from shared.web.bodies import NotJson
from shared.web.problems import Kind, headers_of, kind_of, render


class Narrower(StateForbids):
    """A refusal that the table does not name."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput({"name": ["Bad."]}), 400),
        (ValidationException("bad"), 400),
        (UntrustedIdentity("forged"), 401),
        (Forbidden("no"), 403),
        (PermissionDeniedException(), 403),
        (NotFound("order"), 404),
        (NotFoundException(), 404),
        (MethodNotAllowedException(), 405),
        (StateForbids("no"), 409),
        (Narrower("no"), 409),
        (HTTPException(status_code=413), 413),
        (NotJson("no"), 415),
        (HTTPException(status_code=418), 400),
        (RefersToNothing("client_id", "client"), 422),
        (HTTPException(status_code=429), 429),
        (DatabaseAway("gone"), 503),
        (CommitUnknown("gone"), 503),
        (DatabaseBusy("locked"), 503),
        (BrokerAway("gone"), 503),
        (HTTPException(status_code=500), 500),
        (UniqueViolated("key"), 500),
        (RuntimeError("secret"), 500),
    ],
)
def test_every_error_has_its_status(error: Exception, status: int):
    assert kind_of(error).status == status


def test_a_service_has_kinds_of_its_own_and_they_come_first():
    own = Kind(418, "teapot", "A teapot")
    assert kind_of(Narrower("x"), {Narrower: own}) is own
    assert kind_of(StateForbids("x"), {Narrower: own}) is problems.CONFLICT
    assert kind_of(RuntimeError(), {RuntimeError: own}) is own


def test_the_nearest_base_class_counts():
    own = Kind(418, "teapot", "A teapot")
    assert kind_of(Narrower("x"), {Exception: own}) is problems.CONFLICT


def test_a_problem_has_the_shape_of_the_rfc():
    body = msgspec.json.decode(render(problems.CONFLICT, "It is closed.", instance="/api/orders/1"))
    assert body == {
        "type": "urn:serx:problem:conflict",
        "title": "The state of the resource forbids this",
        "status": 409,
        "detail": "It is closed.",
        "instance": "/api/orders/1",
    }


def test_field_errors_are_an_extension():
    body = msgspec.json.decode(render(problems.INVALID, "x", instance="/", errors={"items.0.price": ("Bad.",)}))
    assert body["errors"] == {"items.0.price": ["Bad."]}


def test_the_title_does_not_vary_with_the_occurrence():
    titles = {msgspec.json.decode(render(problems.NOT_FOUND, detail, instance="/"))["title"] for detail in "abc"}
    assert titles == {"Not found"}


def test_every_kind_has_a_slug_and_a_title_of_its_own():
    kinds = [kind for kind in vars(problems).values() if isinstance(kind, Kind)]
    assert len({kind.slug for kind in kinds}) == len({kind.title for kind in kinds}) == len(kinds)
    assert {400, 401, 403, 404, 405, 408, 409, 412, 413, 414, 415, 422, 429, 431, 500, 503} == {
        kind.status for kind in kinds
    }


def test_who_is_not_known_is_told_how_and_who_comes_early_is_told_when():
    assert headers_of(problems.UNAUTHENTICATED) == {"www-authenticate": "Bearer"}
    assert headers_of(problems.AWAY) == {"retry-after": "1"}
    assert headers_of(problems.AWAY, DatabaseAway("gone")) == {"retry-after": "5"}
    assert headers_of(problems.CONFLICT) == {}


@pytest.mark.parametrize("error", [RuntimeError("host db-1 said: select secret"), DatabaseAway("10.0.0.1 is away")])
def test_what_went_wrong_inside_stays_inside(error: Exception):
    detail, errors = problems._explained(error, kind_of(error))
    assert "secret" not in detail
    assert "10.0.0.1" not in detail
    assert errors == {}
