"""`/api/auth`: logging in, who am I, logging out."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from services.identity import views
from services.identity.domain import credentials, login
from services.identity.domain.login import Attempt
from services.identity.domain.passwords import Passwords, has_salt
from services.identity.model.credentials import is_secret, read_session, sign_session
from services.identity.model.people import MAX_EMAIL_LENGTH, MAX_PASSWORD_LENGTH, Candidate
from services.identity.settings import IdentitySettings
from services.identity.views import LoginView, PersonView
from shared import clock
from shared.database import Database, Tx
from shared.ids import new_id
from shared.telemetry import log
from shared.web.idempotency import once
from shared.web.inputs import Asker, Db, JSONBody
from shared.web.openapi import refusals
from shared.web.shapes import AS_TYPED, TRIMMED

CLIENT_ADDRESS_HEADER: Final = "serx-client-address"

_log = log(__name__)


class LoginBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who wants to log in."""

    email: Annotated[
        str,
        Meta(min_length=1, max_length=MAX_EMAIL_LENGTH, examples=["ada@agency.example"], extra={TRIMMED: True}),
    ]
    password: Annotated[
        str,
        Meta(min_length=1, max_length=MAX_PASSWORD_LENGTH, examples=["a long pass phrase"], extra={AS_TYPED: True}),
    ]
    org_id: Annotated[UUID, Meta(description="Which organisation, where the pair is right in several.")] | UnsetType = (
        UNSET
    )


def session_in_scope(request: Request[Any, Any, Any]) -> str:
    """The session that the request came with: another of the same person's has Idempotency-Keys of its own."""
    return str(_session_of(request, request.app.state.config))


class AuthController(Controller):
    path = "/api/auth"
    tags = ("Auth",)

    @post(
        "/login",
        summary="Log in with an e-mail and a password",
        opt={"public": True},
        status_code=200,
        responses=refusals(
            because={
                401: "The e-mail and the password do not match",
                403: "The account is disabled",
                409: "The pair is right in several `organisations`: `[{id, name}]`; `org_id` chooses",
                429: "Too many failures",
            }
        ),
    )
    async def log_in(
        self,
        request: Request[Any, Any, Any],
        database: Db,
        passwords: NamedDependency[Passwords],
        config: NamedDependency[IdentitySettings],
        data: JSONBody[LoginBody],
    ) -> LoginView:
        org = None if data.org_id is UNSET else data.org_id
        attempt = Attempt(data.email, _address(request), clock.now(), org)
        async with passwords.turn():
            who = await _authenticate(database, passwords, attempt, data.password)
        await _salt_as_the_address(database, passwords, attempt, who, data.password)
        async with database.transaction(who.org_id) as tx:
            session = await login.open_session(tx, who, session=new_id(), at=clock.now(), hours=config.session_hours)
        return views.login(sign_session(session, config.session_keys[0]), config.session_hours, who.person)

    @get("/me", summary="Whom the credential stands for", responses=refusals())
    async def me(self, actor: Asker, database: Db) -> PersonView:
        async with database.transaction(actor.org_id) as tx:
            return views.person(await credentials.who_is(tx, actor))

    @post(
        "/logout",
        summary="End the session that the request came with",
        status_code=204,
        opt={"key_scope": session_in_scope},
        responses=refusals(),
    )
    async def log_out(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        config: NamedDependency[IdentitySettings],
    ) -> Response[None]:
        session = _session_of(request, config)

        async def effect(tx: Tx) -> Response[Any]:
            if session is not None:
                await credentials.end_session(tx, actor, session, event_id=new_id())
            return Response(b"", status_code=204)

        return await once(request, database, actor.org_id, effect)


async def _authenticate(database: Database, passwords: Passwords, attempt: Attempt, password: str) -> Candidate:
    """The account; no transaction is open while passwords are hashed.

    Raises WrongPair, OrganisationToChoose and TooManyFailures.
    """
    async with database.transaction_across_organisations() as tx:
        candidates = await login.candidates_for(tx, attempt)
    right = await passwords.matches(candidates, password)
    if not right:
        async with database.transaction_across_organisations() as tx:
            await login.count_failure(tx, attempt)
    return login.chosen(right)


async def _salt_as_the_address(
    database: Database, passwords: Passwords, attempt: Attempt, who: Candidate, password: str
) -> None:
    """See that the hash has the salt of its address, now that the password is at hand."""
    async with database.transaction(who.org_id) as tx:
        salt = await login.salt_of(tx, attempt.email)
    if has_salt(who.password_hash, salt):
        return
    password_hash = await passwords.hashed(password, salt)
    async with database.transaction(who.org_id) as tx:
        await login.rehash(tx, who, password_hash)


def _address(request: Request[Any, Any, Any]) -> str:
    told = request.headers.get(CLIENT_ADDRESS_HEADER)
    return told or (request.client.host if request.client else "unknown")


def _session_of(request: Request[Any, Any, Any], config: IdentitySettings) -> UUID | None:
    """The session of the caller's own credential, which the gateway passes on; None for an API token."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        _log.warning("logout came without the caller's credential: no session is ended")
        return None
    named = None if is_secret(credential) else read_session(credential.strip(), config.session_keys)
    return named[1] if named else None
