"""A caller who hangs up in the middle of a body is no fault of ours."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import structlog
from litestar import Litestar, Request, post

from shared.web import problems
from shared.web.bodies import JsonRequest
from shared.web.inputs import JSONBody


class Name(msgspec.Struct):
    name: str


@post("/read")
async def read(data: JSONBody[Name]) -> None: ...


@post("/raw")
async def raw(request: Request[Any, Any, Any]) -> None:
    await request.raw_body()  # pyright: ignore[reportAttributeAccessIssue]  # JsonRequest's


@pytest.mark.parametrize("path", ["/read", "/raw"])
async def test_it_is_logged_as_no_error(path: str):
    application = Litestar([read, raw], request_class=JsonRequest, exception_handlers={Exception: problems.answer})
    messages = iter([{"type": "http.request", "body": b'{"na', "more_body": True}, {"type": "http.disconnect"}])
    answers: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        answers.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"20")],
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    with structlog.testing.capture_logs() as logged:
        await application(scope, receive, send)
    assert answers[0]["status"] == 400
    assert [each for each in logged if each["log_level"] in ("error", "critical")] == []
