"""Structured logs that carry the request id and the trace id through HTTP and NATS.

Trace context is W3C `traceparent` (https://www.w3.org/TR/trace-context/): taken from whoever called, else begun here,
and passed on in every message and every request.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from contextvars import ContextVar
from typing import Any

import structlog

_TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$")

request_id: ContextVar[str] = ContextVar("request_id", default="")
traceparent: ContextVar[str] = ContextVar("traceparent", default="")


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
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def begin_trace(parent: str | None = None) -> str:
    """Continue the trace of `parent` with a new span, or begin one; returns and remembers the `traceparent`."""
    known = _TRACEPARENT.match(parent) if parent else None
    trace = known[1] if known else os.urandom(16).hex()
    current = f"00-{trace}-{os.urandom(8).hex()}-01"
    traceparent.set(current)
    return current


def _context(process: str) -> structlog.typing.Processor:
    def add(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process
        if current := request_id.get():
            event["request_id"] = current
        if current := traceparent.get():
            event["trace_id"] = current[3:35]
        return event

    return add
