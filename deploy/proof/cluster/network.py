"""Hosts of the proof's own: a network namespace each, on two bridges, and nothing of this machine's own network.

Between any two hosts, in either direction, packets can be dropped: the sender has a wrong hardware address for the
other, so what it sends reaches nobody, and nobody says so. `ip`, `tc` (iproute2) and `nsenter` (util-linux) are needed.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from enum import Enum

from deploy.failure import Failure
from deploy.proof.cluster.kernel import NEW_NET, run, unshare

_PR_SET_PDEATHSIG = 1
_NOBODY = "02:00:00:00:00:01"
_NETEM = ("netem", "delay", "40ms", "20ms", "loss", "5%")
_NARROW = ("tbf", "rate", "4mbit", "burst", "16kb", "latency", "40ms")
OUTSIDE = 254
"""The number of the proof itself, which stands beside the hosts and reaches them all."""


class Lane(Enum):
    """A network of its own: what the brokers say among themselves goes by another than everything else."""

    MAIN = ("eth0", "198.51.100")
    ROUTES = ("eth1", "203.0.113")

    def address(self, number: int) -> str:
        return f"{self.value[1]}.{number}"

    @property
    def device(self) -> str:
        return self.value[0]


class Host:
    """One host: where it is, how a program is run on it, and sockets that stand on it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"h{number}"
        self.address = Lane.MAIN.address(number)
        self.routes_address = Lane.ROUTES.address(number)
        self._holder = subprocess.Popen(["sleep", "infinity"], preexec_fn=_hold)  # noqa: PLW1509
        self._path = f"/proc/{self._holder.pid}/ns/net"
        self._thread = ThreadPoolExecutor(1, initializer=_enter, initargs=(self._path,))

    def command(self, command: Iterable[str]) -> tuple[str, ...]:
        """`command`, as it is run on this host."""
        return ("nsenter", f"--net={self._path}", "--", *command)

    @property
    def pid(self) -> int:
        """Of the process that keeps the namespace."""
        return self._holder.pid

    async def socket(self) -> socket.socket:
        """A TCP socket of this host's, non-blocking."""
        made = await asyncio.get_running_loop().run_in_executor(self._thread, socket.socket)
        made.setblocking(False)
        return made

    async def connect(self, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from this host. Raises OSError."""
        wire = await self.socket()
        try:
            await asyncio.get_running_loop().sock_connect(wire, (address, port))
            return await asyncio.open_connection(sock=wire)
        except BaseException:
            wire.close()
            raise

    def close(self) -> None:
        self._thread.shutdown(wait=False)
        self._holder.kill()
        self._holder.wait()


class Network:
    """All hosts. Nothing is dropped until it is asked for."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        self.hosts = tuple(hosts)

    def drop(self, sender: Host, receiver: Host, *lanes: Lane) -> None:
        """From now on what `sender` sends to `receiver` is lost, on these lanes or on all."""
        for lane in lanes or Lane:
            _neighbour(sender, receiver, lane, _NOBODY)

    def heal(self, sender: Host, receiver: Host, *lanes: Lane) -> None:
        """It arrives again."""
        for lane in lanes or Lane:
            _neighbour(sender, receiver, lane, _hardware(lane, receiver.number))

    def cut(self, one: Host, *lanes: Lane) -> None:
        """Nothing goes between this host and the others, either way. The proof itself still reaches it."""
        for other in self.hosts:
            if other is not one:
                self.drop(one, other, *lanes)
                self.drop(other, one, *lanes)

    def mend(self, one: Host, *lanes: Lane) -> None:
        """Undo `cut`."""
        for other in self.hosts:
            if other is not one:
                self.heal(one, other, *lanes)
                self.heal(other, one, *lanes)

    def slow(self, host: Host) -> None:
        """What it sends and what is sent to it comes late, and some of it not at all.

        Where the kernel has no `netem`, the lines are narrow, with a short queue: what does not fit is lost.
        """
        for prefix, device in _ends(host):
            words = ("tc", "qdisc", "replace", "dev", device, "root")
            try:
                run(*prefix, *words, *_NETEM)
            except Failure:
                run(*prefix, *words, *_NARROW)

    def quicken(self, host: Host) -> None:
        """Undo `slow`."""
        for prefix, device in _ends(host):
            run(*prefix, "tc", "qdisc", "delete", "dev", device, "root")


def is_supported() -> bool:
    """Whether hosts can be made here: Linux, root, iproute2 and util-linux."""
    return sys.platform == "linux" and os.geteuid() == 0 and all(map(shutil.which, ("ip", "tc", "nsenter", "mount")))


@contextmanager
def network(count: int) -> Iterator[Network]:
    """`count` hosts, until the end of the block; this process leaves the machine's network for theirs, for good.

    Raises Failure where that is not possible.
    """
    if not is_supported():
        raise Failure(
            "Hosts of the proof's own need Linux, root, `ip` and `tc` (iproute2), `nsenter` and `mount` (util-linux)."
        )
    unshare(NEW_NET, "Hosts of the proof's own need network namespaces")
    _ip("link", "set", "lo", "up")
    for lane in Lane:
        _ip("link", "add", lane.device, "address", _hardware(lane, OUTSIDE), "type", "bridge")
        _ip("address", "add", f"{lane.address(OUTSIDE)}/24", "dev", lane.device)
        _ip("link", "set", lane.device, "up")
    with ExitStack() as stack:
        hosts = [Host(number) for number in range(1, count + 1)]
        for host in hosts:
            stack.callback(host.close)
            _plug_in(host)
        for one in hosts:
            for other in hosts:
                if one is not other:
                    for lane in Lane:
                        _neighbour(one, other, lane, _hardware(lane, other.number))
        yield Network(hosts)


def _plug_in(host: Host) -> None:
    run(*host.command(("ip", "link", "set", "lo", "up")))
    for lane in Lane:
        here = f"{host.name}{lane.device}"
        _ip("link", "add", here, "type", "veth", "peer", "name", lane.device, "netns", str(host.pid))
        _ip("link", "set", here, "master", lane.device, "up")
        for words in (
            ("link", "set", lane.device, "address", _hardware(lane, host.number)),
            ("address", "add", f"{lane.address(host.number)}/24", "dev", lane.device),
            ("link", "set", lane.device, "up"),
        ):
            run(*host.command(("ip", *words)))


def _ends(host: Host) -> Iterator[tuple[tuple[str, ...], str]]:
    """Both ends of its cables: how a command is begun there, and the device."""
    for lane in Lane:
        yield host.command(()), lane.device
        yield (), f"{host.name}{lane.device}"


def _neighbour(one: Host, other: Host, lane: Lane, hardware: str) -> None:
    words = ("neigh", "replace", lane.address(other.number), "lladdr", hardware, "dev", lane.device, "nud", "permanent")
    run(*one.command(("ip", *words)))


def _hardware(lane: Lane, number: int) -> str:
    return f"02:5e:00:00:{list(Lane).index(lane):02x}:{number:02x}"


def _ip(*words: str) -> None:
    run("ip", *words)


def _hold() -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if libc.unshare(NEW_NET):
        os._exit(1)


def _enter(path: str) -> None:
    """The calling thread stands in that network from now on, and so do the sockets that it makes."""
    with open(path, "rb") as namespace:  # noqa: PTH123 - a thread's beginning
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), NEW_NET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
