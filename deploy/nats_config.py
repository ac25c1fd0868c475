"""The NATS server's configuration, rendered from the topology; every way of running NATS uses this one.

One user per process, who may say and hear only what the topology gives it, and one operator who may do everything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import msgspec

from shared.messaging.topology import PROCESSES, Permissions, permissions

OPERATOR = "serx"
MAX_PAYLOAD_BYTES = 2 * 1024 * 1024


class NatsServer(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between one installation and another."""

    host: str
    port: int
    store_dir: PurePath
    operator_password: str
    passwords: Mapping[str, str]
    """A password for every process of the topology."""
    server_name: str = "serx"
    monitor_port: int | None = None
    max_payload_bytes: int = MAX_PAYLOAD_BYTES


def render(server: NatsServer) -> str:
    """The text of `nats.conf`. Raises KeyError when a process of the topology has no password."""
    users = [_user(OPERATOR, server.operator_password, None)]
    users += [_user(name, server.passwords[name], permissions(name)) for name in PROCESSES]
    monitor = [f"http: {_text(f'{server.host}:{server.monitor_port}')}"] if server.monitor_port else []
    return "\n".join(
        [
            f"server_name: {_text(server.server_name)}",
            f"listen: {_text(f'{server.host}:{server.port}')}",
            *monitor,
            f"max_payload: {server.max_payload_bytes}",
            "jetstream {",
            f"  store_dir: {_text(str(server.store_dir))}",
            "  # A PubAck means that the message is on the disk, not only in a cache of the system's.",
            "  sync_interval: always",
            "}",
            "authorization {",
            "  users: [",
            *users,
            "  ]",
            "}",
            "",
        ]
    )


def _user(name: str, password: str, allowed: Permissions | None) -> str:
    login = f"user: {_text(name)}, password: {_text(password)}"
    if allowed is None:
        return f"    {{{login}}}"
    return "\n".join(
        [
            f"    {{{login}, permissions: {{",
            f"      publish: {{allow: {_texts(allowed.publish)}}},",
            f"      subscribe: {{allow: {_texts(allowed.subscribe)}}},",
            "    }}",
        ]
    )


def _text(value: str) -> str:
    """A quoted string, by JSON's rules, which are NATS's too."""
    return json.dumps(value)


def _texts(values: Sequence[str]) -> str:
    return json.dumps(list(values))
