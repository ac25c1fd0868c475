"""The route table: which service owns a path, and what is public. Closed: what is not here does not exist.

Paths are matched as they were sent, not decoded, and each has one spelling: no path of the API needs a percent-encoded
character. So a rule of a proxy for `/api/users` holds for every request that reaches users.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.ids import parse_id


class Service(StrEnum):
    """A service behind the gateway; the value is its name everywhere: in settings, audiences and documents."""

    IDENTITY = "identity"
    PROPOSALS = "proposals"
    ENGAGEMENTS = "engagements"
    CONVERSATIONS = "conversations"
    ORDERS = "orders"


OWNERS: Final[dict[str, Service]] = {
    "auth": Service.IDENTITY,
    "users": Service.IDENTITY,
    "tokens": Service.IDENTITY,
    "clients": Service.IDENTITY,
    "services": Service.PROPOSALS,
    "proposals": Service.PROPOSALS,
    "engagements": Service.ENGAGEMENTS,
    "projects": Service.ENGAGEMENTS,  # but /api/projects/{id}/conversations… is the conversation service's
    "conversations": Service.CONVERSATIONS,
    "orders": Service.ORDERS,
    "order-tasks": Service.ORDERS,
}
LOGIN: Final = "/api/auth/login"
OWN_PATHS: Final = frozenset({"/", "/api", "/api/health", "/api/openapi.json", "/api/docs"})
_HEALTH: Final = "/health/"
OTHER: Final = "other"
_AUTH: Final = frozenset({"login", "logout", "me"})
_ACTIONS: Final = frozenset({"sign", "send", "reject", "advance", "complete", "conversations", "messages", "tasks"})


def owner_of(path: str) -> Service | None:
    """The service that owns a `path` as it was sent; None when nobody does, or for another spelling of an owned one."""
    if not _is_plainly_spelled(path):
        return None
    segments = path.split("/")
    if len(segments) < 3 or segments[0] != "" or segments[1] != "api":
        return None
    if segments[2] == "projects" and len(segments) > 4 and segments[4] == "conversations":
        return Service.CONVERSATIONS
    return OWNERS.get(segments[2])


def is_own(path: str) -> bool:
    """Whether the gateway itself answers at `path`."""
    if not _is_plainly_spelled(path):
        return False
    return path in OWN_PATHS or plain(path) in OWN_PATHS or path.startswith(_HEALTH)


def is_public(method: str, path: str) -> bool:
    """Whether this call needs no credential."""
    if method in ("GET", "HEAD"):
        return is_own(path)
    return method == "POST" and plain(path) == LOGIN


def engagement_in(path: str) -> UUID | None:
    """The id in `/api/engagements/{id}`, which the gateway composes; None for every other path."""
    segments = plain(path).split("/")
    if len(segments) == 4 and segments[1] == "api" and segments[2] == "engagements":
        return parse_id(segments[3])
    return None


def template_of(path: str) -> str:
    """The route of a path that somebody owns, with its ids left out; a closed set, whatever callers spell."""
    segments = plain(path).split("/")
    if segments[2] == "auth":
        return f"/api/auth/{segments[3]}" if len(segments) == 4 and segments[3] in _AUTH else OTHER
    if len(segments) > 8 or not _ACTIONS.issuperset(segments[4:5]) or segments[6:7] not in ([], ["messages"]):
        return OTHER
    segments[3::2] = ["{id}"] * len(segments[3::2])
    return "/".join(segments)


def plain(path: str) -> str:
    """`path` without a slash at its end."""
    return path.removesuffix("/")


def _is_plainly_spelled(path: str) -> bool:
    """Whether it has no encoded character, no empty segment and no segment that begins with a dot."""
    return "%" not in path and "//" not in path and "/." not in path
