"""The command `serx secrets`: what the parts of an installation know, one folder each, made once.

A folder is what one container sees as `SERX_SECRETS_DIR`; a file is a setting, and its name the setting's own. No
process finds what is another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated

import msgspec
from cyclopts import Parameter

from deploy.environment import place
from deploy.failure import Failure
from deploy.nats_config import OPERATOR, NatsServer, authorization, new_seed, public_key, render
from deploy.provisioning import database_name, login_dsn, owner_role, service_role
from shared.messaging.bus import login_in
from shared.messaging.listeners import Listener, read_listener, spell
from shared.messaging.topology import SERVICES, USERS

ADMINISTRATION = "administration"
"""For whoever provisions, migrates and operates; no process that serves has it."""


_LISTENERS = f"{ADMINISTRATION}/listeners"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where the installation's servers are, as its processes see them: `host:port`."""

    postgres: str
    nats: str
    nats_store: str


def make_secrets(
    folder: Path,
    *,
    postgres: str = "postgres:5432",
    nats: str = "nats:4222",
    nats_store: str = "/data",
    listener: Annotated[list[str] | None, Parameter(negative="")] = None,
    forget: Annotated[list[str] | None, Parameter(negative="")] = None,
    readable: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make the secrets of an installation: those that are there stay as they are.

    To renew one, delete its files and run this again; docs/operations.md says in which order.

    Parameters
    ----------
    folder
        Where they are put: a folder for each process, and those of postgres, nats and the administration.
    postgres
        Host and port of PostgreSQL, as the processes see it.
    nats
        Host and port of NATS, as the processes see it.
    nats_store
        Where NATS keeps its streams.
    listener
        A service of yours that is to hear events, as `billing=proposal.signed,order.*`; can be given several times. It
        stays one until it is forgotten. Then `serx listeners` makes its consumer.
    forget
        A listener that is to be one no more: its login goes. Then `serx listeners remove` removes its consumer.
    readable
        Let every user read them, for folders that nobody else can reach, such as a container's volumes.
    """
    places = Places(postgres=place("--postgres", postgres), nats=place("--nats", nats), nats_store=nats_store)
    try:
        wanted = [read_listener(each) for each in listener or ()]
        files = _Files(folder, mode=0o444 if readable else 0o400)
        for name in forget or ():
            files.forget(name)
        made = files.ensure_all(places, wanted)
    except ValueError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"The secrets could not be written to {folder} ({error}).") from error
    print(f"{made} secrets made in {folder}." if made else f"All secrets are in {folder}.")


class _Files:
    def __init__(self, folder: Path, *, mode: int) -> None:
        self._folder = folder
        self._mode = mode
        self._made = 0

    def ensure_all(self, places: Places, wanted: Sequence[Listener]) -> int:
        """Make what is missing; says how many files."""
        admin = self.ensure("postgres/password", token_urlsafe(32))
        admin_dsn = login_dsn(f"postgresql://{places.postgres}", user="postgres", password=admin, database="postgres")
        self.ensure(f"{ADMINISTRATION}/admin_dsn", admin_dsn)
        for service in SERVICES:
            self._ensure_service(service, admin_dsn)
        self.ensure("identity/session_keys", token_urlsafe(32))
        self._ensure_broker(places, self._listeners(wanted))
        return self._made

    def _ensure_service(self, service: str, admin_dsn: str) -> None:
        database = database_name(service)
        owner = login_dsn(admin_dsn, user=owner_role(service), password=token_urlsafe(32), database=database)
        own = login_dsn(admin_dsn, user=service_role(service), password=token_urlsafe(32), database=database)
        own = self.ensure(f"{service}/database_dsn", own)
        self.ensure(f"{ADMINISTRATION}/{service}_database_dsn", own)
        self.ensure(f"{ADMINISTRATION}/{service}_migration_dsn", owner)
        key = self.ensure(f"{service}/internal_keys", token_urlsafe(32))
        self.ensure(f"gateway/{service}_key", key.partition(",")[0])

    def _listeners(self, wanted: Sequence[Listener]) -> list[Listener]:
        """Those that were there and those that are wanted, who are written down for `serx listeners`."""
        known = self._known()
        all_of_them = {each.name: each for each in (*known, *wanted)}
        if all_of_them or known:
            self._write(self._folder / _LISTENERS, spell(all_of_them.values()) + "\n")
        return list(all_of_them.values())

    def _known(self) -> list[Listener]:
        path = self._folder / _LISTENERS
        return [read_listener(each) for each in path.read_text(encoding="utf-8").split()] if path.exists() else []

    def forget(self, name: str) -> None:
        """Take a listener's line and login away. Raises ValueError when there is none of that name."""
        known = {each.name: each for each in self._known()}
        if (gone := known.pop(name, None)) is None:
            raise ValueError(f"There is no listener {name!r}; there are {', '.join(known) or 'none'}.")
        self._write(self._folder / _LISTENERS, spell(known.values()) + "\n")
        (self._folder / _login_of(gone)).unlink(missing_ok=True)
        (self._folder / gone.user / "nats_url").unlink(missing_ok=True)

    def _listener_url(self, listener: Listener, places: Places) -> str:
        """Kept with the administration too: a listener's own folder is somebody else's volume."""
        url = self.ensure(_login_of(listener), f"nats://{new_seed()}@{places.nats}")
        return self.ensure(f"{listener.user}/nats_url", url)

    def _ensure_broker(self, places: Places, listeners: Sequence[Listener]) -> None:
        operator = self.ensure(f"{ADMINISTRATION}/nats_url", f"nats://{OPERATOR}:{token_urlsafe(32)}@{places.nats}")
        urls = {name: self.ensure(f"{name}/nats_url", f"nats://{new_seed()}@{places.nats}") for name in USERS}
        config = NatsServer(
            host="0.0.0.0",  # noqa: S104  # inside its container, where the network is closed
            port=4222,
            monitor_port=8222,
            store_dir=Path(places.nats_store),
            operator_password=operator.partition("@")[0].rpartition(":")[2],
            public_keys={name: _public(url) for name, url in urls.items()},
            listeners={each: _public(self._listener_url(each, places)) for each in listeners},
        )
        # Written anew each time: who may say what comes from the code.
        self._write(self._folder / "nats/nats.conf", render(config))
        self._write(self._folder / "nats/users.conf", authorization(config))

    def ensure(self, name: str, fresh: str) -> str:
        """What the file says; `fresh`, once it says nothing yet."""
        path = self._folder / name
        if path.exists():
            return path.read_text(encoding="utf-8").strip()
        self._write(path, fresh + "\n")
        self._made += 1
        return fresh

    def _write(self, path: Path, text: str) -> None:
        """Whole or not at all: a start that is killed leaves no half of a secret."""
        path.parent.mkdir(mode=0o755 if self._mode & 0o004 else 0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600, exist_ok=False)
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(self._mode)
        fresh.replace(path)


def _login_of(listener: Listener) -> str:
    return f"{ADMINISTRATION}/{listener.user}_nats_url"


def _public(url: str) -> str:
    """The public half of the nkey in a URL."""
    return public_key(login_in(url)[1] or "")
