"""How much of its connections a service uses, and what it commits together, as it is at a scrape."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.metrics_core import Metric

from shared import metrics
from shared.database.connections import Use
from shared.database.group_commit import Counts


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


def of_group_commit(counts: Counts) -> Sequence[Metric]:
    """What went together, since the process started."""
    return [
        metrics.count(
            "serx_database_statements_together", "Statements that were committed with others.", counts.together
        ),
        metrics.count(
            "serx_database_statements_alone", "Statements that might have been, and went alone.", counts.alone
        ),
        metrics.count("serx_database_groups", "Groups of statements that were committed together.", counts.groups),
        metrics.count(
            "serx_database_groups_taken_apart",
            "Groups that failed because of one of their members, or met a lock; each member was tried alone.",
            counts.taken_apart,
        ),
    ]
