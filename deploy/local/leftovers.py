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
from deploy.local.listening import listener

_PATIENCE_SECONDS = 10.0
_MARK = "RUN_BY_SERX_UP_IN"


class Trace(msgspec.Struct, frozen=True):
    """One child, told from a later process of the same number by when it was born."""

    pid: int
    born: str


def remember(folder: DataFolder, pids: Mapping[str, int]) -> None:
    traces = {name: Trace(pid, birth(pid)) for name, pid in pids.items()}
    write_private(folder.processes, traces)


def mark(root: Path) -> dict[str, str]:
    """What each process that is launched for this folder has in its environment, to be known by without any list."""
    return {_MARK: str(root)}


def stop(folder: DataFolder) -> list[str]:
    """Stop what an earlier run left running, and name it. Raises Failure when something will not go.

    To be called with the folder locked, before anything is launched for it.
    """
    traces: dict[str, Trace] = read(folder.processes, dict[str, Trace]) if folder.processes.exists() else {}
    running = {name: trace for name, trace in traces.items() if trace.born and birth(trace.pid) == trace.born}
    running |= _marked(folder.root, known={trace.pid for trace in running.values()})
    _stop_all(running)
    folder.processes.unlink(missing_ok=True)
    return sorted(running)


def make_way(folder: DataFolder, port: int) -> int | None:
    """End a process that was launched for this folder and listens on the port; returns its pid, None if there is none.

    Raises Failure when it will not go.
    """
    pid = listener(port)
    if pid is None or not _is_marked(pid, folder.root):
        return None
    _stop_all({_command_name(pid): Trace(pid, birth(pid))})
    return pid


def _stop_all(running: Mapping[str, Trace]) -> None:
    for name, trace in running.items():
        _signal(name, trace.pid, signal.SIGINT if name.startswith("postgres") else signal.SIGTERM)
    for name, trace in running.items():
        if not _gone(trace):
            _signal(name, trace.pid, signal.SIGQUIT if name.startswith("postgres") else signal.SIGKILL)
        if not _gone(trace):
            raise Failure(
                f"{name} (pid {trace.pid}) of an earlier `serx up` is still running and does not stop; end it first."
            )


def _marked(root: Path, *, known: set[int]) -> dict[str, Trace]:
    """Processes that were launched for this folder and are in no list; not what they have started themselves."""
    if sys.platform != "linux":
        return {}
    pids = {int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()} - known
    marked = {pid for pid in pids if _is_marked(pid, root)}
    roots = {pid for pid in marked if _parent(pid) not in marked | known}
    return {f"{_command_name(pid)} ({pid})": Trace(pid, birth(pid)) for pid in roots}


def _is_marked(pid: int, root: Path) -> bool:
    """Never this very process, which may have been started by one that is."""
    if pid == os.getpid():
        return False
    try:
        return f"{_MARK}={root}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # another user's, or it has just ended
        return False


def _parent(pid: int) -> int:
    try:
        return int(
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
        )
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _command_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return "a process"


def clear_postmaster_pid(data: Path) -> None:
    """Take away a `postmaster.pid` whose number now belongs to something else; PostgreSQL would refuse to start.

    Raises Failure when a PostgreSQL that we did not start runs on the folder.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    first = pid_file.read_text(encoding="ascii", errors="replace").partition("\n")[0]
    pid = int(first) if first.isdecimal() else 0
    command = _command(pid)
    if "postgres" in command and (str(data) in command or _folder(pid) == data.resolve()):
        raise Failure(f"Another PostgreSQL (pid {pid}) is running on {data}; stop it first.")
    if command or not pid:  # or nothing that PostgreSQL has written
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


def _folder(pid: int) -> Path | None:
    """The folder that a process is in: a PostgreSQL is in its data folder, whatever its command calls that."""
    if sys.platform != "linux":
        return None
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


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
