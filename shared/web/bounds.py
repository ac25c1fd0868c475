"""How many connections a process takes, for how long, and how much they may make it hold in memory."""

from __future__ import annotations

import ipaddress
import resource
from collections.abc import Sequence
from typing import Final

import msgspec

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CONNECTIONS_MOST: Final = 4096
DESCRIPTORS_MOST: Final = 65_536
DESCRIPTORS_FOR_OURSELVES: Final = 64
"""Files, the database's and the broker's connections."""
FEWEST_OF_AN_ADDRESS: Final = 64
IPV6_OF_ONE: Final = 64
"""Whoever has one IPv6 address has a network of that prefix length."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are of connections, times in seconds."""

    most: int = CONNECTIONS_MOST
    of_an_address: int = CONNECTIONS_MOST
    """At most so many of one address, but of a trusted proxy."""
    trusted: Sequence[Network] = ()
    still_seconds: float = 30.0
    """A request that does not go on, an answer that is not read, a connection that says nothing: so long."""
    transfer_seconds: float = 120.0
    """A request that trickles in, an answer that trickles out: so long."""
    idle_seconds: float = 75.0
    """Between an answer and the next request."""
    unread_bytes: int = 16 * 1024 * 1024
    """What is written and not read yet, of all connections."""
    taken_bytes: int = 24 * 1024 * 1024
    """The bodies of requests that are not answered yet, of all connections."""


def bounds(
    *,
    most: int,
    of_an_address: int | None,
    trusted: Sequence[Network],
    still_seconds: float,
    transfer_seconds: float,
    idle_seconds: float,
) -> Bounds:
    """The bounds as an operator sets them; 0 derives a count from the limit of open files, None is no share."""
    most = most or derived_most(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    share = most if of_an_address is None else of_an_address or max(FEWEST_OF_AN_ADDRESS, most // 4)
    return Bounds(
        most=most,
        of_an_address=min(most, share),
        trusted=trusted,
        still_seconds=still_seconds,
        transfer_seconds=transfer_seconds,
        idle_seconds=idle_seconds,
    )


def derived_most(descriptors: int) -> int:
    """How many connections fit: each may need another one to a service behind."""
    if descriptors == resource.RLIM_INFINITY:
        return CONNECTIONS_MOST
    return max(16, min(CONNECTIONS_MOST, (descriptors - DESCRIPTORS_FOR_OURSELVES) // 2))


def raise_descriptor_limit() -> None:
    """Use as many descriptors as the system allows this process, up to DESCRIPTORS_MOST."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MOST if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def place_of(address: str) -> str:
    """What counts as one caller: an IPv4 address, or the network of an IPv6 one."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, IPV6_OF_ONE), strict=False))


def is_address(text: str) -> bool:
    """Whether `text` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether `address` is in one of `networks`; what is no address is in none."""
    return bool(networks) and is_address(address) and any(ipaddress.ip_address(address) in one for one in networks)
