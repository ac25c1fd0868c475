"""Headers go over the wire as nats-py has them, and come back as they went."""

from __future__ import annotations

from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import BadHeaderError

from shared.ids import new_id
from shared.messaging.envelope import Envelope
from shared.messaging.wire import Connection, read, written

HEADERS: dict[str, dict[str, str]] = {
    "an envelope": Envelope(
        id=str(new_id()),
        type="engagements.open.v1",
        source="proposals",
        time="2026-11-28T11:39:48.123456Z",
        traceparent=f"00-{new_id().hex}-{new_id().hex[:16]}-01",
        key=f"{new_id()}.engagement",
        reply_to=f"rep.dc89522ca9aa.{new_id()}.engagement",
        request_id="a-request",
    ).headers("id.1"),
    "other languages": {"name": "Jürgen Übergröße 東京"},
    "colons and spaces within": {"when": "at 12:30: tea", "x": "a  b"},
    "every kind of character that a name may have": {"!#$%&'*+-.^_`|~09azAZ": "x"},
    "nothing to say": {"empty": ""},
}
CAREFULLY = {
    "a line's end in a value": {"fine": "yes", "a": "b\r\nce-id: other"},
    "half a line's end": {"a": "b\nc"},
    "the other half": {"a": "b\rc"},
    "no name": {"": "c", "b": "d"},
}
NO_NAMES = {
    "a line's end": {"a\r\nb": "c"},
    "what would be a header of its own": {"a: b\r\nc": "d"},
    "a space": {"a b": "c"},
    "a colon": {"a:b": "c"},
}


class Recorded(Client):
    """What nats-py itself would send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:  # noqa: FBT001, FBT002  # as it has it
        self.sent += cmd


class Ours(Recorded, Connection):
    """What we send."""


async def sent_by(client: Any, headers: dict[str, str] | None) -> bytes:
    await client._send_publish("evt.x", "rep.y", b"body", 4, headers)  # what is overridden
    return client.sent


@pytest.mark.parametrize("case", [*HEADERS, *CAREFULLY])
async def test_the_bytes_are_those_of_the_library(case: str):
    headers = (HEADERS | CAREFULLY)[case]
    assert await sent_by(Ours(), headers) == await sent_by(Recorded(), headers)


@pytest.mark.parametrize("headers", [None, {}], ids=["none", "empty"])
async def test_a_message_without_headers_is_the_library_s_own(headers: dict[str, str] | None):
    assert await sent_by(Ours(), headers) == await sent_by(Recorded(), headers)


async def test_what_is_sent_is_counted():
    ours, library = Ours(), Recorded()
    for client in (ours, library):
        await sent_by(client, HEADERS["an envelope"])
    assert ours.stats == library.stats


@pytest.mark.parametrize("case", HEADERS)
def test_headers_come_back_as_they_went(case: str):
    first, _, lines = (written(HEADERS[case]) or b"").partition(b"\r\n")
    assert first == b"NATS/1.0"
    assert read(lines) == HEADERS[case]
    assert read(lines) == Client._parse_header_lines(lines)


def test_whoever_writes_headers_otherwise_is_understood_as_the_library_does():
    lines = b"a:b\r\nc:\td \r\nno header\r\n\r\n"
    assert read(lines) == Client._parse_header_lines(lines) == {"a": "b", "c": "d"}


def test_a_broken_character_breaks_nothing():
    assert read(b"a: \xff\r\nb: c\r\n") == {"a": "\ufffd", "b": "c"}


@pytest.mark.parametrize("case", NO_NAMES)
async def test_a_name_that_is_none_is_not_sent(case: str):
    with pytest.raises(BadHeaderError):
        await sent_by(Ours(), NO_NAMES[case])
