"""What processes have used so far, as Linux counts it in /proc: CPU of a whole tree, memory of each."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")

Trees = Mapping[str, int]
"""A name for each process that counts, and its pid; a tree's children count with it."""


def cpu_seconds(trees: Trees) -> dict[str, float]:
    """CPU time of each tree, user and system, of children that have ended too."""
    used, children = _table()
    return {name: sum(used[pid] for pid in _tree(root, children)) for name, root in trees.items()}


def memory_bytes(trees: Trees) -> dict[str, int]:
    """Proportional memory of each tree: a page that several processes share is divided among them."""
    _, children = _table()
    return {name: sum(_proportional(pid) for pid in _tree(root, children)) for name, root in trees.items()}


def resident_bytes(pid: int) -> int:
    """All pages of one process, those it shares with others too."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmRSS:") * 1024


def parent_of(pid: int) -> int:
    return int(_fields(pid)[1])


def _tree(root: int, children: Mapping[int, list[int]]) -> list[int]:
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _table() -> tuple[dict[int, float], dict[int, list[int]]]:
    used: dict[int, float] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = _fields(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):  # ended while we looked
                continue
            used[int(entry.name)] = sum(int(ticks) for ticks in fields[11:15]) / _TICKS
            children[int(fields[1])].append(int(entry.name))
    return used, children


def _fields(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) from the third on: a program's name may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _proportional(pid: int) -> int:
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") * 1024


def _kilobytes(path: Path, label: str) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(label))
