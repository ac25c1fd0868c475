"""Times as RFC 3339 spells them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_SPELLING: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]((?:[01][0-9]|2[0-3]):[0-9]{2}:)([0-9]{2})(\.[0-9]+)?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_END_OF_SECOND: Final = 999_999
MAX_TIME_LENGTH: Final = 64
"""In characters. A nanosecond with its offset is 35."""


def read_time(text: str) -> datetime | None:
    """The time that `text` spells, in UTC; None when it is no time of RFC 3339, or before the year 1, or after 9999.

    One of more than MAX_TIME_LENGTH characters is none.

    What is finer than a microsecond is cut. A leap second (`23:59:60` in UTC, at the end of a month) is the last
    microsecond of the second before it: so it stays in its day.
    """
    spelled = _SPELLING.fullmatch(text)
    if spelled is None or len(text) > MAX_TIME_LENGTH:
        return None
    day, hours_and_minutes, seconds, fraction, offset = spelled.groups()
    is_leap_second = seconds == "60"
    microseconds = _END_OF_SECOND if is_leap_second else int((fraction or ".")[1:7].ljust(6, "0"))
    whole = f"{day}T{hours_and_minutes}{'59' if is_leap_second else seconds}{offset.upper()}"
    try:
        time = datetime.fromisoformat(whole).astimezone(UTC).replace(microsecond=microseconds)
    except (ValueError, OverflowError):
        return None
    return time if not is_leap_second or _is_end_of_month(time) else None


def _is_end_of_month(time: datetime) -> bool:
    """Whether the month ends with this second; nothing comes after the last of the year 9999."""
    if (time.hour, time.minute, time.second) != (23, 59, 59):
        return False
    return (time.month, time.day) == (12, 31) or (time + timedelta(days=1)).day == 1
