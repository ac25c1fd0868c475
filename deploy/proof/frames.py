"""What a NATS server says to its clients, cut into whole frames, so that one can be repeated or held back."""

from __future__ import annotations

import asyncio

import msgspec

_WITH_PAYLOAD = (b"MSG ", b"HMSG ")


class Frame(msgspec.Struct, frozen=True):
    """One operation of the protocol, as it came."""

    content: bytes

    @property
    def is_message(self) -> bool:
        return self.content.startswith(_WITH_PAYLOAD)


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame, or None at the end of the stream. Raises what reading raises."""
    line = await reader.readline()
    if not line.endswith(b"\r\n"):
        return None
    if not line.startswith(_WITH_PAYLOAD):
        return Frame(line)
    payload = await reader.readexactly(int(line.split()[-1]) + 2)
    return Frame(line + payload)
