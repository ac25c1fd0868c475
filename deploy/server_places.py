"""Where the brokers and databases of an installation are, as `serx secrets` is told it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import msgspec

from deploy.environment import place
from deploy.failure import Failure

ROUTE_PORT: Final = 6222
READ_WRITE: Final = "target_session_attrs=read-write"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class BrokerPlace(msgspec.Struct, frozen=True):
    """One NATS server: its name, and where its clients and the other servers of its cluster reach it (`host:port`)."""

    name: str
    clients: str
    routes: str


def read_brokers(text: str, routes: str | None = None) -> tuple[BrokerPlace, ...]:
    """The brokers in `n1=h1:4222,n2=h2:4222,n3=h3:4222`; one without a name has that of its host.

    `routes` are the addresses for the other servers, in the same order: port 6222 of the same hosts when None. Raises
    Failure.
    """
    named = [_named(part.strip()) for part in text.split(",")]
    if routes is None:
        reached = [f"{clients.rpartition(':')[0]}:{ROUTE_PORT}" for _, clients in named]
    else:
        reached = [place("--nats-routes", part.strip()) for part in routes.split(",")]
    if len(reached) != len(named):
        raise Failure(f"--nats-routes has {len(reached)} addresses, and --nats has {len(named)}: each broker has one.")
    found = tuple(BrokerPlace(name, clients, routes) for (name, clients), routes in zip(named, reached, strict=True))
    if len(found) > 1:
        _check_cluster(found)
    return found


def read_databases(text: str) -> str:
    """The hosts of PostgreSQL in `h1:5432,h2:5432`, as a DSN has them. Raises Failure."""
    return ",".join(place("--postgres", part.strip()) for part in text.split(","))


def server_dsn(hosts: str) -> str:
    """The DSN of PostgreSQL on these hosts, without a login: of several, the one that can be written to."""
    return urlunsplit(("postgresql", hosts, "", READ_WRITE if "," in hosts else "", ""))


def moved_dsn(dsn: str, hosts: str) -> str:
    """The same login, database and options, on these hosts."""
    parts = urlsplit(dsn)
    login, at, _ = parts.netloc.rpartition("@")
    query = parts.query
    if "," in hosts and "target_session_attrs" not in dict(parse_qsl(query)):
        query = "&".join(filter(None, (query, READ_WRITE)))
    return urlunsplit(parts._replace(netloc=f"{login}{at}{hosts}", query=query))


def broker_url(login: str, brokers: Sequence[BrokerPlace], *, scheme: str = "nats") -> str:
    """Every broker's URL with this login, comma-separated."""
    return ",".join(f"{scheme}://{login}@{each.clients}" for each in brokers)


def moved_url(url: str, brokers: Sequence[BrokerPlace]) -> str:
    """The same login, on these brokers."""
    first = urlsplit(url.partition(",")[0])
    return broker_url(first.netloc.rpartition("@")[0], brokers, scheme=first.scheme)


def in_url(url: str) -> tuple[BrokerPlace, ...]:
    """The one broker in a URL; of several, whose names it does not tell, none."""
    place = urlsplit(url).netloc.rpartition("@")[2]
    return () if "," in url else (BrokerPlace("serx", place, ""),)


def spell_brokers(brokers: Sequence[BrokerPlace]) -> str:
    """A line for each, as `recall_brokers` reads it."""
    return "".join(f"{each.name} {each.clients} {each.routes}\n" for each in brokers)


def recall_brokers(text: str) -> tuple[BrokerPlace, ...]:
    """What `spell_brokers` wrote. Raises Failure for anything else."""
    lines = [line.split() for line in text.splitlines()]
    if any(len(line) != 3 for line in lines):
        raise Failure("The list of brokers among the secrets is damaged: name them again with --nats.")
    return tuple(BrokerPlace(*line) for line in lines)


def _named(text: str) -> tuple[str, str]:
    name, given, address = text.rpartition("=")
    address = place("--nats", address)
    return (name if given else address.rpartition(":")[0]), address


def _check_cluster(brokers: Sequence[BrokerPlace]) -> None:
    if len(brokers) == 2:
        raise Failure("Two brokers stand still when one of them is away: name one, or three and more.")
    for each in brokers:
        if not _NAME.fullmatch(each.name):
            raise Failure(
                f"{each.name!r} cannot be the name of a broker; write --nats=n1={each.clients}, for instance."
            )
    for what in ("name", "clients", "routes"):
        if len({getattr(each, what) for each in brokers}) < len(brokers):
            raise Failure(f"Each broker needs a name and addresses of its own: two have the same {_SPELLED[what]}.")


_SPELLED: Final = {"name": "name", "clients": "address", "routes": "address for routes"}
