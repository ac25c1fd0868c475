"""Processes of an earlier `serx up` that was killed: usually gone with it, and stopped here when they are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.failure import Failure
from deploy.local.folder import DataFolder, read, write_private

_PATIENCE_SECONDS = 10.0


class Trace(msgspec.Struct, frozen=True):
    """One child, told from a later process of the same number by when it was born."""

    pid: int
    born: str


def remember(folder: DataFolder, pids: Mapping[str, int]) -> None:
    traces = {name: Trace(pid, birth(pid)) for name, pid in pids.items()}
    write_private(folder.processes, traces)


def stop(folder: DataFolder) -> list[str]:
    """Stop what an earlier run left running, and name it. Raises Failure when something will not go."""
    if not folder.processes.exists():
        return []
    traces: dict[str, Trace] = read(folder.processes, dict[str, Trace])
    running = {name: trace for name, trace in traces.items() if trace.born and birth(trace.pid) == trace.born}
    for name, trace in running.items():
        _signal(name, trace.pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
    for name, trace in running.items():
        if not _gone(trace):
            _signal(name, trace.pid, signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
        if not _gone(trace):
            raise Failure(
                f"{name} (pid {trace.pid}) of an earlier `serx up` is still running and does not stop; end it first."
            )
    folder.processes.unlink()
    return sorted(running)


def clear_postmaster_pid(data: Path) -> None:
    """Take away a `postmaster.pid` whose number now belongs to something else; PostgreSQL would refuse to start.

    Raises Failure when a PostgreSQL that we did not start runs on the folder.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    first = pid_file.read_text(encoding="ascii", errors="replace").partition("\n")[0]
    pid = int(first) if first.isdigit() else 0
    command = _command(pid)
    if "postgres" in command and str(data) in command:
        raise Failure(f"Another PostgreSQL (pid {pid}) is running on {data}; stop it first.")
    if command:
        pid_file.unlink()


def birth(pid: int) -> str:
    """When the process began, in the system's own words; empty when there is none (or only its remains)."""
    if sys.platform != "linux":
        return _ps(pid, "lstart")
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else f"{_boot()} {fields[19]}"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _command(pid: int) -> str:
    if sys.platform != "linux":
        return _ps(pid, "command")
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _ps(pid: int, column: str) -> str:
    answer = subprocess.run(["ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _signal(name: str, pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise Failure(
            f"{name} (pid {pid}) of an earlier `serx up` is still running, as another user; end it first."
        ) from error


def _gone(trace: Trace) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while birth(trace.pid) == trace.born:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
