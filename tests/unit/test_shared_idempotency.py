"""The `Idempotency-Key` header."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Request

from shared.errors import InvalidInput
from shared.web.idempotency import MAX_LENGTH, Key, key_of


class Sent(Request[Any, Any, Any]):
    """A request whose body has arrived."""

    arrived = b"{}"

    async def raw_body(self) -> bytes:
        return self.arrived


async def key(told: str | None, *, method: str = "POST", path: str = "/api/orders", body: bytes = b"{}") -> Key | None:
    """The key of a request that says so."""
    headers = [] if told is None else [(b"idempotency-key", told.encode("latin-1"))]
    scope: Any = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
    request = type("SentNow", (Sent,), {"arrived": body})(scope)
    return await key_of(request)


async def test_a_request_without_the_header_has_no_key():
    assert await key(None) is None


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_a_post_has_a_key(method: str):
    assert await key("k", method=method) is None


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e"', "8e03978e"),
        ("  x ", "x"),
        ('""x""', '"x"'),
        ("a b", "a b"),
        ("k" * MAX_LENGTH, "k" * MAX_LENGTH),
        (f'"{"k" * MAX_LENGTH}"', "k" * MAX_LENGTH),
    ],
)
async def test_a_key_is_quoted_or_bare(told: str, text: str):
    found = await key(told)
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize(
    "told", ["", "   ", '""', '" "', "é", "a\x01b", "a\x7f", "k" * (MAX_LENGTH + 1), '"', '"a', 'a"']
)
async def test_another_key_is_refused_by_name(told: str):
    with pytest.raises(InvalidInput) as refused:
        await key(told)
    assert list(refused.value.errors) == ["Idempotency-Key"]


async def test_the_same_request_has_the_same_fingerprint_and_another_has_another():
    first, again = await key("k"), await key('"k"')
    assert first == again
    others = [await key("k", path="/api/clients"), await key("k", body=b"{ }"), await key("k", body=b"")]
    assert first not in others
    assert len({other.fingerprint for other in others if other}) == 3
