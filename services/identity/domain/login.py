"""Logging in: is it allowed to try, who is it, and a session for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from services.identity.model.credentials import Session
from services.identity.model.errors import AccountDisabled, TooManyFailures
from services.identity.model.people import Candidate
from services.identity.model.throttle import WINDOW, Throttled, wait_seconds
from services.identity.store import accounts, attempts, sessions
from shared.database import Tx


class Attempt(msgspec.Struct, frozen=True):
    """Somebody at `address` says that they are `email`."""

    email: str
    address: str
    at: datetime


async def candidates_for(tx: Tx, attempt: Attempt) -> list[Candidate]:
    """The accounts that the attempt may mean, across organisations. Raises TooManyFailures."""
    counted = await attempts.get(tx, attempt.email, attempt.address)
    wait = max((wait_seconds(failures.kind, failures.failed_at, attempt.at) for failures in counted), default=0.0)
    if wait > 0:
        raise TooManyFailures(wait)
    return await accounts.candidates(tx, attempt.email)


async def count_failure(tx: Tx, attempt: Attempt) -> None:
    """Count a failed attempt. Raises TooManyFailures when others that failed meanwhile have used up the limit."""
    for kind, subject in ((Throttled.ACCOUNT, attempt.email), (Throttled.ADDRESS, attempt.address)):
        if not await attempts.count_failure(tx, kind, subject, attempt.at):
            raise TooManyFailures(WINDOW.total_seconds())


async def open_session(tx: Tx, who: Candidate, *, session: UUID, at: datetime, hours: float) -> Session:
    """A new session for an account whose password was right. Raises AccountDisabled."""
    if not who.is_enabled:
        raise AccountDisabled
    opened = Session(org_id=who.org_id, id=session, expires_at=at + timedelta(hours=hours))
    await sessions.insert(tx, opened, who, at)
    return opened
