"""Options that several of the operators' commands take, and what they mean."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from cyclopts import Parameter
from cyclopts.validators import Number

from deploy.failure import Failure
from shared import clock

ServiceName = Literal["identity", "proposals", "engagements", "conversations", "orders"]

DataDir = Annotated[
    Path | None,
    Parameter(help="Data folder of a running `serx up`; .serx, unless SERX_…_DATABASE_DSN name other databases."),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON instead of a table.")]
OlderThan = Annotated[timedelta | None, Parameter(help="Only what is older than this: 30s, 10m, 2h, 3d.")]
Org = Annotated[UUID | None, Parameter(help="Only this organisation's.")]
Limit = Annotated[int, Parameter(validator=Number(gte=1, lte=10_000), help="At most so many.")]
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
