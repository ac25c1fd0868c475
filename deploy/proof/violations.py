"""What the checker finds: a promise that is broken, and how."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What is wrong, in the words of the table that a run prints."""

    LOST = "lost"
    DOUBLED = "doubled"
    STUCK = "stuck"
    UNTRUE = "untrue"


class Violation(msgspec.Struct, frozen=True):
    """One promise that is broken."""

    rule: str
    kind: Kind
    sentence: str


Found = Iterator[tuple[Kind, str]]
"""What a rule comes upon: of what kind, in a sentence."""
