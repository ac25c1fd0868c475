"""Settings of the gateway that are well spelled and can never work: each is refused in a sentence, or made right."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

_ORIGIN = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_HIGHEST_PORT = 65535


def address(url: str) -> str:
    """An address without the slash at its end, which many write."""
    return url.rstrip("/")


def addresses(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Each address once, without the slash at its end. Raises ValueError for one that cannot be reached as it is."""
    for url in urls:
        if not _is_reachable(url):
            raise ValueError("one of the addresses has no host, or a port that is no number from 1 to 65535")
    return tuple(dict.fromkeys(address(url) for url in urls))


def origins(told: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them. Raises ValueError for one that no browser ever sends."""
    for origin in told:
        if origin != "*" and not _is_sent_by_browsers(origin):
            raise ValueError(
                f"no browser sends {origin!r} as an origin: it is scheme and host in small letters, a port that is not "
                "the scheme's own, no path and no slash at the end, and `*` stands alone or not at all"
            )
    return told


def networks(told: tuple[str, ...]) -> tuple[str, ...]:
    """Networks as they are written. Raises ValueError for what is none."""
    for network in told:
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f"{network!r} is no network{_meant(network)}") from error
    return told


def _is_reachable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_sent_by_browsers(origin: str) -> bool:
    found = _ORIGIN.fullmatch(origin)
    if found is None or found[3] == _DEFAULT_PORTS[found[1]] or int(found[3] or 0) > _HIGHEST_PORT:
        return False
    try:
        return not found[2].startswith("[") or str(ip_address(found[2][1:-1])) == found[2][1:-1]
    except ValueError:
        return False


def _meant(network: str) -> str:
    try:
        return f"; {ip_network(network, strict=False)} is"
    except ValueError:
        return ""
