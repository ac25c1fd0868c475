"""Who an answer is for: what staff write about the work is not for clients.

A field of a view that only staff see is typed `StaffOnly[…]`, with `UNSET` as its default. `single` and `listing` leave
it out of every answer to a client, and the OpenAPI document describes it so.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from shared.web.actor import Actor

_MARK: Final = "staff_only"
_IS_STAFF_ONLY: Final = Meta(description="For staff only: an answer to a client is without it.", extra={_MARK: True})

T = TypeVar("T")
V = TypeVar("V")

StaffOnly = Annotated[T | UnsetType, _IS_STAFF_ONLY]


def shown_to(reader: Actor, view: V) -> V:
    """`view` as its reader may see it: to a client, without the fields that only staff see."""
    if reader.is_staff or not isinstance(view, msgspec.Struct):
        return view
    hidden = staff_only_fields(type(view))
    return replace(view, **dict.fromkeys(hidden, UNSET)) if hidden else view


@cache
def staff_only_fields(shape: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields of a view that only staff see, in their order."""
    hints = get_type_hints(shape, include_extras=True)
    return tuple(name for name in shape.__struct_fields__ if any(map(_marks, get_args(hints[name])[1:])))


def _marks(annotation: Any) -> bool:
    return isinstance(annotation, Meta) and bool((annotation.extra or {}).get(_MARK))
