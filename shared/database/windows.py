"""What part of a list is wanted: so many rows, after so many others or after a certain one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, Generic, TypeVar
from uuid import UUID

import msgspec

from shared.errors import InvalidInput

T = TypeVar("T")
U = TypeVar("U")
Order = tuple[str, str]
"""A sort field and its direction, `asc` or `desc`."""
MOST_ROWS: Final = 100
"""The longest page."""


class Start(StrEnum):
    """Where a window begins."""

    FIRST = "first"
    OFFSET = "offset"
    VALUE = "value"
    NULL = "null"


class After(msgspec.Struct, frozen=True):
    """A row's place in a list: what it is sorted by, as PostgreSQL spells it (None: a null), and its id."""

    value: str | None
    id: UUID


class Window(msgspec.Struct, frozen=True):
    """`limit` rows in an order: those after a place in the list, or else those after the first `offset` ones.

    `limit` is MOST_ROWS at most. A place stays where it is while rows come and go before it, and is found by an index
    however far down it is.
    """

    order: Order
    limit: int
    offset: int = 0
    after: After | None = None

    @property
    def start(self) -> Start:
        if self.after is None:
            return Start.OFFSET if self.offset else Start.FIRST
        return Start.NULL if self.after.value is None else Start.VALUE


def not_of_this_list() -> InvalidInput:
    """What is said of a place that is none in the list."""
    return InvalidInput({"after": ["It is not from a link of this list, in this order."]})


class Page(msgspec.Struct, Generic[T], frozen=True):
    """What a window shows, how many rows the whole list has, and where to go on; `end` is None on the last page."""

    items: Sequence[T]
    total: int
    end: After | None = None

    def of(self, view: Callable[[T], U]) -> Page[U]:
        """The same page, each item through `view`."""
        return Page([view(item) for item in self.items], self.total, self.end)
