"""Structured logs that carry the request id and the trace id through HTTP and NATS.

Trace context is W3C `traceparent` (https://www.w3.org/TR/trace-context/): taken from whoever called, else begun here,
and passed on in every message and every request. With `SERX_OTLP_URL` each place in a trace is a span as well, which
`shared.tracing` records; without it, that costs one look at `spans`.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

import structlog

from shared.metrics import LOG_LINES_LOST

if TYPE_CHECKING:  # loaded only where spans are recorded
    from shared.tracing import Span, Spans

_TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$")

REQUEST_ID: Final = "serx-request-id"
"""The header of a message that names the request which it belongs to."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
traceparent: ContextVar[str] = ContextVar("traceparent", default="")
spans: Spans | None = None
"""Where spans are recorded; None, the default, records none."""

Role = Literal["server", "consumer", "producer", "internal"]
"""What a span is to its parent, as OpenTelemetry's span kinds have it."""


def log(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module; events are short lower-case phrases, facts are key-value pairs."""
    return structlog.stdlib.get_logger(module=name)


def set_up_logging(process: str, *, format: str, level: str) -> None:
    """Configure logging of this process: one JSON object (or one console line) per event, on standard error."""
    renderer: Any = structlog.dev.ConsoleRenderer() if format == "console" else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _context(process),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=Unfailing(sys.stderr), format="%(levelname)s %(name)s %(message)s"
    )


class Unfailing:
    """A stream for a log: a line that cannot be written (a full disk, a reader that is gone) is lost, and nothing else.

    What is logged about is more important than the line: neither an answer nor a loop may end because of it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            LOG_LINES_LOST.inc()
            return 0

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            LOG_LINES_LOST.inc()


def begin_trace(parent: str | None = None, *, name: str = "request", role: Role = "server") -> str:
    """Continue the trace of `parent` with a new span, or begin one; returns and remembers the `traceparent`."""
    if spans is not None:
        current = spans.begin(parent, name, role)
    else:
        known = _TRACEPARENT.match(parent) if parent else None
        trace = known[1] if known else os.urandom(16).hex()
        current = f"00-{trace}-{os.urandom(8).hex()}-01"
    traceparent.set(current)
    return current


def end_trace(name: str = "", *, error: str = "", facts: Mapping[str, str | int] | None = None) -> None:
    """The span that `begin_trace` began in this task is over; `error` says what went wrong."""
    if spans is not None:
        spans.end(name, error, facts)


def begin_part(name: str, role: Role = "producer") -> Span | None:
    """A span below the present one, which ends when its holder says so; None when none are recorded."""
    return None if spans is None else spans.part(traceparent.get(), name, role)


def passed_on() -> dict[str, str]:
    """The headers by which a message belongs to the request and the trace that are under way."""
    told = {"traceparent": traceparent.get(), REQUEST_ID: request_id.get()}
    return {name: value for name, value in told.items() if value}


def take_over(headers: Mapping[str, str], *, name: str) -> None:
    """A message is being handled: in the request and the trace of whoever sent it."""
    request_id.set(headers.get(REQUEST_ID, ""))
    begin_trace(headers.get("traceparent"), name=name, role="consumer")


def _context(process: str) -> structlog.typing.Processor:
    def add(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process
        if current := request_id.get():
            event["request_id"] = current
        if current := traceparent.get():
            event["trace_id"] = current[3:35]
        return event

    return add
