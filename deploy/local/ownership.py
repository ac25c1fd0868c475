"""Whose a folder is, and who else may look into it: nothing runs on a folder that somebody else prepared."""

from __future__ import annotations

import pwd
import stat
from pathlib import Path

from deploy.failure import Failure

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_private(path: Path, owner: int) -> None:
    """Raises Failure unless `path` is a folder of the user with the id `owner`, and of nobody else's business."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise Failure(f"The folder {path} is a symbolic link; name the folder that it points to.")
    if not stat.S_ISDIR(found.st_mode):
        raise Failure(f"{path} is no folder; choose another with --data-dir.")
    check_owner(path, owner)
    if found.st_mode & OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise Failure(
            f"The folder {path} lets other users in (mode {mode:04o}): if nobody else has written into it, "
            f"`chmod 700 {path}`."
        )


def check_owner(path: Path, owner: int) -> None:
    """Raises Failure when the folder is another user's."""
    if (found := path.lstat().st_uid) != owner:
        raise Failure(
            f"The folder {path} belongs to the user {_name(found)}, and not to {_name(owner)}, as it has to; "
            "run serx as its owner, or choose another with --data-dir."
        )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
