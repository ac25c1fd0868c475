"""The ways in which a rule says no. Errors carry facts; `shared.web.problems` knows their status codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FieldErrors = Mapping[str, Sequence[str]]


class DomainError(Exception):
    """A rule of the domain refused. `str(error)` is a sentence for the caller; `errors` names the fields concerned."""

    def __init__(self, detail: str, errors: FieldErrors | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = dict(errors or {})


class NotFound(DomainError):
    """There is no such thing for this caller: absent, foreign and unreadable ids look alike."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what}.")


class Forbidden(DomainError):
    """The caller's role may never do this."""


class InvalidInput(DomainError):
    """The request is malformed or breaks a rule that needs no look at stored data."""

    def __init__(self, errors: FieldErrors, detail: str = "") -> None:
        super().__init__(detail or "The request has invalid fields.", errors)


class StateForbids(DomainError):
    """The resource's state does not allow this now."""


class RefersToNothing(DomainError):
    """The body refers to something that does not exist in the organisation."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"The request refers to a {what} that does not exist.", {field: [f"There is no such {what}."]})


class ClientIsLeaving(RefersToNothing):
    """The body refers to a client who is about to be deleted: nothing new may hang on them meanwhile."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "client")
        self.detail = "The request refers to a client who is about to be deleted."
        self.errors = {field: ["The client is about to be deleted."]}


class Stale(DomainError):
    """The resource is not at the version that the caller's `If-Match` names."""

    def __init__(self) -> None:
        super().__init__("The resource has changed since it was read; read it again.")


class KeyInUse(StateForbids):
    """The first request under this Idempotency-Key is still running."""

    def __init__(self) -> None:
        super().__init__("The first request with this Idempotency-Key is still running.")


class KeyOutdated(StateForbids):
    """The Idempotency-Key was used before an upgrade that forgot whose it was: nobody can be given its answer."""

    def __init__(self) -> None:
        super().__init__(
            "The Idempotency-Key was used before an upgrade, and its answer is not known any more. "
            "See whether the call was done before you make it with another key."
        )


class KeyReused(DomainError):
    """The Idempotency-Key was used before, with another body."""

    def __init__(self) -> None:
        super().__init__("The Idempotency-Key was used before on this path, with another body.")
