"""What a run of a flow leaves behind, and the rows that keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from shared.messaging.saga import Progress, SagaStatus

P = TypeVar("P")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """When a step was first sent and when it was answered, and how often it was sent."""

    attempts: int
    started_at: datetime
    finished_at: datetime | None = None


class Run(msgspec.Struct, Generic[P], frozen=True, kw_only=True):
    """One run of a flow, as its row has it."""

    id: UUID
    plan: P
    progress: Progress
    marks: Mapping[str, Mark]
    attempt: int
    traceparent: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended: `result` is the stored answer of a completed one, `cause` says why one was rejected."""

    status: SagaStatus
    result: bytes = b""
    cause: str = ""


class Journal(Protocol[P]):
    """The rows behind the runs. Each write is a fence: it returns None or False when another driver was there first.

    Every method raises DatabaseAway or DatabaseBusy.
    """

    async def claim(self, limit: int) -> Sequence[Run[P]]: ...
    async def record(self, run: Run[P], *, is_parked: bool) -> None: ...
    async def complete(self, run: Run[P]) -> Outcome | None: ...
    async def compensate(self, run: Run[P], cause: str) -> bool: ...
    async def reject(self, run: Run[P]) -> Outcome | None: ...
    async def outcome(self, saga: UUID) -> Outcome | None: ...
