"""Options that several of the operators' commands take, and what they mean."""

from __future__ import annotations

import getpass
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from cyclopts import Parameter, Token

from deploy.failure import Failure
from deploy.whole_numbers import whole_number
from shared import clock

ServiceName = Literal["identity", "proposals", "engagements", "conversations", "orders"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = timedelta(days=36500)


class Duration(timedelta):
    """A time span on the command line: 30s, 10m, 2h, 3d. `--help` shows the name of this class for its type."""


def duration(_type: object, tokens: Sequence[Token]) -> Duration:
    """Read a time span. Raises ValueError for anything else."""
    text = tokens[0].value.strip()
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([smhd])", text, re.ASCII)
    if found is None or (span := float(found[1]) * _UNITS[found[2]]) > _LONGEST.total_seconds():
        raise ValueError(f"{text!r} is no time span; write a number and its unit, as 30s, 10m, 2h or 3d.")
    return Duration(seconds=span)


def spell(span: timedelta | None) -> str | None:
    """As `duration` reads it, in the largest unit that leaves a whole number."""
    if span is None:
        return None
    seconds = span.total_seconds()
    unit = next((unit for unit in "dhm" if seconds and seconds % _UNITS[unit] == 0), "s")
    return f"{seconds / _UNITS[unit]:g}{unit}"


DataDir = Annotated[
    Path | None,
    Parameter(
        help="Data folder of a running `serx up`; .serx, unless SERX_ORDERS_DATABASE_DSN and its like name other"
        " databases, and SERX_NATS_URL their broker, as a user who may publish everything."
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON instead of a table.")]
_A_SPAN = Parameter(converter=duration, n_tokens=1, show_default=spell)
Again = Annotated[
    Duration,
    _A_SPAN,
    Parameter(help="Look a second time after this, and say only what is still so: what is under way goes by."),
]
OlderThan = Annotated[Duration | None, _A_SPAN, Parameter(help="Only what is older than this: 30s, 10m, 2h, 3d.")]
Org = Annotated[UUID | None, Parameter(help="Only this organisation's.")]
Limit = Annotated[int, whole_number(1, 10_000), Parameter(help="At most so many.")]
Service = Annotated[ServiceName | None, Parameter(help="Only this service's.")]
Reason = Annotated[str, Parameter(help="Why; it is kept with who and when.")]
By = Annotated[str | None, Parameter(name="--as", help="Who does this; the user of the operating system if not given.")]


def before(older_than: timedelta | None) -> datetime | None:
    """The moment before which something began that is older."""
    return None if older_than is None else clock.now() - older_than


def who(by: str | None) -> str:
    """Who intervenes. Raises Failure when nobody is named."""
    try:
        name = (by if by is not None else getpass.getuser()).strip()
    except (OSError, KeyError) as error:
        raise Failure("The operating system does not say who you are: name yourself with --as.") from error
    if not name:
        raise Failure("--as is empty: say who does this.")
    return name


def why(reason: str) -> str:
    """The reason. Raises Failure for an empty one."""
    if not reason.strip():
        raise Failure("--reason is empty: say why, for whoever reads the report.")
    return reason.strip()
