"""An interpreter that has the libraries loaded and waits to be told which process to be.

Importing them takes longer than everything else that a process does before it serves; whoever starts one of these ahead
of need has a process in a fraction of the time. What it is told is one line of JSON on its standard input; when that is
closed instead, nobody needs it any more.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import msgspec

_LIBRARIES = (
    # Only what has no state that depends on the environment or that two processes must not share.
    "asyncpg",
    "litestar.openapi.plugins",
    "nats",
    "structlog",
    "uuid_utils",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    process: str
    environment: dict[str, str]
    log: str
    """A file to which it says what it has to say, from now on."""


def main() -> None:
    for library in _LIBRARIES:
        import_module(library)
    line = sys.stdin.buffer.readline()
    if line:
        _become(msgspec.json.decode(line, type=Assignment))


def _become(assignment: Assignment) -> None:
    os.environ.clear()
    os.environ.update(assignment.environment)
    log = os.open(assignment.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    if sys.platform == "linux":  # the name that ps and top show; the command line still says "standby"
        Path("/proc/self/comm").write_text(f"serx-{assignment.process}"[:15], encoding="ascii")
    sys.argv[1:] = [assignment.process]
    from deploy.run import main as run

    run()


if __name__ == "__main__":
    main()
