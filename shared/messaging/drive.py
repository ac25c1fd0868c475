"""One drive of a run: what this replica has sent and heard of it, as long as it drives it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec.structs import replace

from shared import telemetry
from shared.contracts.reply import Reply
from shared.failpoints import without
from shared.messaging.bus import Message
from shared.messaging.journal import Mark, Run
from shared.messaging.saga import CANCEL_SUFFIX, Flow, Progress, SagaStatus, heard

if TYPE_CHECKING:
    from shared.tracing import Span

P = TypeVar("P")


class Drive(Generic[P]):
    """A run that this replica is driving now, as far as it knows."""

    def __init__(self, flow: Flow[P], run: Run[P]) -> None:
        self.flow = flow.of(run.plan)
        if without("order_of_steps"):
            self.flow = Flow(flow.name, tuple(replace(step, after=()) for step in self.flow.steps))
        self.run = run
        self.sent: set[str] = set()
        self.said: dict[str, Message] = {}
        """What was said to whoever heard it, as the stream would have it, by step."""
        self.resends = 0
        self.news = asyncio.Event()
        self.began = monotonic()
        self._spans: dict[str, Span] = {}

    def hear(self, step: str, reply: Reply, at: datetime) -> None:
        progress = heard(self.flow, self.run.progress, step, reply)
        if progress is not self.run.progress:
            mark = self.run.marks.get(step) or Mark(attempts=1, started_at=at)
            marks = {**self.run.marks, step: mark.answered(at, reply.cause)}
            self.run = replace(self.run, progress=progress, marks=marks)
            if (span := self._spans.pop(step, None)) is not None:
                span.end(reply.cause)
        self.news.set()

    def service_of(self, step: str) -> str | None:
        """The service that does a step, or undoes it (`order.cancel`); None for a step that the flow does not have."""
        name = step.removesuffix(CANCEL_SUFFIX)
        return next((each.service for each in self.flow.steps if each.name == name), None)

    def mark_sent(self, step: str, at: datetime) -> None:
        mark = self.run.marks.get(step) or Mark(attempts=0, started_at=at)
        marks = {**self.run.marks, step: mark.sent(at)}
        self.run = replace(self.run, marks=marks)
        self.sent.add(step)

    def turn_back(self) -> None:
        self.run = replace(self.run, progress=Progress(SagaStatus.COMPENSATING, self.run.progress.replies))

    def send_again(self) -> None:
        self.sent.clear()
        self.resends += 1
        self.news.set()

    def traceparent_of(self, step: str, command: str) -> str:
        """What the command of a step passes on: a span from now until its reply, or the drive's own."""
        span = telemetry.begin_part(command)
        if span is None:
            return telemetry.traceparent.get()
        if (earlier := self._spans.get(step)) is not None:
            earlier.end("sent again")
        self._spans[step] = span
        return span.traceparent

    def end(self) -> None:
        """This drive is over, whatever has become of the run."""
        for span in self._spans.values():
            span.end("not answered in this drive")
        telemetry.end_trace(facts={"serx.saga": str(self.run.id), "serx.attempt": self.run.attempt})
