"""The passwords and keys of one data folder: random, made once, readable by its owner only."""

from __future__ import annotations

from secrets import token_urlsafe

from deploy.local.folder import DataFolder, read, write_private
from deploy.nats_config import new_seed
from shared.messaging.topology import SERVICES, USERS


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
    known: dict[str, str] = read(folder.secrets, dict[str, str]) if folder.secrets.exists() else {}
    missing = [name for name in _names() if name not in known]
    if missing:
        known |= {name: new_seed() if name.startswith("nkey.") else token_urlsafe(32) for name in missing}
        write_private(folder.secrets, known)
    return Credentials(known)


def _names() -> list[str]:
    names = ["postgres.admin", "nats.operator", "identity.session", "demo.admin"]
    names += [f"nkey.{user}" for user in USERS]
    for service in SERVICES:
        names += [f"database.{service}.owner", f"database.{service}", f"internal.{service}"]
    return names
