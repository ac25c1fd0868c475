"""What clients were told, line by line: the other half of the evidence, beside the databases."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec

from shared import clock


class Told(StrEnum):
    """What became of a call: `unknown` is a broken connection, a 202 or a 503, after which anything may be true.

    A `report` is no answer to a call of its own: it is how a flow stood at that time.
    """

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"
    REPORT = "report"


class Reported(msgspec.Struct, frozen=True):
    """What the report of a flow said: how it stands, and each of its steps by name."""

    saga: str
    status: str
    steps: dict[str, str]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. `call` is the same for an invoke and what it was told; 0 for a report."""

    at: str
    call: int
    told: Told
    org: str
    proposal: str
    key: str | None = None
    status: int = 0
    engagement: str | None = None
    order: str | None = None
    projects: tuple[str, ...] = ()
    digest: str | None = None
    """Of the whole body of a 200: answers under one Idempotency-Key are the same to the byte."""
    detail: str = ""
    report: Reported | None = None


class Call(msgspec.Struct, frozen=True):
    """A call to sign that is under way."""

    number: int
    org: str
    proposal: str
    key: str | None = None


class History:
    """Keeps the lines, and appends each to a file if there is one."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        self.lines: list[Line] = []
        self._file = file
        self._calls = 0

    def invoke(self, org: str, proposal: str, key: str | None) -> Call:
        """A call is about to be made."""
        self._calls += 1
        call = Call(self._calls, org, proposal, key)
        self.tell(call, Told.INVOKE)
        return call

    def tell(
        self,
        call: Call,
        told: Told,
        *,
        status: int = 0,
        engagement: str | None = None,
        order: str | None = None,
        projects: tuple[str, ...] = (),
        digest: str | None = None,
        detail: str = "",
    ) -> None:
        """What the call was told."""
        line = Line(
            at=clock.now().isoformat(),
            call=call.number,
            told=told,
            org=call.org,
            proposal=call.proposal,
            key=call.key,
            status=status,
            engagement=engagement,
            order=order,
            projects=projects,
            digest=digest,
            detail=detail,
        )
        self._keep(line)

    def tell_report(self, org: str, proposal: str, report: Reported) -> None:
        """What the report of the proposal's flow said."""
        at = clock.now().isoformat()
        self._keep(Line(at=at, call=0, told=Told.REPORT, org=org, proposal=proposal, report=report))

    def asked(self) -> int:
        """How many calls to sign were made."""
        return self._calls

    def _keep(self, line: Line) -> None:
        self.lines.append(line)
        if self._file is not None:
            self._file.write(msgspec.json.encode(line) + b"\n")


def read(path: Path) -> Iterator[Line]:
    """The lines of a file that a History wrote."""
    with path.open("rb") as file:
        for line in file:
            yield msgspec.json.decode(line, type=Line)
