"""What handlers are handed: who asks, the database, ids in the path, filters in the query, the body."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from shared.database import Database
from shared.web.actor import Actor

Asker = NamedDependency[Actor]
"""Whoever the gateway says is asking."""
Db = NamedDependency[Database]
IdInPath = FromPath[str]
"""An id as it was spelled: one that is no UUID is answered like one that is not there."""

__all__ = ["Asker", "Db", "FromQuery", "IdInPath", "JSONBody"]
