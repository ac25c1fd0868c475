"""The `Idempotency-Key` header."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Request

from shared.errors import InvalidInput
from shared.ids import new_id
from shared.web.actor import Actor
from shared.web.idempotency import MAX_LENGTH, Key, key_of
from tests.support import actors

ADA = actors.admin()


class Sent(Request[Any, Any, Any]):
    """A request whose body has arrived."""

    arrived = b"{}"

    async def raw_body(self) -> bytes:
        return self.arrived


class Handler:
    """A handler with these options."""

    def __init__(self, opt: dict[str, Any]) -> None:
        self.opt = opt


async def key(
    told: str | tuple[str, ...] | None,
    *,
    method: str = "POST",
    path: str = "/api/orders",
    body: bytes = b"{}",
    actor: Actor = ADA,
    opt: dict[str, Any] | None = None,
) -> Key | None:
    """The key of a request that says so."""
    lines = (told,) if isinstance(told, str) else told or ()
    headers = [(b"idempotency-key", line.encode("latin-1")) for line in lines]
    scope: Any = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
    request = type("SentNow", (Sent,), {"arrived": body})(scope | {"route_handler": Handler(opt or {})})
    return await key_of(request, actor)


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
    assert found == await key(f'"{text}"')


@pytest.mark.parametrize(
    "told", ["", "   ", '""', '" "', "é", "a\x01b", "a\x7f", "k" * (MAX_LENGTH + 1), '"', '"a', 'a"']
)
async def test_another_key_is_refused_by_name(told: str):
    with pytest.raises(InvalidInput) as refused:
        await key(told)
    assert list(refused.value.errors) == ["Idempotency-Key"]


@pytest.mark.parametrize("told", [("a", "b"), ("a", "a"), ("a", "")])
async def test_two_keys_are_refused_by_name(told: tuple[str, ...]):
    with pytest.raises(InvalidInput) as refused:
        await key(told)
    assert list(refused.value.errors) == ["Idempotency-Key"]


async def test_the_same_request_has_the_same_fingerprint_and_another_has_another():
    first, again = await key("k"), await key('"k"')
    assert first == again
    others = [await key("k", body=b"{ }"), await key("k", body=b"")]
    assert first
    assert {other.name for other in others if other} == {first.name}
    assert len({other.fingerprint for other in (first, *others) if other}) == 3


async def test_a_key_belongs_to_its_caller_method_path_and_text_and_to_nobody_elses():
    client, user = actors.client(ADA.org_id), new_id()
    same = actors.client(ADA.org_id, email="new@roe.example", id=client.id)
    found = [
        await key("k"),
        await key("l"),
        await key("k", path="/api/clients"),
        await key("k", actor=actors.admin(ADA.org_id)),
        await key("k", actor=client),
        await key("k", actor=actors.client(ADA.org_id)),
        await key("k", actor=actors.client(ADA.org_id, id=ADA.id)),
        await key("k", opt={"key_scope": lambda _: str(user)}),
        await key("k", opt={"key_scope": lambda _: "another session"}),
    ]
    names = [each.name for each in found if each]
    assert len(set(names)) == len(found)
    assert await key("k", actor=same) == found[4]
