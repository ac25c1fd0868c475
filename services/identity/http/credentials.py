"""`/internal/credentials`: what the gateway asks before it lets a request in."""

from __future__ import annotations

from datetime import datetime

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency

from services.identity import views
from services.identity.announcing import Announcements
from services.identity.domain import credentials
from services.identity.http.guards import only_the_gateway_itself
from services.identity.model.credentials import Verified, is_secret, read_session
from services.identity.model.errors import CredentialRejected
from services.identity.settings import IdentitySettings
from services.identity.token_use import TokenUse
from services.identity.views import VerifiedView
from shared import clock
from shared.database import Database
from shared.web.inputs import Db, JSONBody


class CredentialBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller sent after `Authorization: Bearer`."""

    credential: str


class CredentialController(Controller):
    path = "/internal/credentials"
    guards = (only_the_gateway_itself,)
    include_in_schema = False

    # Public: no actor is known yet, and the guard above takes the place of the usual one.
    @post("/verify", opt={"public": True}, status_code=200)
    async def verify(
        self,
        database: Db,
        config: NamedDependency[IdentitySettings],
        token_use: NamedDependency[TokenUse],
        announcements: NamedDependency[Announcements],
        data: JSONBody[CredentialBody],
    ) -> VerifiedView:
        # Before the look: what is revoked after it waits as long as this may be believed.
        believe_seconds = announcements.believed_seconds()
        at = clock.now()
        if is_secret(data.credential):
            proof = await _verify_token(database, data.credential, at)
            token_use.note(proof.credential_id, proof.last_used_at, at)
        else:
            proof = await _verify_session(database, config, data.credential, at)
        return views.verified(proof, believe_seconds)


async def _verify_token(database: Database, secret: str, at: datetime) -> Verified:
    async with database.transaction_across_organisations() as tx:
        return await credentials.verify_token(tx, secret, at)


async def _verify_session(database: Database, config: IdentitySettings, token: str, at: datetime) -> Verified:
    named = read_session(token, config.session_keys)
    if named is None:
        raise CredentialRejected
    org, session = named
    async with database.transaction(org) as tx:
        return await credentials.verify_session(tx, org, session, at)
