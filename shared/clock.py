"""The one place that reads the time. Domain code takes `at` as an argument."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.failpoints import clock_error


def now() -> datetime:
    """The current time in UTC, to the microsecond that PostgreSQL keeps."""
    return datetime.now(UTC) + clock_error()
