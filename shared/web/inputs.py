"""What handlers are handed: who asks, the database, ids in the path, filters in the query, the body."""

from __future__ import annotations

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter

from shared.database import Database
from shared.web.actor import Actor
from shared.web.heads import LINE_BYTES

Asker = NamedDependency[Actor]
"""Whoever the gateway says is asking."""
Db = NamedDependency[Database]
IdInPath = Annotated[
    str,
    # The bound is in the document only: a longer request line is refused before anything is made of it.
    PathParameter(
        description="An id; what is no UUID is answered like an id that is not there.",
        schema_extra={"max_length": LINE_BYTES},
    ),
]
"""An id as it was spelled: one that is no UUID is answered like one that is not there."""

__all__ = ["Asker", "Db", "FromQuery", "IdInPath", "JSONBody"]
