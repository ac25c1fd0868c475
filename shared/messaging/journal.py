"""What a run of a flow leaves behind, and the rows that keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from shared.messaging.saga import Progress, SagaStatus

P = TypeVar("P")


KEPT_TRIES = 20
"""A step may be sent for days; the last tries are kept one by one, the rest are counted."""


class Try(msgspec.Struct, frozen=True, omit_defaults=True):
    """One time that a step was sent; answered while it was the newest, with an error if that was no success."""

    sent_at: datetime
    answered_at: datetime | None = None
    error: str = ""


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a step was first sent and when it was answered, how often it was sent, and its last tries."""

    attempts: int
    started_at: datetime
    finished_at: datetime | None = None
    tries: tuple[Try, ...] = ()

    def sent(self, at: datetime) -> Mark:
        """Sent once more."""
        tries = (*self.tries[1 - KEPT_TRIES :], Try(at))
        return replace(self, attempts=self.attempts + 1, tries=tries)

    def answered(self, at: datetime, error: str) -> Mark:
        """Answered: which copy it was that was answered, nobody can tell; the newest stands for it."""
        tries = (*self.tries[:-1], replace(self.tries[-1], answered_at=at, error=error)) if self.tries else ()
        return replace(self, finished_at=at, tries=tries)


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
