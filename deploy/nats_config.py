"""The NATS server's configuration, rendered from the topology; every way of running NATS uses this one.

One user per process and one for the stream keeper, known by the public half of its nkey (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth),
who may say and hear only what the topology gives it; one per listener, who may ask its own consumer; and one operator,
by password, who may do everything. A cluster also has a user of the system account, who may look at its servers and
remove one, and hears nothing of the others' messages (https://docs.nats.io/running-a-nats-service/configuration/sys_accounts).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from urllib.parse import quote

import msgspec
import nkeys

from shared.messaging.listeners import Listener, listener_permissions
from shared.messaging.topology import USERS, Permissions, permissions

OPERATOR = "serx"
SYSTEM_USER = "system"
ROUTE_USER = "route"
CLUSTER_NAME = "serx"
SYSTEM_ACCOUNT = "$SYS"
MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
MAX_STORE_BYTES = 1024**4
"""More than the disk has: only the disk is the limit."""
ROUTE_PING = "2s"
ROUTE_PINGS = 2
"""After as many without an answer a route is closed. By NATS's own 30 s, a cluster is whole up to 50 s after a cut."""


class NatsServer(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between one installation and another."""

    host: str
    port: int
    store_dir: PurePath
    operator_password: str
    public_keys: Mapping[str, str]
    """The public nkey of every user of the topology; the seed is with its process alone."""
    server_name: str = "serx"
    monitor_port: int | None = None
    monitor_host: str = "127.0.0.1"
    """The monitoring asks for no login."""
    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    listeners: Mapping[Listener, str] = msgspec.field(default_factory=dict[Listener, str])
    """With the public nkey of each."""
    certificate: Certificate | None = None
    """For TLS; without it the connections are as private as the network."""
    cluster: Cluster | None = None
    """Of several servers; None for one alone."""


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """One server's part in a cluster. Addresses are `host:port`."""

    host: str
    port: int
    """Where it listens to the other servers."""
    clients: str
    """Where its clients reach it: what it tells them of itself."""
    routes: str
    """Where the other servers reach it."""
    others: Sequence[str]
    """Where it reaches each of them."""
    route_password: str
    """Of all servers; without it none takes part."""
    system_password: str


class Certificate(msgspec.Struct, frozen=True):
    """Files, as the server finds them."""

    chain: PurePath
    key: PurePath


def render(server: NatsServer) -> str:
    """The text of `nats.conf`. Raises KeyError when a user of the topology has no key."""
    monitor = [f"http: {_text(f'{server.monitor_host}:{server.monitor_port}')}"] if server.monitor_port else []
    return "\n".join(
        [
            f"server_name: {_text(server.server_name)}",
            f"listen: {_text(f'{server.host}:{server.port}')}",
            *([f"client_advertise: {_text(server.cluster.clients)}"] if server.cluster else []),
            *monitor,
            *_tls(server.certificate),
            f"max_payload: {server.max_payload_bytes}",
            "jetstream {",
            f"  store_dir: {_text(str(server.store_dir))}",
            "  # A PubAck means that the message is on the disk, not only in a cache of the system's.",
            "  sync_interval: always",
            "  # Else it takes the room that is free at its start: none, for good, if it starts on a full disk.",
            f"  max_file_store: {MAX_STORE_BYTES}",
            "}",
            *_cluster(server.cluster),
            authorization(server),
        ]
    )


def authorization(server: NatsServer) -> str:
    """The part of it that says who may do what, for a server whose other settings are somebody else's.

    Raises KeyError when a user of the topology has no key.
    """
    users = [f"    {{user: {_text(OPERATOR)}, password: {_text(server.operator_password)}}}"]
    users += [_user(name, server.public_keys[name], permissions(name)) for name in USERS]
    users += [_user(each.user, key, listener_permissions(each)) for each, key in server.listeners.items()]
    return "\n".join(["authorization {", "  users: [", *users, "  ]", "}", *_system_account(server.cluster), ""])


def routing(password: str, places: Sequence[str]) -> str:
    """The part of `cluster` with the login of routes and the places of all servers, for the chart's own servers.

    Every server can have the same: it leaves itself out.
    """
    return "\n".join([*_routing(password, places), ""])


def new_seed() -> str:
    """The seed of a new user's nkey: the secret half, from which the public one follows."""
    return nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode()


def public_key(seed: str) -> str:
    """What the server knows of a seed's owner."""
    return bytes(nkeys.from_seed(bytearray(seed, "ascii")).public_key).decode()


def _cluster(cluster: Cluster | None) -> list[str]:
    if cluster is None:
        return []
    return [
        "cluster {",
        f"  name: {_text(CLUSTER_NAME)}",
        f"  listen: {_text(f'{cluster.host}:{cluster.port}')}",
        f"  advertise: {_text(cluster.routes)}",
        *(f"  {line}" for line in _routing(cluster.route_password, cluster.others)),
        "}",
    ]


def _routing(password: str, places: Sequence[str]) -> list[str]:
    login = f"{ROUTE_USER}:{quote(password, safe='')}"
    return [
        f"authorization {{user: {_text(ROUTE_USER)}, password: {_text(password)}}}",
        f"routes: {_texts([f'nats://{login}@{place}' for place in places])}",
        "# One side of a cut may take its old route for alive, and refuses the new one until it knows better.",
        f"ping_interval: {_text(ROUTE_PING)}",
        f"ping_max: {ROUTE_PINGS}",
    ]


def _system_account(cluster: Cluster | None) -> list[str]:
    """All other users are of the default account."""
    if cluster is None:
        return []
    user = f"{{user: {_text(SYSTEM_USER)}, password: {_text(cluster.system_password)}}}"
    return ["accounts {", f"  {SYSTEM_ACCOUNT}: {{users: [{user}]}}", "}"]


def _tls(certificate: Certificate | None) -> list[str]:
    if certificate is None:
        return []
    chain, key = _text(str(certificate.chain)), _text(str(certificate.key))
    return [f"tls: {{cert_file: {chain}, key_file: {key}}}"]


def _user(name: str, key: str, allowed: Permissions) -> str:
    return "\n".join(
        [
            f"    # {name}",
            f"    {{nkey: {_text(key)}, permissions: {{",
            f"      publish: {_only(allowed.publish)},",
            f"      subscribe: {_only(allowed.subscribe)},",
            "    }}",
        ]
    )


def _text(value: str) -> str:
    """A quoted string, by JSON's rules, which are NATS's too."""
    return json.dumps(value)


def _only(subjects: Sequence[str]) -> str:
    """These and no others. NATS takes an empty list of what is allowed for no limit at all."""
    return f"{{allow: {_texts(subjects)}}}" if subjects else '{deny: ">"}'


def _texts(values: Sequence[str]) -> str:
    return json.dumps(list(values))
