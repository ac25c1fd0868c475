"""How much of its connections a service uses, as it is at a scrape."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.metrics_core import Metric

from shared import metrics
from shared.database.connections import Use


def of_connections(use: Use) -> Sequence[Metric]:
    """The pool's use; counts of waits are since the process started."""
    return [
        metrics.gauges(
            "serx_database_connections",
            "Connections to the database: `in use`, `free`.",
            "state",
            (("in use", use.in_use), ("free", use.free)),
        ),
        metrics.gauge("serx_database_connections_most", "Most connections that there may be.", use.most),
        metrics.gauge("serx_database_waiting", "Who waits for a connection now.", use.waiting),
        metrics.count("serx_database_waits", "How often somebody found none free.", use.waits),
    ]
