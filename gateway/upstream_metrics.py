"""What Prometheus reads of the services' places; there are at most as many series as there are places now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client.metrics_core import Metric

from gateway.place import Place
from gateway.routes import Service
from gateway.upstream import Upstream
from shared import metrics

_LABELS = ("service", "place")


def places_seen(upstreams: Mapping[Service, Upstream]) -> list[Metric]:
    """Connections and failures of each place of each service."""
    places = [((str(service), place.name), place) for service, each in upstreams.items() for place in each.places]

    def counted(name: str, help: str, value: Callable[[Place], float]) -> Metric:
        return metrics.labelled(name, help, _LABELS, [(labels, value(place)) for labels, place in places])

    failures = [((*labels, cause), float(times)) for labels, place in places for cause, times in place.failures.items()]
    return [
        counted("serx_upstream_connections", "Open connections to each service.", lambda place: place.opened),
        counted(
            "serx_upstream_connections_idle",
            "Connections to each service that wait for work.",
            lambda place: place.idle,
        ),
        counted("serx_upstream_up", "Whether the place is in use; 0 = left out for a while.", _is_up),
        metrics.labelled(
            "serx_upstream_failures_total",
            "How often a place was `unreachable`, or `silent` while a request waited.",
            (*_LABELS, "cause"),
            failures,
        ),
    ]


def _is_up(place: Place) -> float:
    return float(place.retry_at is None)
