"""Named places where a process can be killed, frozen or made to fail on purpose. Inert unless armed.

With `SERX_FAILPOINTS_DIR` set, a file in that directory named after a point arms it, once: it holds `kill` (SIGKILL to
itself), `raise` (FailpointError) or `freeze:SECONDS` (the whole process stands still). Firing renames the file to
`<point>.hit.<pid>`, atomically, so that of all processes exactly one fires, a restart does not fire again, and whoever
armed the point can wait for the hit and prove that it happened. `SERX_FAILPOINTS="proposals.before_t3=kill,…"` arms
points when the process starts, unless they were hit before.

A file `clock.<pid>` holds the seconds by which that process's clock is wrong.

A file `without.<rule>` switches a rule of the protocol off: a negative control, by which the tests show that the proof
would notice.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

_SPELLING = re.compile(r"^(?P<name>[a-z0-9_.]+)=(?P<action>kill|raise|freeze:[\d.]+)$")
_ACTION = re.compile(r"^(kill|raise|freeze:[\d.]+)$")


class FailpointError(Exception):
    """Raised by a point armed with `raise`: stands for any unforeseen fault at that place."""


class FailpointSpellingError(Exception):
    """A point is armed with something that is no action."""


_directory: Path | None = None
_RIGHT = timedelta()


def arm(environ: Mapping[str, str] | None = None) -> None:
    """Take the points' directory, and the points to arm at once, from the environment; called when a process starts.

    Raises FailpointSpellingError when the settings cannot be read.
    """
    global _directory  # noqa: PLW0603  # set once, when the process starts
    environ = os.environ if environ is None else environ
    folder = environ.get("SERX_FAILPOINTS_DIR")
    _directory = Path(folder) if folder else None
    named = [part.strip() for part in environ.get("SERX_FAILPOINTS", "").split(",") if part.strip()]
    if named and _directory is None:
        raise FailpointSpellingError("SERX_FAILPOINTS needs SERX_FAILPOINTS_DIR, where hits are counted")
    for part in named:
        spelled = _SPELLING.match(part)
        if spelled is None:
            raise FailpointSpellingError(f"cannot read failpoint {part!r}: expected name=kill|raise|freeze:SECONDS")
        if _directory is not None and not hits(_directory, spelled["name"]):
            set_trap(_directory, spelled["name"], spelled["action"])


def failpoint(name: str) -> None:
    """A named place. Does nothing unless this process was started with a directory, and the point is armed in it."""
    if _directory is not None and (_directory / name).exists():
        _fire(_directory, name)


def without(rule: str) -> bool:
    """Whether this rule of the protocol is switched off, to show that it is needed. Never outside of tests."""
    return _directory is not None and (_directory / f"without.{rule}").exists()


def clock_error() -> timedelta:
    """By how much this process's clock is made to be wrong. Nothing outside of tests."""
    if _directory is None:
        return _RIGHT
    try:
        return timedelta(seconds=float((_directory / f"clock.{os.getpid()}").read_text()))
    except FileNotFoundError:
        return _RIGHT


def set_clock_error(directory: Path, pid: int, seconds: float) -> None:
    """Make the clock of a process that looks into `directory` wrong by so much; 0 makes it right again."""
    wrong = directory / f"clock.{pid}"
    if not seconds:
        wrong.unlink(missing_ok=True)
        return
    fresh = directory / f".clock.{pid}"
    fresh.write_text(str(seconds))
    fresh.rename(wrong)


def set_trap(directory: Path, name: str, action: str) -> None:
    """Arm a point, once, for all processes that look into `directory`. Raises FailpointSpellingError."""
    if not _ACTION.match(action):
        raise FailpointSpellingError(f"cannot read {action!r}: expected kill, raise or freeze:SECONDS")
    fresh = directory / f".{name}"
    fresh.write_text(action)
    fresh.rename(directory / name)


def hits(directory: Path, name: str) -> int:
    """How often the point has fired, over all processes that look into `directory`."""
    return len(list(directory.glob(f"{name}.hit.*")))


def _fire(directory: Path, name: str) -> None:
    hit = directory / f"{name}.hit.{os.getpid()}.{time.monotonic_ns()}"
    try:
        (directory / name).rename(hit)
    except FileNotFoundError:  # another process was first
        return
    action, _, seconds = hit.read_text().partition(":")
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "freeze":
            time.sleep(float(seconds))  # blocks the event loop: that is the fault
        case _:
            raise FailpointError(name)
