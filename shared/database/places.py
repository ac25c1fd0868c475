"""Whether a text is a value of a type as PostgreSQL prints it: what callers send back as the place where a page begins.

Looked at before the statement runs. PostgreSQL would refuse it as well, and log the whole statement each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

_MOMENT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2} ([01]\d|2[0-3]):\d{2}:\d{2}(\.\d{1,6})?[+-](0\d|1[0-5])(:[0-5]\d){0,2}", re.ASCII
)
_NUMBER: Final = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d{1,10}", re.ASCII)


def _is_moment(text: str) -> bool:
    if not _MOMENT.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_integer_of(bits: int) -> Callable[[str], bool]:
    most = 2 ** (bits - 1)
    return lambda text: bool(_INTEGER.fullmatch(text)) and -most <= int(text) < most


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType(
    {
        "text": lambda text: "\0" not in text,
        "uuid": _is_uuid,
        "timestamptz": _is_moment,
        "numeric": lambda text: bool(_NUMBER.fullmatch(text)),
        "smallint": _is_integer_of(16),
        "int": _is_integer_of(32),
        "boolean": lambda text: text in ("true", "false"),
    }
)

TYPES: Final = frozenset(_CHECKS)
"""The types that a list can be sorted by."""


def is_value(type: str, text: str) -> bool:
    """Whether PostgreSQL prints values of `type` like `text`. Raises KeyError for a type that is not in TYPES."""
    return _CHECKS[type](text)
