"""Spans for OpenTelemetry, sent by OTLP over HTTP: imported only by a process that is told where to send them.

A span's place in the trace is the `traceparent` that the process passes on anyway, so that whatever it calls, by HTTP
or by NATS, is its child. Ended spans are sent from a thread, in batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared import telemetry
from shared.telemetry import Role

_KINDS: Final[Mapping[Role, SpanKind]] = {
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
    "producer": SpanKind.PRODUCER,
    "internal": SpanKind.INTERNAL,
}
_w3c: Final = TraceContextTextMapPropagator()
_present: ContextVar[trace.Span | None] = ContextVar("span", default=None)


class Span:
    """A span that its holder ends."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.traceparent = _spelled(span)

    def end(self, error: str = "") -> None:
        _end(self._span, error)


class Spans:
    """The spans of one process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("serx")

    def begin(self, parent: str | None, name: str, role: Role) -> str:
        """A span below `parent`, or a new trace, and remembered as this task's; returns its `traceparent`."""
        span = self._begun(parent, name, role)
        _present.set(span)
        return _spelled(span)

    def end(self, name: str, error: str, facts: Mapping[str, str | int] | None) -> None:
        """End this task's span, if there is one, under a better name where `name` gives one."""
        span = _present.get()
        if span is None:
            return
        _present.set(None)
        if name:
            span.update_name(name)
        if facts:
            span.set_attributes(facts)
        if request_id := telemetry.request_id.get():
            span.set_attribute("serx.request_id", request_id)
        _end(span, error)

    def part(self, parent: str, name: str, role: Role) -> Span:
        """A span below `parent` that is nobody's present one."""
        return Span(self._begun(parent, name, role))

    def close(self) -> None:
        """Send what has ended, and stop. Blocks while the collector is slow, 10 s at most."""
        self._provider.shutdown()

    def _begun(self, parent: str | None, name: str, role: Role) -> trace.Span:
        # An empty context, unless `parent` fills it: the library's own idea of the present span is not asked.
        context = _w3c.extract({"traceparent": parent} if parent else {}, Context())
        return self._tracer.start_span(name, context, kind=_KINDS[role])


def start(process: str, replica: str, version: str, *, url: str, share: float) -> None:
    """Record spans from now on, `share` of the traces that begin here, and send them to `url`."""
    resource = Resource.create(
        {
            "service.name": process,
            "service.namespace": "serx",
            "service.instance.id": replica,
            "service.version": version,
        }
    )
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(share)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    telemetry.spans = Spans(provider)


def stop() -> None:
    """Send what has ended, and record no more."""
    recorded, telemetry.spans = telemetry.spans, None
    if recorded is not None:
        recorded.close()


def _end(span: trace.Span, error: str) -> None:
    if error:
        span.set_status(StatusCode.ERROR, error)
    span.end()


def _spelled(span: trace.Span) -> str:
    told = span.get_span_context()
    return f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}"
