"""What a participant answers to a command of a flow."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["done", "refused", "cancelled", "parked"]


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`done` carries the result; `refused` (the participant's own rule) and `parked` (poison) say why."""

    outcome: Outcome
    result: msgspec.Raw = msgspec.Raw(b"null")
    cause: str = ""


CANCELLED = Reply(outcome="cancelled")
