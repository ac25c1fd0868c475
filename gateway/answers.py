"""An answer on its way to the caller: bytes when it is small, a stream of them when it is not."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.streams import Stream

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, values as they came."""


@dataclass(slots=True)
class Answer:
    """Status, headers and body of one HTTP answer."""

    status: int
    headers: Headers
    body: bytes | Stream

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name."""
        return next((value for known, value in self.headers if known == name), None)

    async def read(self) -> bytes:
        """The whole body. Raises ConnectionLost when it breaks off."""
        if isinstance(self.body, bytes):
            return self.body
        return b"".join([chunk async for chunk in self.body])

    def abandon(self) -> None:
        """Nobody wants the rest of it."""
        if not isinstance(self.body, bytes):
            self.body.abandon()
