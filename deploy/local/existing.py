"""The data folder of an installation, as commands find it that did not start it."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.failure import Failure
from deploy.local import ports
from deploy.local.folder import DataFolder, check_version, read
from deploy.local.leftovers import birth
from deploy.local.ports import Ports
from deploy.local.ready import Ready, Running


def made(root: Path) -> DataFolder:
    """The folder that a `serx up` made. Raises Failure when it is none, damaged, or of another version.

    Raises OSError when it is closed to us.
    """
    folder = DataFolder(root.absolute())
    if not is_there(folder.marker):
        raise Failure(f"{folder.root} is no data folder of `serx up`.")
    check_version(folder)
    return folder


def serving(root: Path) -> tuple[DataFolder, Ready]:
    """The folder of a `serx up` that serves, and what it says of itself. Raises Failure when none does."""
    folder = DataFolder(root.absolute())
    if not is_there(folder.ready):
        raise Failure(
            f"No `serx up` is serving from {folder.root}; start it first, or name its folder with --data-dir."
        )
    folder = made(root)
    ready: Ready = read(folder.ready, Ready)
    if not _runs(ready.pid):
        raise Failure(f"The `serx up` on {folder.root} (pid {ready.pid}) has been killed; start it again.")
    return folder, ready


def process(folder: DataFolder, ready: Ready, name: str) -> Running:
    """One of its processes or servers. Raises Failure when `ready.json` does not name it."""
    if name not in ready.services:
        raise Failure(f"The file {folder.ready} does not name {name}; start `serx up` again, which writes it anew.")
    return ready.services[name]


def ports_of(folder: DataFolder, *names: str) -> Ports:
    """The ports of the folder, these at least. Raises Failure when the file is damaged or lacks one."""
    if not is_there(folder.ports):
        raise Failure(f"The data folder {folder.root} is not complete yet: there is no {folder.ports.name}.")
    known = ports.found(folder)
    if missing := [name for name in names if name not in known]:
        raise Failure(f"The file {folder.ports} lacks the port of {missing[0]}; the next `serx up` writes it anew.")
    return known


def is_there(path: Path) -> bool:
    """Whether something has this path. Raises OSError where we may not look: `Path.exists` says no in Python 3.14."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _runs(pid: int) -> bool:
    """Whether there is such a process; one of another user counts as well."""
    return 0 < pid <= sys.maxsize and bool(birth(pid))
