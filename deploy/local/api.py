"""The public API as the walk-through uses it: the few fields that it shows, and a call that times itself."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import aiohttp
import msgspec

_TIMEOUT = aiohttp.ClientTimeout(total=40)

T = TypeVar("T")


class Proposal(msgspec.Struct, frozen=True):
    id: str
    status: str
    total: str
    currency: str


class Client(msgspec.Struct, frozen=True):
    id: str
    name: str
    email: str


class Engagement(msgspec.Struct, frozen=True):
    id: str
    name: str
    status: str
    client_id: str
    client: Client


class Project(msgspec.Struct, frozen=True):
    id: str
    name: str
    status: str
    phase: str


class Order(msgspec.Struct, frozen=True):
    id: str
    number: str
    status: str
    price: str
    currency: str


class Signed(msgspec.Struct, frozen=True):
    """The answer to a signature: everything that it made."""

    proposal: Proposal
    engagement: Engagement
    projects: list[Project]
    order: Order


class Token(msgspec.Struct, frozen=True):
    token: str


class Problem(msgspec.Struct, frozen=True):
    title: str = "no title"
    detail: str = ""


class ApiRefused(Exception):
    """The API did not answer as it promises; `title` and `detail` are its own words where it gave any."""

    def __init__(self, call: str, title: str, detail: str) -> None:
        super().__init__(f"{call}: {title}. {detail}")
        self.call = call
        self.title = title
        self.detail = detail


class Api:
    """Calls to the gateway. Remembers what it called and how long each call took, in milliseconds."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.calls: list[tuple[str, float]] = []

    async def post(self, name: str, path: str, token: str, body: Any, shape: type[T], *, wait_seconds: int = 10) -> T:
        """POST and read the answer as `shape`. Raises ApiRefused for anything but a 200 or 201 of that shape."""
        began = time.perf_counter()
        call = f"POST {path}"
        headers = {"Authorization": f"Bearer {token}", "Prefer": f"wait={wait_seconds}"}
        try:
            async with self._session.post(self._url + path, json=body, headers=headers, timeout=_TIMEOUT) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiRefused(call, "no answer", str(error) or type(error).__name__) from error
        self.calls.append((name, (time.perf_counter() - began) * 1000))
        if answer.status not in (200, 201):
            raise _refused(call, answer.status, content)
        try:
            return msgspec.json.decode(content, type=shape)
        except msgspec.DecodeError as error:
            raise ApiRefused(call, f"status {answer.status} with an unexpected body", str(error)) from error


def _refused(call: str, status: int, content: bytes) -> ApiRefused:
    if status == 202:
        return ApiRefused(call, "202", "The flow was not through in time; it goes on by itself, and its report tells.")
    try:
        problem = msgspec.json.decode(content, type=Problem)
    except msgspec.DecodeError:
        problem = Problem(title="an answer that is no problem document", detail=content[:200].decode(errors="replace"))
    return ApiRefused(call, f"{status} {problem.title}", problem.detail)
