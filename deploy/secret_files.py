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

from deploy.broker_files import ADMINISTRATION, BrokerFiles, login_file
from deploy.failure import Failure
from deploy.provisioning import database_name, login_dsn, owner_role, service_role
from deploy.secret_folder import SecretFolder
from deploy.server_places import BrokerPlace, moved_dsn, read_brokers, read_databases, server_dsn
from shared.messaging.listeners import Listener, read_listener, spell
from shared.messaging.topology import SERVICES

_LISTENERS = f"{ADMINISTRATION}/listeners"
_POSTGRES = "postgres:5432"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where the installation's servers are, as its processes see them; None is where they were until now."""

    postgres: str | None
    """Hosts with their ports, comma-separated."""
    brokers: tuple[BrokerPlace, ...] | None
    nats_store: str


def make_secrets(
    folder: Path,
    *,
    postgres: str | None = None,
    nats: str | None = None,
    nats_routes: str | None = None,
    nats_store: str = "/data",
    listener: Annotated[list[str] | None, Parameter(negative="")] = None,
    forget: Annotated[list[str] | None, Parameter(negative="")] = None,
    readable: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make the secrets of an installation: those that are there stay as they are.

    To renew one, delete its files and run this again; docs/operations.md says in which order. Where --postgres or
    --nats are given again, the addresses change and the logins stay.

    Parameters
    ----------
    folder
        Where they are put: a folder for each process, and those of postgres, nats and the administration.
    postgres
        Host and port of PostgreSQL, as the processes see it; postgres:5432 at first. Of several, as `h1:5432,h2:5432`,
        the one that can be written to is used.
    nats
        Host and port of NATS, as the processes see it; nats:4222 at first. Three and more are a cluster, each with a
        name: `n1=h1:4222,n2=h2:4222,n3=h3:4222`. One without a name has that of its host.
    nats_routes
        Where the servers of a cluster reach each other, in the same order; port 6222 of the same hosts when not given.
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
    if nats_routes is not None and nats is None:
        raise Failure("--nats-routes says where the brokers of --nats reach each other: give both.")
    places = Places(
        postgres=None if postgres is None else read_databases(postgres),
        brokers=None if nats is None else read_brokers(nats, nats_routes),
        nats_store=nats_store,
    )
    try:
        wanted = [read_listener(each) for each in listener or ()]
        secrets = SecretFolder(folder, mode=0o444 if readable else 0o400)
        files = _Files(secrets)
        for name in forget or ():
            files.forget(name)
        files.ensure_all(places, wanted)
    except ValueError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"The secrets could not be written to {folder} ({error}).") from error
    print(f"{secrets.made} secrets made in {folder}." if secrets.made else f"All secrets are in {folder}.")
    if secrets.changed:
        print(f"{secrets.changed} have other addresses now: restart what reads them.")
    for name in forget or ():
        print(f"{name} is forgotten. Have NATS read its users, then run `serx listeners remove {name}`.")
    for each in wanted:
        print(f"{each.name} hears {', '.join(each.events)}. Have NATS read its users, then run `serx listeners`.")


class _Files:
    def __init__(self, folder: SecretFolder) -> None:
        self._folder = folder

    def ensure_all(self, places: Places, wanted: Sequence[Listener]) -> None:
        """Make what is missing, and change the addresses that are to change."""
        admin = self._folder.ensure("postgres/password", token_urlsafe(32))
        # As it is, without an end of line: what makes a Kubernetes Secret of the file would take that for a part of it.
        self._folder.write("postgres/password", admin)
        server = server_dsn(places.postgres or _POSTGRES)
        fresh = login_dsn(server, user="postgres", password=admin, database="postgres")
        admin_dsn = self._ensure_dsn(f"{ADMINISTRATION}/admin_dsn", fresh, places)
        for service in SERVICES:
            self._ensure_service(service, admin_dsn, places)
        self._folder.ensure("identity/session_keys", token_urlsafe(32))
        BrokerFiles(self._folder, places.brokers, store=places.nats_store).ensure(self._listeners(wanted))

    def _ensure_service(self, service: str, admin_dsn: str, places: Places) -> None:
        database = database_name(service)
        owner = login_dsn(admin_dsn, user=owner_role(service), password=token_urlsafe(32), database=database)
        own = login_dsn(admin_dsn, user=service_role(service), password=token_urlsafe(32), database=database)
        own = self._ensure_dsn(f"{service}/database_dsn", own, places)
        self._ensure_dsn(f"{ADMINISTRATION}/{service}_database_dsn", own, places)
        self._ensure_dsn(f"{ADMINISTRATION}/{service}_migration_dsn", owner, places)
        key = self._folder.ensure(f"{service}/internal_keys", token_urlsafe(32))
        self._folder.ensure(f"gateway/{service}_key", key.partition(",")[0])

    def _ensure_dsn(self, name: str, fresh: str, places: Places) -> str:
        """What the file says, on the hosts that are named if any are; `fresh`, once it says nothing yet."""
        found = self._folder.ensure(name, fresh)
        return found if places.postgres is None else self._folder.change(name, moved_dsn(found, places.postgres))

    def _listeners(self, wanted: Sequence[Listener]) -> list[Listener]:
        """Those that were there and those that are wanted, who are written down for `serx listeners`."""
        known = self._known()
        all_of_them = {each.name: each for each in (*known, *wanted)}
        if all_of_them or known:
            self._folder.write(_LISTENERS, spell(all_of_them.values()) + "\n")
        return list(all_of_them.values())

    def _known(self) -> list[Listener]:
        return [read_listener(each) for each in (self._folder.read(_LISTENERS) or "").split()]

    def forget(self, name: str) -> None:
        """Take a listener's line and login away. Raises ValueError when there is none of that name."""
        known = {each.name: each for each in self._known()}
        if (gone := known.pop(name, None)) is None:
            raise ValueError(f"There is no listener {name!r}; there are {', '.join(known) or 'none'}.")
        self._folder.write(_LISTENERS, spell(known.values()) + "\n")
        self._folder.remove(login_file(gone))
        self._folder.remove(f"{gone.user}/nats_url")
