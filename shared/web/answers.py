"""Answers with a single resource: as bytes, with its ETag; and what `If-Match` and `If-None-Match` ask of them.

An ETag is `"<version>.<digest>"`: the version is the resource's own, the digest is of what the caller sees. So
`If-Match` (RFC 9110, 13.1.1) asks whether the resource is still that version, whatever hangs on it, and
`If-None-Match` whether the caller would see the same.
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
    """Raises Stale when the request has an `If-Match` that names neither this version nor `*`."""
    named = versions_named(request)
    if named is not None and version not in named:
        raise Stale


def versions_named(request: Request[Any, Any, Any]) -> frozenset[int] | None:
    """The versions that the request's `If-Match` allows; None when it has none, or names any (`*`)."""
    sent = listed(request, "if-match")
    if sent is None or sent.strip() == "*":
        return None
    named = (tag.strip().strip('"').partition(".")[0] for tag in sent.split(","))
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
