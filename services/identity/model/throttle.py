"""How many logins may fail in a minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

WINDOW: Final = timedelta(minutes=1)


class Throttled(StrEnum):
    """What failures are counted by."""

    ACCOUNT = "account"
    ADDRESS = "address"

    @property
    def limit(self) -> int:
        """How many failures a window may hold."""
        match self:
            case Throttled.ACCOUNT:
                return 10
            case Throttled.ADDRESS:
                return 50
            case _:
                assert_never(self)


def wait_seconds(kind: Throttled, failed_at: Sequence[datetime], at: datetime) -> float:
    """How long until another attempt may be made: until the limit-th newest failure leaves the window; 0 is now."""
    recent = sorted(moment for moment in failed_at if moment > at - WINDOW)
    if len(recent) < kind.limit:
        return 0.0
    return (recent[-kind.limit] + WINDOW - at).total_seconds()
