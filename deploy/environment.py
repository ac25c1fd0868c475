"""What a command is told: by its environment, or by a file among its secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from deploy.failure import Failure
from shared.settings import SettingsError, told

_PLACE = r"(?:\[[0-9A-Fa-f:.]+\]|[^\s/@:?#,\[\]]+)(?::(?P<port>[0-9]{1,5}))?"
_SHAPES: Final = (
    ("NATS_URL", re.compile(rf"(?:nats|tls|ws|wss)://(?:\S+@)?{_PLACE}/?"), "nats://127.0.0.1:4222"),
    ("URL", re.compile(rf"https?://{_PLACE}(?:/\S*)?"), "http://127.0.0.1:8000"),
    (
        "DSN",
        re.compile(rf"postgres(?:ql)?://(?=\S)(?:[^\s/]*@)?(?:{_PLACE})?(?:[/?]\S*)?"),
        "postgresql://user:password@127.0.0.1:5432/database",
    ),
)
"""The end of a name, what its value is to be, and a right one."""
_PORTED: Final = re.compile(r".+:[0-9]+")
_TOKEN: Final = re.compile(r"[!-~]{1,500}")
_HIGHEST_PORT: Final = 65535
_MOST_DIGITS: Final = 9


def setting(*names: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The first of these that is set and not empty.

    Raises Failure for a secret that cannot be read, and for what is no address though the name ends in URL or DSN.
    """
    try:
        return next((checked(name, value) for name in names if (value := told(name, environ))), None)
    except SettingsError as error:
        raise Failure(f"{error}.") from error


def settings(name: str, *, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Several addresses, comma-separated, without a slash at their end; none if nothing is set. Raises Failure."""
    try:
        parts = [part.strip() for part in (told(name, environ) or "").split(",")]
    except SettingsError as error:
        raise Failure(f"{error}.") from error
    return tuple(checked(name, part).rstrip("/") for part in parts) if any(parts) else ()


def checked(name: str, value: str) -> str:
    """The value, if it is what its name says. Raises a Failure without the value: there may be a password in it."""
    found = next(((shape, right) for end, shape, right in _SHAPES if name.upper().endswith(end)), None)
    if found is not None and not all(_fits(found[0], part) for part in _parts(name, value)):
        raise Failure(f"{name} is no address of the right form; a right one is {name}={found[1]}.")
    return value


def place(name: str, value: str) -> str:
    """A host and its port, as `postgres:5432`. Raises Failure for anything else."""
    if not _PORTED.fullmatch(value) or not _fits(re.compile(_PLACE), value):
        raise Failure(f"{name} has to be a host and a port, such as {name}=db.internal:5432.")
    return value


def number(name: str, default: int, *, most: int) -> int:
    """A setting that is a number from 1 to `most`. Raises Failure for anything else."""
    text = setting(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and 1 <= int(text) <= most):
        raise Failure(f"{name} has to be a number from 1 to {most}; a right one is {name}={default}.")
    return int(text)


def token(name: str) -> str | None:
    """A setting that is sent as a credential. Raises Failure for what cannot be sent."""
    text = setting(name)
    if text is not None and not _TOKEN.fullmatch(text):
        raise Failure(f"{name} is no API token; a right one is {name}=serx_… as it was shown when it was made.")
    return text


def _parts(name: str, value: str) -> list[str]:
    """Each server by itself, where several can be named: brokers as URLs, hosts of a database after its user."""
    if name.endswith("NATS_URL"):
        return [part.strip() for part in value.split(",")]
    if name.endswith("DSN"):
        scheme, _, rest = value.partition("://")
        place, slash, database = rest.partition("/")
        user, at, hosts = place.rpartition("@")
        return [f"{scheme}://{user}{at}{host}{slash}{database}" for host in hosts.split(",")]
    return [value]


def _fits(shape: re.Pattern[str], value: str) -> bool:
    found = shape.fullmatch(value)
    return found is not None and 0 < int(found["port"] or 1) <= _HIGHEST_PORT
