"""What the brokers of an installation and their users know: logins, addresses, the servers' configurations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from msgspec.structs import replace

from deploy.nats_config import (
    OPERATOR,
    SYSTEM_USER,
    Cluster,
    NatsServer,
    authorization,
    new_seed,
    public_key,
    render,
    routing,
)
from deploy.secret_folder import SecretFolder
from deploy.server_places import (
    BrokerPlace,
    broker_url,
    in_url,
    moved_url,
    read_brokers,
    recall_brokers,
    spell_brokers,
)
from shared.messaging.bus_client import login_in
from shared.messaging.listeners import Listener
from shared.messaging.topology import USERS

ADMINISTRATION: Final = "administration"
"""For whoever provisions, migrates and operates; no process that serves has it."""

_BROKERS: Final = f"{ADMINISTRATION}/brokers"
_OPERATOR: Final = f"{ADMINISTRATION}/nats_url"
_SYSTEM: Final = f"{ADMINISTRATION}/system_nats_url"
_ALONE: Final = "nats/nats.conf"
_ROUTING: Final = "nats/cluster.conf"
_FIRST: Final = "nats:4222"


class BrokerFiles:
    """The files of these brokers, or of those that the folder knows."""

    def __init__(self, folder: SecretFolder, brokers: tuple[BrokerPlace, ...] | None, *, store: str) -> None:
        self._folder = folder
        self._moves = brokers is not None
        self._store = store
        self._brokers = brokers or self._known() or read_brokers(_FIRST)

    def ensure(self, listeners: Sequence[Listener]) -> None:
        """Make what is missing; give logins the addresses that were named; render the configurations."""
        operator = self._url(_OPERATOR, f"{OPERATOR}:{token_urlsafe(32)}")
        urls = {name: self._url(f"{name}/nats_url", new_seed()) for name in USERS}
        heard = {each: self._listener_url(each) for each in listeners}
        config = NatsServer(
            host="0.0.0.0",  # noqa: S104  # inside its container, where the network is closed
            port=4222,
            monitor_port=8222,
            store_dir=Path(self._store),
            operator_password=_password(operator),
            public_keys={name: _public(url) for name, url in urls.items()},
            listeners={each: _public(url) for each, url in heard.items()},
        )
        # Written anew each time: who may say what comes from the code.
        self._forget_others()
        if len(self._brokers) > 1:
            config = self._write_cluster(config)
        else:
            self._folder.write(_ALONE, render(config))
        self._folder.write("nats/users.conf", authorization(config))

    def _known(self) -> tuple[BrokerPlace, ...]:
        if (listed := self._folder.read(_BROKERS)) is not None:
            return recall_brokers(listed)
        return in_url(url) if (url := self._folder.read(_OPERATOR)) is not None else ()

    def _forget_others(self) -> None:
        """A server that is none any more has no configuration."""
        names = {each.name for each in self._brokers} if len(self._brokers) > 1 else set[str]()
        gone = {each.name for each in recall_brokers(self._folder.read(_BROKERS) or "")} - names
        if names:
            self._folder.remove(_ALONE)
            self._folder.write(_BROKERS, spell_brokers(self._brokers))
        else:
            self._folder.remove(_BROKERS)
            self._folder.remove(_ROUTING)
        for name in gone:
            self._folder.remove(_config_of(name))

    def _write_cluster(self, alone: NatsServer) -> NatsServer:
        """A configuration for each server; returns one of them. What all have in common is a file of its own."""
        system = self._url(_SYSTEM, f"{SYSTEM_USER}:{token_urlsafe(32)}")
        route_password = self._folder.ensure("nats/route_password", token_urlsafe(32))
        self._folder.write(_ROUTING, routing(route_password, [each.routes for each in self._brokers]))
        config = alone
        for each in self._brokers:
            cluster = Cluster(
                host=alone.host,
                port=_port(each.routes),
                clients=each.clients,
                routes=each.routes,
                others=[other.routes for other in self._brokers if other is not each],
                route_password=route_password,
                system_password=_password(system),
            )
            config = replace(alone, server_name=each.name, port=_port(each.clients), cluster=cluster)
            self._folder.write(_config_of(each.name), render(config))
        return config

    def _listener_url(self, listener: Listener) -> str:
        """Kept with the administration too: a listener's own folder is somebody else's volume."""
        url = self._url(login_file(listener), new_seed())
        return self._url(f"{listener.user}/nats_url", url.partition("://")[2].partition("@")[0])

    def _url(self, name: str, login: str) -> str:
        """What the file says, with the addresses that are named; with this login, once it says nothing yet."""
        found = self._folder.ensure(name, broker_url(login, self._brokers))
        return self._folder.change(name, moved_url(found, self._brokers)) if self._moves else found


def login_file(listener: Listener) -> str:
    """Where a listener's URL is."""
    return f"{ADMINISTRATION}/{listener.user}_nats_url"


def _config_of(name: str) -> str:
    return f"nats/{name}/nats.conf"


def _public(url: str) -> str:
    """The public half of the nkey in a URL."""
    return public_key(login_in(url)[1] or "")


def _password(url: str) -> str:
    """The password in a broker's URL."""
    return url.partition("@")[0].rpartition(":")[2]


def _port(place: str) -> int:
    return int(place.rpartition(":")[2])
