"""Who listens on a port of this machine, as Linux shows it in /proc; elsewhere nobody can be seen.

A probe asks an address, and the answer may be another process's: of an earlier life, or of an earlier run.
"""

from __future__ import annotations

from pathlib import Path

_LISTENING = "0A"
_ADDRESSES = {"0100007F", "00000000"}
"""127.0.0.1 and 0.0.0.0, as /proc spells them on the machines that we run on (little endian)."""

_ENDED_STATES = {"Z", "X"}
_EXITING = 0x4
"""PF_EXITING of Linux's include/linux/sched.h, among the flags in /proc/<pid>/stat (proc_pid_stat(5), field 9)."""


def listens(pid: int, port: int) -> bool:
    """Whether this process listens on the port of 127.0.0.1. True where that cannot be seen."""
    sockets = _sockets(port)
    if sockets is None:
        return True
    try:
        return bool(sockets & _open_sockets(pid))
    except PermissionError:
        return not _has_ended(pid)
    except OSError:  # it has just ended
        return False


def listener(port: int) -> int | None:
    """The process that listens on the port of 127.0.0.1, None when there is none that can be seen."""
    sockets = _sockets(port)
    if not sockets:
        return None
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if sockets & _open_sockets(int(folder.name)):
                return int(folder.name)
        except OSError:  # another user's, or it has just ended
            continue
    return None


def _sockets(port: int) -> set[str] | None:
    """What links to these sockets look like in a process's folder of open files; None where nothing is shown."""
    try:
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    found = {f"socket:[{inode}]" for inode in (_inode(line, f"{port:04X}") for line in lines) if inode is not None}
    return None if "socket:[0]" in found else found  # a sandbox that does not tell them apart


def _inode(line: str, port: str) -> str | None:
    fields = line.split()
    address, _, local_port = fields[1].partition(":")
    is_wanted = fields[3] == _LISTENING and local_port == port and address in _ADDRESSES
    return fields[9] if is_wanted else None


def _has_ended(pid: int) -> bool:
    """Whether the process has begun to end, or is gone. From then on its open files are root's to see, and no longer
    those of the user whom it belonged to.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    fields = stat.rpartition(")")[2].split()
    return fields[0] in _ENDED_STATES or bool(int(fields[6]) & _EXITING)


def _open_sockets(pid: int) -> set[str]:
    links: set[str] = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.add(str(link.readlink()))
        except FileNotFoundError:  # closed in between
            continue
    return links
