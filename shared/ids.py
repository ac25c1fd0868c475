"""Identifiers: UUIDv7 (RFC 9562), made by whoever creates the thing, so that a retry writes the same rows."""

from __future__ import annotations

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

OrgId = NewType("OrgId", UUID)
"""An organisation: the tenant. Every statement that reads or writes business rows names one."""


def new_id() -> UUID:
    """A fresh UUIDv7: unique, and ascending with time so that index pages stay warm."""
    return uuid7()


def parse_id(text: str) -> UUID | None:
    """The UUID that `text` spells in its canonical 36-character form, or None: no id of ours looks any other way."""
    if len(text) != 36:
        return None
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None  # UUID() does not mind where the hyphens are
