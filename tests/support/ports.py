"""Ports for servers that a test starts."""

from __future__ import annotations

import socket
from typing import Final

from deploy.local.ports import HOST

_HELD: Final[list[socket.socket]] = []


def free_port() -> int:
    """A port that nobody else gets while this process runs; a server that sets SO_REUSEADDR (all do) can listen there.

    Only looked up and let go, it could become the near end of somebody's connection before the server has started.
    """
    held = socket.socket()
    held.bind((HOST, 0))
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _HELD.append(held)
    return held.getsockname()[1]
