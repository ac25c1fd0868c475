"""Which machine, and which versions of what was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import msgspec

from deploy.local import binaries
from tests.bench.results import Machine
from tests.bench.rivals import PYTHON

OURS = ("litestar", "msgspec", "asyncpg", "uvicorn", "uvloop", "nats-py")
THEIRS = ("fastapi", "pydantic", "sqlalchemy", "asyncpg", "uvicorn", "uvloop", "dbos")
_TELL = (
    "import sys, json; from importlib.metadata import version as v; print(json.dumps({n: v(n) for n in sys.argv[1:]}))"
)


def describe() -> Machine:
    return Machine(
        cpu=_after(Path("/proc/cpuinfo"), "model name"),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3,
        kernel=platform.release(),
        python=platform.python_version(),
    )


def versions() -> dict[str, str]:
    """Of our stack's main parts, of PostgreSQL and NATS, and of the peers' (their names begin with `peer:`)."""
    found = binaries.find()
    ours = {name: metadata.version(name) for name in OURS}
    servers = {
        "postgresql": _said(str(found.postgres), "--version").split()[-1],
        "nats-server": _said(str(found.nats_server), "--version").split()[-1],
    }
    theirs: dict[str, str] = {}
    if PYTHON.exists():
        theirs = msgspec.json.decode(_said(str(PYTHON), "-c", _TELL, *THEIRS), type=dict[str, str])
    return ours | servers | {f"peer:{name}": version for name, version in theirs.items()}


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _after(path: Path, label: str) -> str:
    lines = path.read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(label)), "unknown")
