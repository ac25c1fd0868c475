"""The stepper of a saga: pure. What is known goes in, what to do next comes out; no clock, no broker, no database.

States go one way: running → completed, or running → compensating → rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from shared.contracts.reply import Reply

P = TypeVar("P")

CANCEL_SUFFIX = ".cancel"


class SagaStatus(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    COMPENSATING = "compensating"
    REJECTED = "rejected"


class Command(msgspec.Struct, frozen=True):
    """What a step says to its participant."""

    name: str
    body: msgspec.Struct


class Step(msgspec.Struct, Generic[P], frozen=True, kw_only=True):
    """One step of a flow: who does it, what is said, after which others, and how it is undone (if it is)."""

    name: str
    service: str
    does: Callable[[P, Mapping[str, Reply]], Command]
    undo: Callable[[P], Command] | None = None
    after: tuple[str, ...] = ()
    """Steps whose replies this one needs; those that the flow skips count as done."""
    skip: Callable[[P], bool] | None = None


class Flow(msgspec.Struct, Generic[P], frozen=True):
    """A business process as a list of steps; `P` is the plan that each run carries."""

    name: str
    steps: tuple[Step[P], ...]

    def of(self, plan: P) -> Flow[P]:
        """The flow as `plan` runs it: without the steps that it skips."""
        return Flow(self.name, tuple(step for step in self.steps if step.skip is None or not step.skip(plan)))


class Progress(msgspec.Struct, frozen=True):
    """What is known of a run: its status and the replies so far, by step (`<step>.cancel` for a cancel)."""

    status: SagaStatus
    replies: Mapping[str, Reply]


class Do(msgspec.Struct, frozen=True):
    """Send the command of a step (again)."""

    step: str


class Undo(msgspec.Struct, frozen=True):
    """Send the cancel of a step (again)."""

    step: str


class Complete(msgspec.Struct, frozen=True):
    """All steps are done: T3."""


class Compensate(msgspec.Struct, frozen=True):
    """A participant refused: T_c. No cancel leaves before it is known committed."""

    cause: str


class Reject(msgspec.Struct, frozen=True):
    """All that could have been done is undone: T_u."""


Move = Do | Undo | Complete | Compensate | Reject


def moves(flow: Flow[Any], progress: Progress) -> tuple[Move, ...]:
    """What to do next; nothing when the run is over, or when only an operator can help (a step is parked)."""
    match progress.status:
        case SagaStatus.RUNNING:
            return _forward(flow, progress.replies)
        case SagaStatus.COMPENSATING:
            return _back(flow, progress.replies)
        case SagaStatus.COMPLETED | SagaStatus.REJECTED:
            return ()


def heard(flow: Flow[Any], progress: Progress, step: str, reply: Reply) -> Progress:
    """The progress after a reply. Late, repeated and foreign replies change nothing: the first word counts."""
    known = {each.name for each in flow.steps} | {each.name + CANCEL_SUFFIX for each in flow.steps if each.undo}
    earlier = progress.replies.get(step)
    if step not in known or (earlier is not None and earlier.outcome != "parked"):
        return progress
    if step.endswith(CANCEL_SUFFIX) and reply.outcome not in ("cancelled", "parked"):
        return progress
    return Progress(progress.status, {**progress.replies, step: reply})


def is_stuck(flow: Flow[Any], progress: Progress) -> bool:
    """Whether a parked step leaves nothing to send: the run waits for an operator."""
    parked = any(reply.outcome == "parked" for reply in progress.replies.values())
    return parked and not moves(flow, progress)


def _forward(flow: Flow[Any], replies: Mapping[str, Reply]) -> tuple[Move, ...]:
    for step in flow.steps:
        if (reply := replies.get(step.name)) and reply.outcome == "refused":
            return (Compensate(reply.cause),)
    if all(_is_done(step.name, replies) for step in flow.steps):
        return (Complete(),)
    present = {step.name for step in flow.steps}
    return tuple(
        Do(step.name)
        for step in flow.steps
        if step.name not in replies and all(_is_done(needed, replies) for needed in step.after if needed in present)
    )


def _back(flow: Flow[Any], replies: Mapping[str, Reply]) -> tuple[Move, ...]:
    to_undo = [step.name for step in flow.steps if step.undo]
    if all((reply := replies.get(name + CANCEL_SUFFIX)) and reply.outcome == "cancelled" for name in to_undo):
        return (Reject(),)
    return tuple(Undo(name) for name in to_undo if name + CANCEL_SUFFIX not in replies)


def _is_done(step: str, replies: Mapping[str, Reply]) -> bool:
    reply = replies.get(step)
    return reply is not None and reply.outcome == "done"
