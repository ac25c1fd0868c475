"""Logging in: is it allowed to try, who is it, and a session for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from services.identity.domain.credentials import revoked
from services.identity.model.credentials import Session
from services.identity.model.errors import AccountDisabled, OrganisationToChoose, TooManyFailures, WrongPair
from services.identity.model.people import Candidate
from services.identity.model.throttle import WINDOW, Throttled, wait_seconds
from services.identity.store import accounts, attempts, sessions
from shared.database import Tx
from shared.ids import new_id
from shared.messaging import outbox

MOST_SESSIONS: Final = 20
"""Of one person at a time: each has a rate limit of its own, and logins must not multiply it without end."""


class Attempt(msgspec.Struct, frozen=True):
    """Somebody at `address` says that they are `email`."""

    email: str
    address: str
    at: datetime
    org_id: UUID | None = None
    """The organisation that they chose, if they did."""


async def candidates_for(tx: Tx, attempt: Attempt) -> list[Candidate]:
    """The accounts that the attempt may mean, across organisations. Raises TooManyFailures."""
    counted = await attempts.get(tx, attempt.email, attempt.address)
    wait = max((wait_seconds(failures.kind, failures.failed_at, attempt.at) for failures in counted), default=0.0)
    if wait > 0:
        raise TooManyFailures(wait)
    return await accounts.candidates(tx, attempt.email, attempt.org_id)


def chosen(right: Sequence[Candidate]) -> Candidate:
    """The account that is meant, of those whose password was right; disabled ones count where there is no other.

    Raises WrongPair when there is none, and OrganisationToChoose when they are of several organisations.
    """
    if not right:
        raise WrongPair
    meant = [candidate for candidate in right if candidate.is_enabled] or right
    organisations = {candidate.org_id: candidate.org_name for candidate in meant}
    if len(organisations) > 1:
        raise OrganisationToChoose(organisations)
    return meant[0]


async def count_failure(tx: Tx, attempt: Attempt) -> None:
    """Count a failed attempt. Raises TooManyFailures when others that failed meanwhile have used up the limit."""
    for kind, subject in ((Throttled.ACCOUNT, attempt.email), (Throttled.ADDRESS, attempt.address)):
        if not await attempts.count_failure(tx, kind, subject, attempt.at):
            raise TooManyFailures(WINDOW.total_seconds())


async def open_session(tx: Tx, who: Candidate, *, session: UUID, at: datetime, hours: float) -> Session:
    """A new session for an account whose password was right; their oldest end when they have too many.

    Raises AccountDisabled.
    """
    if not who.is_enabled:
        raise AccountDisabled
    opened = Session(org_id=who.org_id, id=session, expires_at=at + timedelta(hours=hours))
    await sessions.lock_person(tx, who)
    await sessions.insert(tx, opened, who, at)
    for ended in await sessions.delete_oldest(tx, who, but=MOST_SESSIONS):
        await outbox.put(tx, revoked(new_id(), who.org_id, who.id, ended))
    return opened


async def salt_of(tx: Tx, email: str) -> bytes:
    """The salt of the passwords of an address."""
    return await accounts.salt_of(tx, email)


async def rehash(tx: Tx, who: Candidate, password_hash: str) -> None:
    """Store another hash of the password with which somebody has just logged in."""
    await accounts.rehash(tx, who, password_hash)
