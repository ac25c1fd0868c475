"""Answers with a single resource: as bytes, with its ETag; and what `If-Match` and `If-None-Match` ask of them.

An ETag is `"<version>.<digest>"`: the version is the resource's own, the digest is of what the caller sees. So
`If-Match` (RFC 9110, 13.1.1) asks whether the resource is still that version, whatever hangs on it, and
`If-None-Match` of a GET whether the caller would see the same. `If-None-Match` of a change (13.1.2) is false where the
resource is at a version that it names, or is there at all (`*`).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec
from litestar import Request, Response

from shared.errors import Stale
from shared.web.readers import shown_to

_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")


def single(request: Request[Any, Any, Any], view: msgspec.Struct, version: int, *, status: int = 200) -> Response[Any]:
    """The answer with one resource, as the caller may see it; 304 when the caller of a GET has it already."""
    body = msgspec.json.encode(shown_to(request.state["actor"], view))
    tag = etag(version, body)
    if request.method == "GET" and _names(listed(request, "if-none-match"), tag):
        return Response(b"", status_code=304, headers={"etag": tag})
    return Response(body, status_code=status, media_type="application/json", headers={"etag": tag})


def etag(version: int, body: bytes) -> str:
    """The ETag of a resource at `version` that the caller sees as `body`."""
    return f'"{version}.{hashlib.blake2b(body, digest_size=8).hexdigest()}"'


def require_match(request: Request[Any, Any, Any], version: int) -> None:
    """Raises Stale when `If-Match` names neither this version nor `*`, or when `If-None-Match` names either."""
    if not preconditions(request).allow(version):
        raise Stale


class Preconditions(msgspec.Struct, frozen=True):
    """The versions at which a resource may be changed: of `among` (None: any), and none of `but` (None: nothing)."""

    among: frozenset[int] | None
    but: frozenset[int] | None

    def allow(self, version: int) -> bool:
        """Whether a resource that is there, at `version`, may be changed."""
        return (self.among is None or version in self.among) and self.but is not None and version not in self.but


def preconditions(request: Request[Any, Any, Any]) -> Preconditions:
    """What the request's `If-Match` and `If-None-Match` ask of the resource that it changes."""
    match, none_match = listed(request, "if-match"), listed(request, "if-none-match")
    among = None if match is None or match.strip() == "*" else _versions(match)
    if none_match is None:
        return Preconditions(among, frozenset())
    return Preconditions(among, None if none_match.strip() == "*" else _versions(none_match, is_weak=True))


def _versions(tags: str, *, is_weak: bool = False) -> frozenset[int]:
    """The versions in a list of ETags; a weak one names its version only where the comparison `is_weak`."""
    spelled = (tag.strip().removeprefix("W/" if is_weak else "") for tag in tags.split(","))
    named = (tag.strip('"').partition(".")[0] for tag in spelled)
    return frozenset(int(version) for version in named if _VERSION.fullmatch(version))


def listed(request: Request[Any, Any, Any], name: str) -> str | None:
    """The value of a header that is a list, its lines joined (RFC 9110, 5.3); None when there is none."""
    lines = request.headers.getall(name, [])
    return ", ".join(lines) if lines else None


def _names(told: str | None, tag: str) -> bool:
    """Whether `If-None-Match` names the tag; the comparison is the weak one."""
    if told is None:
        return False
    return told.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in told.split(",")}
