"""The passwords and keys of one data folder: random, made once, readable by its owner only."""

from __future__ import annotations

import re
from secrets import token_urlsafe

import nkeys

from deploy.failure import Failure
from deploy.local.folder import DataFolder, read, write_private
from deploy.nats_config import new_seed, public_key
from shared.messaging.topology import SERVICES, USERS

_ADMIN = "postgres.admin"
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,}")
"""As `token_urlsafe` makes them: nothing in one needs quoting in a URL or in a configuration."""


class Credentials:
    """What `secrets.json` holds: a flat table, so that a later version finds its old entries and adds new ones."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    @property
    def postgres_admin(self) -> str:
        return self._values["postgres.admin"]

    @property
    def nats_operator(self) -> str:
        return self._values["nats.operator"]

    @property
    def session_keys(self) -> str:
        return self._values["identity.session"]

    @property
    def demo_admin(self) -> str:
        return self._values["demo.admin"]

    def nats(self, user: str) -> str:
        """The seed of the nkey of a process, or of the stream keeper."""
        return self._values[f"nkey.{user}"]

    def owner(self, service: str) -> str:
        return self._values[f"database.{service}.owner"]

    def database(self, service: str) -> str:
        return self._values[f"database.{service}"]

    def internal_key(self, service: str) -> str:
        return self._values[f"internal.{service}"]


def ensure(folder: DataFolder) -> Credentials:
    """The folder's credentials; those that are missing are made. Raises Failure when the file is damaged."""
    known: dict[str, str] = _read(folder) if folder.secrets.exists() else {}
    if _ADMIN not in known and folder.postgres.exists():
        raise Failure(f"The file {folder.secrets} lacks {_ADMIN}, the database's password; restore that file.")
    missing = [name for name in _names() if name not in known]
    if missing:
        known |= {name: new_seed() if name.startswith("nkey.") else token_urlsafe(32) for name in missing}
        write_private(folder.secrets, known)
    return Credentials(known)


def found(folder: DataFolder) -> Credentials:
    """The folder's credentials as an earlier start has made them. Raises Failure when one is missing or damaged."""
    known = _read(folder)
    missing = [name for name in _names() if name not in known]
    if missing:
        raise Failure(f"The file {folder.secrets} lacks {missing[0]}; the next `serx up` on that folder makes it.")
    return Credentials(known)


def _read(folder: DataFolder) -> dict[str, str]:
    known: dict[str, str] = read(folder.secrets, dict[str, str])
    for name, value in known.items():
        if not _is_usable(name, value):
            # Not what it holds: that would be shown to everyone who sees the terminal.
            raise Failure(f"The file {folder.secrets} is damaged ({name} is no secret of ours); restore that file.")
    return known


def _is_usable(name: str, value: str) -> bool:
    if not name.startswith("nkey."):
        return _SECRET.fullmatch(value) is not None
    try:
        public_key(value)
    except (nkeys.NkeysError, ValueError):
        return False
    return True


def _names() -> list[str]:
    names = [_ADMIN, "nats.operator", "identity.session", "demo.admin"]
    names += [f"nkey.{user}" for user in USERS]
    for service in SERVICES:
        names += [f"database.{service}.owner", f"database.{service}", f"internal.{service}"]
    return names
