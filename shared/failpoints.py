"""Named places where a process can be killed, frozen or made to fail on purpose. Inert unless armed.

`SERX_FAILPOINTS="proposals.before_t3=kill,orders.after_commit=raise*2,bus.reply=freeze:10"` arms points by name:
`kill` (SIGKILL to itself), `raise` (FailpointError), `freeze:SECONDS` (the whole process stands still); `*N` lets a
point fire N times (default once). Hits are appended to files in `SERX_FAILPOINTS_DIR`, so that "once" survives the
restart that the fault causes, and a test can wait for the hit and prove that it happened.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SPELLING = re.compile(r"^(?P<name>[a-z_.]+)=(?P<action>kill|raise|freeze:(?P<seconds>[\d.]+))(\*(?P<times>\d+))?$")


class FailpointError(Exception):
    """Raised by a point armed with `raise`: stands for any unforeseen fault at that place."""


class FailpointSpellingError(Exception):
    """SERX_FAILPOINTS holds something that is not `name=action[*times]`."""


@dataclass(frozen=True, slots=True)
class _Armed:
    action: str
    seconds: float
    times: int


_armed: dict[str, _Armed] = {}
_hits: Path | None = None


def arm(environ: Mapping[str, str] | None = None) -> None:
    """Arm the points named in the environment; called once when a process starts.

    Raises FailpointSpellingError when the setting cannot be read.
    """
    environ = os.environ if environ is None else environ
    _armed.clear()
    _armed.update(_parse(environ.get("SERX_FAILPOINTS", "")))
    global _hits
    _hits = Path(environ["SERX_FAILPOINTS_DIR"]) if environ.get("SERX_FAILPOINTS_DIR") else None
    if _armed and _hits is None:
        raise FailpointSpellingError("SERX_FAILPOINTS needs SERX_FAILPOINTS_DIR, where hits are counted")


def failpoint(name: str) -> None:
    """A named place. Does nothing unless this process was started with the point armed."""
    if _armed and name in _armed:
        _fire(name, _armed[name])


def hits(directory: Path, name: str) -> int:
    """How often the point has fired, over all processes that count in `directory`."""
    path = directory / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def _parse(text: str) -> dict[str, _Armed]:
    points: dict[str, _Armed] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        spelled = _SPELLING.match(part)
        if spelled is None:
            raise FailpointSpellingError(f"cannot read failpoint {part!r}: expected name=kill|raise|freeze:SECONDS[*N]")
        action = spelled["action"].partition(":")[0]
        points[spelled["name"]] = _Armed(action, float(spelled["seconds"] or 0), int(spelled["times"] or 1))
    return points


def _fire(name: str, armed: _Armed) -> None:
    assert _hits is not None
    if hits(_hits, name) >= armed.times:
        return
    with (_hits / name).open("a") as log:
        log.write(f"{os.getpid()}\n")
    match armed.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "freeze":
            time.sleep(armed.seconds)  # blocks the event loop: that is the fault
        case _:
            raise FailpointError(name)
