"""An OpenTelemetry collector in this process: takes spans by OTLP over HTTP, and remembers them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire


@dataclass(frozen=True)
class Span:
    """A span as it was sent; ids in hexadecimal, no parent is an empty one."""

    process: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    facts: dict[str, Any]
    is_error: bool
    start: int
    end: int


class Collector:
    """What has been sent so far, and where to send it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []

    def trace_of(self, request_id: str) -> list[Span]:
        """All spans of the trace in which a request was answered."""
        traces = {span.trace for span in self.spans if span.facts.get("serx.request_id") == request_id}
        return [span for span in self.spans if span.trace in traces]

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [_span(told["service.name"], wire) for wire in scope.spans]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on loopback, until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the tests look at the spans."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}/v1/traces")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _span(process: str, wire: Wire) -> Span:
    return Span(
        process=process,
        name=wire.name,
        kind=Wire.SpanKind.Name(wire.kind).removeprefix("SPAN_KIND_").lower(),
        trace=wire.trace_id.hex(),
        id=wire.span_id.hex(),
        parent=wire.parent_span_id.hex(),
        facts={each.key: each.value.string_value or each.value.int_value for each in wire.attributes},
        is_error=wire.status.code == 2,
        start=wire.start_time_unix_nano,
        end=wire.end_time_unix_nano,
    )
