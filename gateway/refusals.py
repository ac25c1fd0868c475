"""The ways in which the gateway itself says no, and what each is on the wire."""

from __future__ import annotations

import math
from typing import Final

from gateway.answers import Answer
from gateway.routes import Service
from shared.web import problems


class Refusal(Exception):
    """The gateway answers by itself; the service is not asked."""


class Unauthenticated(Refusal):
    """The credential is missing, malformed, unknown, expired or revoked."""


class RateLimited(Refusal):
    """The credential has asked too much; `seconds` until the next request would pass."""

    detail = "The credential has used up its rate limit."

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class TooManyStrangers(RateLimited):
    """Too many unknown credentials came from the caller's address; `seconds` until it is listened to again."""

    detail = "Too many unknown credentials came from this address."


class BodyTooLarge(Refusal):
    """The body is longer than the API takes."""


class NullCharacter(Refusal):
    """The path, or the query of one of the gateway's own pages, has a null character in it."""


class NoSuchPath(Refusal):
    """No service owns the path."""


class ServiceAway(Refusal):
    """A service cannot be reached, broke off, or did not answer in time."""

    def __init__(self, service: Service, cause: str) -> None:
        super().__init__(service, cause)
        self.service = service
        self.cause = cause


_ABOUT_THE_ADDRESS: Final = {
    NullCharacter: (problems.INVALID, "The address cannot hold the null character."),
    NoSuchPath: (problems.NOT_FOUND, "There is nothing at this path."),
}
_AWAY = "A part of the system is away for a moment. Try again in a moment."


def answer(error: Exception, *, path: str) -> Answer:
    """`error` as an RFC 9457 problem about `path`."""
    kind, detail, headers = _explained(error)
    body = problems.render(kind, detail, instance=path)
    told = {"content-type": problems.MEDIA_TYPE, "content-length": str(len(body))}
    told |= problems.headers_of(kind) | headers
    return Answer(kind.status, [(name.encode(), value.encode()) for name, value in told.items()], body)


def _explained(error: Exception) -> tuple[problems.Kind, str, dict[str, str]]:
    match error:
        case Unauthenticated():
            return problems.UNAUTHENTICATED, "The request needs a valid bearer credential.", {}
        case RateLimited():
            retry_after = {"retry-after": str(max(1, math.ceil(error.seconds)))}
            return problems.RATE_LIMITED, error.detail, retry_after
        case BodyTooLarge():
            return problems.TOO_LARGE, "The body is over 1 MiB.", {}
        case NullCharacter() | NoSuchPath():
            return _ABOUT_THE_ADDRESS[type(error)] + ({},)
        case ServiceAway():
            return problems.AWAY, _AWAY, {}
        case _:
            return problems.BROKEN, "The request could not be completed. The request id helps to find out why.", {}
