"""The data folder of one `serx up`: what lies where, who may use it, and whether it can be trusted."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from deploy.failure import Failure
from deploy.local.ownership import check_owner, check_private

LAYOUT = 1
_OWN_BEFORE_MARKER = {"lock", "serx.json.tmp"}


class Marker(msgspec.Struct, frozen=True):
    """Says that a folder is ours, and which PostgreSQL wrote it."""

    layout: int
    postgres_major: int
    has_database: bool = False
    """Whether its database was made: then a folder without one has lost it."""


class DataFolder:
    """Paths in the folder. Obtain one with `opened`, which checks and locks it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = root / "lock"
        self.marker = root / "serx.json"
        self.secrets = root / "secrets.json"
        self.ports = root / "ports.json"
        self.processes = root / "processes.json"
        self.ready = root / "ready.json"
        self.demo = root / "demo.json"
        self.logs = root / "logs"
        self.postgres = root / "postgres"
        self.nats = root / "nats"
        self.bytecode = root / "bytecode"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


@contextmanager
def opened(root: Path, postgres_major: int) -> Iterator[DataFolder]:
    """The folder, made if it is not there, ours alone until the end of the block.

    Raises Failure when it cannot be used: not writable, in use, foreign, half-written, of another PostgreSQL, or not
    its user's alone.
    """
    folder = DataFolder(root.absolute())
    with _clear_about_the_disk(folder), ExitStack() as stack:
        if not folder.root.is_symlink():
            folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_owner(folder.root, os.geteuid())
        _refuse_foreign(folder)
        if not folder.marker.exists() and not folder.root.is_symlink():
            folder.root.chmod(0o700)  # it holds nothing yet
        check_private(folder.root, os.geteuid())
        stack.enter_context(_locked(folder))
        _check(folder, postgres_major)
        if not folder.marker.exists():
            write_private(folder.marker, Marker(LAYOUT, postgres_major))
        elif folder.postgres.exists():
            note_database(folder)
        for part in (folder.logs, folder.nats):
            part.mkdir(mode=0o700, exist_ok=True)
        folder.ready.unlink(missing_ok=True)
        yield folder


def note_database(folder: DataFolder) -> None:
    """Write down that the folder has a database, which from now on is missed when it is gone."""
    marker = read(folder.marker, Marker)
    if not marker.has_database:
        write_private(folder.marker, msgspec.structs.replace(marker, has_database=True))


def write_private(path: Path, value: Any) -> None:
    """Replace the file as a whole, readable by its owner only; a reader never sees a half of it."""
    write_private_text(path, msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def write_private_text(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".tmp")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@contextmanager
def _clear_about_the_disk(folder: DataFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Failure(f"The disk is full; the data folder is {folder.root}.") from error
        if error.filename is None or not str(error.filename).startswith(str(folder.root)):
            raise
        raise Failure(f"The data folder {folder.root} cannot be used: {error.strerror} ({error.filename}).") from error


@contextmanager
def _locked(folder: DataFolder) -> Iterator[None]:
    with os.fdopen(
        os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii", errors="replace"
    ) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = lock.read().strip()
            holder = holder if holder.isdecimal() else "unknown"
            raise Failure(f"Another `serx up` (pid {holder}) is using the data folder {folder.root}.") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _refuse_foreign(folder: DataFolder) -> None:
    """Before anything is written into it, the lock included."""
    if folder.marker.exists():
        return
    foreign = sorted(part.name for part in folder.root.iterdir() if part.name not in _OWN_BEFORE_MARKER)
    if foreign:
        raise Failure(
            f"The folder {folder.root} was not made by `serx up` (it holds {foreign[0]}); "
            "choose another with --data-dir."
        )


def _check(folder: DataFolder, postgres_major: int) -> None:
    if not folder.marker.exists():
        return
    marker = check_version(folder)
    if folder.postgres.exists() or folder.postgres.is_symlink():
        _check_postgres(folder, postgres_major)
    elif marker.has_database or folder.demo.exists():
        raise Failure(
            f"The database of the data folder is gone ({folder.postgres}); restore it, or remove {folder.root} "
            "to begin anew, with nothing in it."
        )


def check_version(folder: DataFolder) -> Marker:
    """What its marker says. Raises Failure when it is damaged, or of another version."""
    marker: Marker = read(folder.marker, Marker)
    if marker.layout != LAYOUT:
        raise Failure(
            f"The data folder {folder.root} was made by another version of serx; choose another with --data-dir."
        )
    return marker


def _check_postgres(folder: DataFolder, postgres_major: int) -> None:
    version = folder.postgres / "PG_VERSION"
    if not version.is_file() or not (folder.postgres / "global" / "pg_control").is_file():
        raise Failure(
            f"The database folder {folder.postgres} is incomplete; restore it, or remove {folder.root} to begin anew."
        )
    if not folder.secrets.exists():
        raise Failure(
            f"The passwords of the data folder are gone ({folder.secrets}); restore that file, or remove the folder."
        )
    found = version.read_text(encoding="ascii", errors="replace").strip()
    if not found.isdecimal():
        raise Failure(f"The database folder {folder.postgres} is damaged (PG_VERSION holds no version); restore it.")
    if found != str(postgres_major):
        raise Failure(
            f"The data folder {folder.root} was written by PostgreSQL {found}, and this is PostgreSQL "
            f"{postgres_major}; choose another with --data-dir, or use the version that wrote it."
        )


def read(path: Path, shape: type[Any]) -> Any:
    """A JSON file of ours. Raises Failure when it does not hold what it should."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(f"The file {path} is damaged ({error}); {_remedy(path)}.") from error


def _remedy(path: Path) -> str:
    """What to do about a damaged file: some are made again."""
    again = {
        "ports.json": "remove that file, and the next start chooses free ports",
        "processes.json": "end what an earlier `serx up` has left running, if anything, and remove that file",
        "ready.json": "start `serx up` again, which writes it anew",
        "demo.json": "restore it, or remove it, and the next start makes another demo organisation",
    }
    return again.get(path.name, "restore it, or remove the data folder to begin anew, with nothing in it")
