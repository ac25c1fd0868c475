"""Ports on 127.0.0.1: the gateway's as asked for, the others free ones, the same as last time where possible.

On Linux each port stays bound by us, without listening, for as long as we run. A child with SO_REUSEADDR (all have it)
can listen on it nevertheless, but nobody else gets it while the child is being restarted: neither a second `serx up`
nor, which does happen under load, the near end of somebody's outgoing connection.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from deploy.failure import Failure
from deploy.local.folder import DataFolder, read, write_private
from shared.messaging.topology import SERVICES

HOST = "127.0.0.1"
_PRIVATE = ("postgres", "nats", "nats_monitor", "gateway_metrics", *SERVICES)

_HIGHEST = 65535

Ports = dict[str, int]


def health_port(process: str) -> str:
    """The name of the port at which a process tells what it lacks: the gateway's own is for everybody."""
    return "gateway_metrics" if process == "gateway" else process


@contextmanager
def reserved(folder: DataFolder, gateway_port: int, *, more: tuple[str, ...] = ()) -> Iterator[Ports]:
    """A port for each process and server, ours until the end of the block; `gateway_port` 0 means any.

    `more` are names of further processes that need one.

    Raises Failure when the gateway's port is taken.
    """
    last = found(folder) if folder.ports.exists() else {}
    with ExitStack() as reservations:
        gateway = _claim(gateway_port)
        if gateway is None:
            raise Failure(f"Port {gateway_port} is taken by another program; choose another with --port.")
        sockets = {"gateway": gateway}
        private = (*_PRIVATE, *more)
        for name in private:
            sockets[name] = _claim_again(last.get(name, 0), sockets.values()) or _claim_any()
        for reservation in sockets.values():
            reservations.enter_context(reservation)
        ports: Ports = {name: reservation.getsockname()[1] for name, reservation in sockets.items()}
        if sys.platform != "linux":  # elsewhere a bound socket keeps our own children out as well
            reservations.close()
        write_private(folder.ports, {name: ports[name] for name in private})
        yield ports


def found(folder: DataFolder) -> Ports:
    """The ports of the last start. Raises Failure when the file is damaged, or names what is no port."""
    last: Ports = read(folder.ports, dict[str, int])
    for name, port in last.items():
        if not 0 < port <= _HIGHEST:
            raise Failure(
                f"The file {folder.ports} is damaged ({name} has the number {port}, and ports are 1 to {_HIGHEST}); "
                "remove that file, and the next start chooses free ports."
            )
    return last


def _claim(port: int) -> socket.socket | None:
    """Bind the port, or say that it is taken.

    The first attempt is exclusive and cannot share a port with another reservation. The second one passes over what the
    kernel remembers of closed connections, which would keep us from our own port for a minute after a restart.
    """
    for exclusive in (True, False):
        claimed = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if not exclusive:
                claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            claimed.bind((HOST, port))
        except PermissionError as error:
            claimed.close()
            raise Failure(f"Port {port} needs more rights than you have; choose another with --port.") from error
        except OSError:
            claimed.close()
            continue
        claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return claimed
    return None


def _claim_again(port: int, ours: Iterable[socket.socket]) -> socket.socket | None:
    """The port of last time, unless it is another's now: this time's gateway may have been asked to have it."""
    if port in {claimed.getsockname()[1] for claimed in ours}:
        return None
    try:
        return _claim(port)
    except Failure:  # one that needs more rights than we have now
        return None


def _claim_any() -> socket.socket:
    claimed = _claim(0)
    if claimed is None:
        raise Failure("There is no free port left on 127.0.0.1.")
    return claimed
