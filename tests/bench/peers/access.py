"""The monolith's database and who is calling: a tuned pool, a session a request, the API token looked up first."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, HTTPException
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from tests.bench.peers.tables import ApiToken, User

POOL_SIZE = 16

engine = create_async_engine(
    os.environ["PEER_DSN"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=POOL_SIZE, max_overflow=0
)
# What only reads needs no BEGIN and no ROLLBACK: each statement is its own transaction.
reading = async_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False)
writing = async_sessionmaker(engine, expire_on_commit=False)


async def read_session() -> AsyncIterator[AsyncSession]:
    async with reading() as session:
        yield session


async def write_session() -> AsyncIterator[AsyncSession]:
    async with writing() as session:
        yield session


Reading = Annotated[AsyncSession, Depends(read_session)]
Writing = Annotated[AsyncSession, Depends(write_session)]
Authorization = Annotated[str, Header()]


async def organisation_of(session: AsyncSession, authorization: str) -> UUID:
    """The organisation that the bearer of this API token acts for. Raises HTTPException 401."""
    digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).digest()
    org = await session.scalar(
        select(User.org_id)
        .join(ApiToken, ApiToken.user_id == User.id)
        .where(
            ApiToken.secret_hash == digest,
            User.is_enabled,
            or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > datetime.now(UTC)),
        )
    )
    if org is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return org


async def organisation_of_reader(session: Reading, authorization: Authorization) -> UUID:
    return await organisation_of(session, authorization)


async def organisation_of_writer(session: Writing, authorization: Authorization) -> UUID:
    return await organisation_of(session, authorization)


Reader = Annotated[UUID, Depends(organisation_of_reader)]
Writer = Annotated[UUID, Depends(organisation_of_writer)]
