"""The driver's connection, as we need it: it never asks the server to cancel. Every private name of asyncpg is here.

A commit that waits for its synchronous standby and is cancelled stays committed on the primary alone, visible to all,
and is lost at a failover. asyncpg cancels whatever takes too long, is awaited by a cancelled task, or runs while its
connection is closed. Ours hangs up instead: the server ends a statement whose client is gone (CHECK_CLIENT), but not a
commit that waits, which becomes visible when the standby has it.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from asyncpg import connect_utils

if TYPE_CHECKING:
    _Driver = asyncpg.Connection[asyncpg.Record]
else:  # generic in the stubs only
    _Driver = asyncpg.Connection

CHECK_CLIENT: Final = {"client_connection_check_interval": "1s"}
"""A setting of the session: how often the server looks whether the client of a running statement is still there."""
ANY_SERVER: Final = connect_utils.SessionAttribute.any
SILENT_SECONDS: Final = 5
"""A peer that acknowledges nothing for that long is gone."""
_PARSE: Final = "_parse_connect_dsn_and_args"
_OPTIONS: Final = {
    "TCP_KEEPIDLE": 2,
    "TCP_KEEPALIVE": 2,  # macOS's name of it
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": SILENT_SECONDS * 1000,
}
"""Options of a TCP socket, where the platform has them: seconds, but for the last, which is milliseconds."""


class Connection(_Driver):
    """A connection that is closed where asyncpg's own would send a CancelRequest, and that notices a silent peer."""

    server = ""
    """When its server was started, to the microsecond: it tells one from another, and from itself before a restart."""

    def __init__(self, protocol: Any, transport: asyncio.Transport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        _notice_silence(transport)

    def _cancel_current_command(self, *_: Any) -> None:
        # Not at once: the protocol that asks for it has something left to do with its transport.
        self._loop.call_soon(self.terminate)

    def hang_up(self) -> None:
        """End it under whoever uses it, who finds it broken, as if the server had ended it."""
        self._transport.abort()

    @property
    def place(self) -> tuple[str, int]:
        """The host, or the folder of the Unix socket, and the port."""
        return _place(self._addr)


def places(dsn: str) -> list[tuple[str, int]]:
    """The hosts, or folders of Unix sockets, and ports that a DSN, a service file or the environment names.

    Raises asyncpg.ClientConfigurationError and ValueError for what is no DSN.
    """
    parse: Any = getattr(connect_utils, _PARSE)
    addresses, _ = parse(**{**dict.fromkeys(inspect.signature(parse).parameters), "dsn": dsn})
    return [_place(address) for address in addresses]


def _place(address: str | tuple[str, int]) -> tuple[str, int]:
    if isinstance(address, str):  # /run/postgresql/.s.PGSQL.5432
        path = PurePosixPath(address)
        return str(path.parent), int(path.suffix.removeprefix("."))
    return address[0], int(address[1])


def _notice_silence(transport: asyncio.Transport) -> None:
    wire: socket.socket | None = transport.get_extra_info("socket")
    if wire is None or wire.family not in (socket.AF_INET, socket.AF_INET6):
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS.items():
        if (option := getattr(socket, name, None)) is not None:
            wire.setsockopt(socket.IPPROTO_TCP, option, value)
