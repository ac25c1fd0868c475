"""How calls on messages can be refused, the same under both of their paths."""

from __future__ import annotations

from typing import Final

from shared.web.openapi import refusals

MESSAGE_REFUSALS: Final = refusals(
    404, because={403: "A client cannot write an internal message", 409: "The conversation is Closed"}
)
DELETE_REFUSALS: Final = refusals(404, because={403: "The message is somebody else's"})
