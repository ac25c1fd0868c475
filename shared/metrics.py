"""What a process counts and times, as Prometheus reads it; names and labels stand here and nowhere else.

Whatever happens often is counted where it happens, in memory. What only the database or the broker knows is asked when
somebody scrapes: `Gauges` are such questions.
"""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from importlib import metadata
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SLOW: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)

disable_created_metrics()  # a second series for each counter, which nobody reads
_registry: Final = CollectorRegistry()

_HTTP_SECONDS: Final = Histogram(
    "serx_http_request_seconds",
    "How long requests took, from their arrival to the end of the answer.",
    ["method", "route"],
    buckets=_FAST,
    registry=_registry,
)
_HTTP_REQUESTS: Final = Counter(
    "serx_http_requests", "Requests, by how they were answered.", ["method", "route", "status"], registry=_registry
)
_MESSAGE_SECONDS: Final = Histogram(
    "serx_message_seconds",
    "How long messages took to be handled, from their arrival to the acknowledgement.",
    ["type"],
    buckets=_FAST,
    registry=_registry,
)
_MESSAGES: Final = Counter(
    "serx_messages",
    "Deliveries of messages, by what became of them: `done`, `put off`, `parked`, `broken off`.",
    ["type", "outcome"],
    registry=_registry,
)
PASSWORDS_COMPUTED: Final = Counter(
    "serx_passwords_computed", "Password hashes that logins have computed.", registry=_registry
)
EVENTS_PUBLISHED: Final = Counter(
    "serx_events_published", "Events that the stream has said it keeps.", registry=_registry
)
EVENTS_LEFT_BEHIND: Final = Counter(
    "serx_events_left_behind", "Events that were published by the outbox's sweep, not at once.", registry=_registry
)
_FLOW_SECONDS: Final = Histogram(
    "serx_flow_seconds",
    "How long the drive took that ended a flow, by how it ended: `completed`, `rejected`.",
    ["outcome"],
    buckets=_SLOW,
    registry=_registry,
)
FLOWS_TAKEN_OVER: Final = Counter(
    "serx_flows_taken_over", "Flows that the sweep took over because nobody had finished them.", registry=_registry
)
_COMMANDS_SENT: Final = Counter(
    "serx_commands_sent", "Commands sent to participants, repeated ones included.", ["command"], registry=_registry
)
LOOP_DELAY: Final = Histogram(
    "serx_event_loop_delay_seconds",
    "How much too late a timer of the event loop went off, looked at twice a second.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
    registry=_registry,
)
CONNECTIONS: Final = Gauge("serx_connections", "Open connections from callers.", registry=_registry)
_CONNECTIONS_ENDED: Final = Counter(
    "serx_connections_ended",
    "Connections that were ended because of their callers: they were `silent` or `idle`, left an answer `unread`, "
    "had to go for `room` or for `memory`.",
    ["cause"],
    registry=_registry,
)
_REQUESTS_REFUSED: Final = Counter(
    "serx_requests_refused",
    "Requests and connections that were refused before anything else saw them, by the status of the answer.",
    ["status"],
    registry=_registry,
)
LOG_LINES_LOST: Final = Counter("serx_log_lines_lost", "Log lines that could not be written.", registry=_registry)
for _cause in ("silent", "idle", "unread", "room", "memory"):
    _CONNECTIONS_ENDED.labels(_cause)
for _status in ("400", "408", "414", "431", "503"):
    _REQUESTS_REFUSED.labels(_status)
ProcessCollector(registry=_registry)

Gauges = Callable[[], Awaitable[Sequence[Metric]]]
"""What is asked at each scrape; it must be cheap, and must not raise because a server is away."""


@cache
def request_noted(method: str, route: str, status: str) -> tuple[Callable[[float], None], Callable[[], None]]:
    """What to call with the seconds of a request, and what to call to count it; kept, for it is asked each time."""
    return _HTTP_SECONDS.labels(method, route).observe, _HTTP_REQUESTS.labels(method, route, status).inc


@cache
def message_noted(type: str, outcome: str) -> tuple[Callable[[float], None], Callable[[], None]]:
    """What to call with the seconds of a delivery, and what to call to count it."""
    return _MESSAGE_SECONDS.labels(type).observe, _MESSAGES.labels(type, outcome).inc


@cache
def flow_ended(outcome: str) -> Callable[[float], None]:
    """What to call with the seconds of a flow."""
    return _FLOW_SECONDS.labels(outcome).observe


@cache
def command_sent(command: str) -> Callable[[], None]:
    """What to call for a command that goes out."""
    return _COMMANDS_SENT.labels(command).inc


def connection_ended(cause: str) -> None:
    """Count a connection that was ended because of its caller."""
    _CONNECTIONS_ENDED.labels(cause).inc()


def request_refused(status: str) -> None:
    """Count what was refused before it became a request."""
    _REQUESTS_REFUSED.labels(status).inc()


def gauge(name: str, help: str, value: float) -> Metric:
    """One number as it is now."""
    return GaugeMetricFamily(name, help, value=value)


def count(name: str, help: str, value: float) -> Metric:
    """One number that only grows; its name ends in `_total` when it is read."""
    return CounterMetricFamily(name, help, value=value)


def gauges(name: str, help: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    """Numbers as they are now, told apart by one label."""
    family = GaugeMetricFamily(name, help, labels=[label])
    for told, value in values:
        family.add_metric([told], value)
    return family


def labelled(name: str, help: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]) -> Metric:
    """The same, told apart by several labels; numbers that only grow when `name` ends in `_total`."""
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    family = kind(name, help, labels=labels)
    for told, value in values:
        family.add_metric(told, value)
    return family


def info(process: str, replica: str) -> Metric:
    """Who this is; the value is always 1."""
    family = GaugeMetricFamily(
        "serx_process_info", "Which process, version and replica.", labels=["process", "version", "replica", "python"]
    )
    family.add_metric([process, version(), replica, platform.python_version()], 1)
    return family


def version() -> str:
    """The version that is installed; `0+source` when it runs from a checkout."""
    try:
        return metadata.version("serx")
    except metadata.PackageNotFoundError:
        return "0+source"


async def rendered(process: str, replica: str, asked: Sequence[Gauges]) -> bytes:
    """Everything, in Prometheus's text format."""
    now = [info(process, replica)]
    for ask in asked:
        now += await ask()
    return generate_latest(_registry) + generate_latest(_Now(now))


class _Now(CollectorRegistry):
    """Metrics that are there already, for the library's writer."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        super().__init__(auto_describe=False)
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
