"""Small disks for the servers of the proof, which can be full at once and have room again at once.

A disk is a tmpfs: made as small as what lies on it, nothing more fits. That needs root; for anybody else there are
none, and the faults that need them are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from deploy.failure import Failure

POSTGRES_MIB: Final = 3072
"""Tables and log of a long storm; what is not used takes no memory."""
BROKER_MIB: Final = 1024
FOLDER_MIB: Final = 1024
"""Logs, and what the supervisor writes down."""
_TRIES: Final = 20


class Disk:
    """One, mounted at `place`."""

    def __init__(self, place: Path, size_mib: int) -> None:
        self.place = place
        self._size = f"{size_mib}m"

    def mount(self) -> None:
        """Put it there, with what lies there on it. Raises Failure."""
        aside = self.place.with_name(self.place.name + ".aside")
        there = self.place.stat()
        self.place.rename(aside)
        self.place.mkdir()
        _mount(
            "-t",
            "tmpfs",
            "-o",
            f"size={self._size},mode=0700,uid={there.st_uid},gid={there.st_gid}",
            "tmpfs",
            self.place,
        )
        subprocess.run(("cp", "-a", f"{aside}/.", str(self.place)), check=True)
        shutil.rmtree(aside)

    def fill(self) -> None:
        """No room from now on, not for a byte more than a page."""
        for _ in range(_TRIES):  # whoever writes just now makes it too small, which is refused
            space = os.statvfs(self.place)
            used = (space.f_blocks - space.f_bfree) * space.f_frsize
            with suppress(Failure):
                return _mount("-o", f"remount,size={used}", self.place)
        return None

    def free(self) -> None:
        """Room as before. Raises Failure."""
        _mount("-o", f"remount,size={self._size}", self.place)

    def unmount(self) -> None:
        """Take it away, with what is on it; nothing when it is not there."""
        if self.place.is_mount():
            subprocess.run(("umount", "--lazy", str(self.place)), check=True)


def can_be_made() -> bool:
    """Whether we may mount."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    place = Path(tempfile.mkdtemp(prefix="serx-disk."))
    try:
        _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", place)
        subprocess.run(("umount", str(place)), check=True)
    except Failure:
        return False
    finally:
        place.rmdir()
    return True


def _mount(*arguments: str | Path) -> None:
    done = subprocess.run(("mount", *map(str, arguments)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"mount {' '.join(map(str, arguments))}: {done.stderr.strip()}")
