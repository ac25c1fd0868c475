"""What is stored of a password that somebody is given: computed before any transaction that changes the account."""

from __future__ import annotations

from services.identity.domain import login
from services.identity.domain.passwords import Passwords
from shared.database import Database
from shared.web.actor import Actor


async def hashed_for(database: Database, passwords: Passwords, actor: Actor, email: str, password: str) -> str:
    """The hash of the password of an account with this address."""
    async with database.transaction(actor.org_id) as tx:
        salt = await login.salt_of(tx, email)
    return await passwords.hashed(password, salt)
