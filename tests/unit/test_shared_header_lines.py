"""A header that comes in several lines: a list is all of its lines, anything else is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.errors import Stale
from shared.web.answers import listed, require_match, single
from shared.web.bodies import JsonRequest, NotJson
from tests.support import actors


class View(msgspec.Struct):
    """What a caller sees."""

    name: str


class Handler:
    """A handler that takes a body of any shape."""

    parsed_data_field = None
    opt: dict[str, Any] = {}


def sent(*headers: tuple[str, str], method: str = "GET") -> JsonRequest:
    """A request with these header lines."""
    lines = [(name.encode(), value.encode()) for name, value in headers]
    scope: Any = {"type": "http", "method": method, "path": "/", "headers": lines, "query_string": b"", "state": {}}
    request = JsonRequest(scope | {"route_handler": Handler()})
    request.state["actor"] = actors.admin()
    return request


def test_a_list_is_all_of_its_lines():
    assert listed(sent(("prefer", "respond-async"), ("prefer", "wait=0")), "prefer") == "respond-async, wait=0"
    assert listed(sent(("prefer", "wait=0")), "prefer") == "wait=0"
    assert listed(sent(), "prefer") is None


def test_if_match_may_name_the_version_in_any_line():
    require_match(sent(("if-match", '"7.a"'), ("if-match", '"3.b"')), 3)
    require_match(sent(("if-match", '"3.b"'), ("if-match", '"7.a"')), 3)
    with pytest.raises(Stale):
        require_match(sent(("if-match", '"7.a"'), ("if-match", '"8.b"')), 3)


def test_if_none_match_may_name_the_tag_in_any_line():
    tag = single(sent(), View("x"), 1).headers["etag"]
    for lines in ([tag, '"other"'], ['"other"', tag]):
        assert single(sent(*(("if-none-match", line) for line in lines)), View("x"), 1).status_code == 304
    assert single(sent(("if-none-match", '"other"')), View("x"), 1).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST", "DELETE"])
def test_a_change_is_refused_at_a_version_that_if_none_match_names(method: str):
    for value in ("*", '"3.b"', 'W/"3.b"', '"7.a", "3.b"', '"3.b~c"'):
        with pytest.raises(Stale):
            require_match(sent(("if-none-match", value), method=method), 3)
        with pytest.raises(Stale):
            require_match(sent(("if-match", '"3.b"'), ("if-none-match", value), method=method), 3)
    with pytest.raises(Stale):
        require_match(sent(("if-none-match", '"7.a"'), ("if-none-match", '"3.b"'), method=method), 3)
    for value in ('"7.a"', '"nothing"', "", '"33.b"'):
        require_match(sent(("if-none-match", value), method=method), 3)


def test_if_match_takes_no_weak_tag():
    with pytest.raises(Stale):
        require_match(sent(("if-match", 'W/"3.b"'), method="PUT"), 3)


@pytest.mark.parametrize(
    "headers",
    [
        (("content-type", "application/json"), ("content-type", "text/plain")),
        (("content-type", "application/json"), ("content-type", "application/json")),
        (("content-type", "application/json"), ("content-encoding", "identity"), ("content-encoding", "gzip")),
    ],
)
async def test_a_body_of_two_kinds_is_not_json(headers: tuple[tuple[str, str], ...]):
    with pytest.raises(NotJson):
        await sent(*headers, method="POST").json()
