"""A disk for each server: a file system in memory, seen by this process and its children, which can be full."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.failure import Failure
from deploy.proof.cluster.kernel import NEW_MOUNTS, run, unshare

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
        run("mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=711", "serx", str(folder))
        self._folders.append(folder)

    def fill(self, folder: Path) -> None:
        """From now on nothing more can be written on its disk. Raises Failure."""
        for number in range(1, _TRIES + 1):
            space = os.statvfs(folder)
            used = (space.f_blocks - space.f_bfree) * space.f_frsize
            try:
                run("mount", "-o", f"remount,size={used + number * _ROOM_BYTES}", str(folder))
            except Failure:  # something was written meanwhile
                if number == _TRIES:
                    raise
            else:
                return

    def free(self, folder: Path) -> None:
        """There is room again. Raises Failure."""
        run("mount", "-o", f"remount,size={_SIZE}", str(folder))

    def keep(self) -> None:
        """Leave what is on them in their folders, on the disk below. Raises Failure."""
        for folder in self._folders:
            kept = folder.with_suffix(".kept")
            shutil.copytree(folder, kept, symlinks=True)
            run("umount", str(folder))
            folder.rmdir()
            kept.rename(folder)
        self._folders.clear()

    def close(self) -> None:
        for folder in self._folders:
            run("umount", "--lazy", str(folder))


@contextmanager
def disks() -> Iterator[Disks]:
    """None yet; those that are made are gone at the end. This process has its own view of all mounts from now on.

    Raises Failure where that is not possible.
    """
    unshare(NEW_MOUNTS, "Disks of the proof's own need mounts")
    run("mount", "--make-rprivate", "/")
    made = Disks()
    try:
        yield made
    finally:
        made.close()
