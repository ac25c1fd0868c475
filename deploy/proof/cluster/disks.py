"""A disk for each server: a file system in memory, seen by this process and its children, which can be full."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.failure import Failure

_NEW_MOUNTS = 0x00020000
_SIZE = "8g"
"""More than a run of hours writes; only what is written takes memory."""
_ROOM_BYTES = 64 * 1024
_TRIES = 20


class Disks:
    """All of them, by the folder where each is mounted."""

    def __init__(self) -> None:
        self._folders: list[Path] = []

    def make(self, folder: Path) -> None:
        """Have `folder`, which is made, on a disk of its own. Raises Failure."""
        folder.mkdir(mode=0o711)
        _run("mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=711", "serx", str(folder))
        self._folders.append(folder)

    def fill(self, folder: Path) -> None:
        """From now on nothing more can be written on its disk. Raises Failure."""
        for number in range(1, _TRIES + 1):
            space = os.statvfs(folder)
            used = (space.f_blocks - space.f_bfree) * space.f_frsize
            try:
                _run("mount", "-o", f"remount,size={used + number * _ROOM_BYTES}", str(folder))
            except Failure:  # something was written meanwhile
                if number == _TRIES:
                    raise
            else:
                return

    def free(self, folder: Path) -> None:
        """There is room again. Raises Failure."""
        _run("mount", "-o", f"remount,size={_SIZE}", str(folder))

    def keep(self) -> None:
        """Leave what is on them in their folders, on the disk below. Raises Failure."""
        for folder in self._folders:
            kept = folder.with_suffix(".kept")
            shutil.copytree(folder, kept, symlinks=True)
            _run("umount", str(folder))
            folder.rmdir()
            kept.rename(folder)
        self._folders.clear()

    def close(self) -> None:
        for folder in self._folders:
            _run("umount", "--lazy", str(folder))


@contextmanager
def disks() -> Iterator[Disks]:
    """None yet; those that are made are gone at the end. This process has its own view of all mounts from now on.

    Raises Failure where that is not possible.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_MOUNTS):
        reason = os.strerror(ctypes.get_errno())
        raise Failure(f"Disks of the proof's own need mounts, and there can be none here ({reason}).")
    _run("mount", "--make-rprivate", "/")
    made = Disks()
    try:
        yield made
    finally:
        made.close()


def _run(*command: str) -> None:
    words: Sequence[str] = command
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"The proof's disks could not be made: {' '.join(words)}", done.stderr.splitlines())
