"""The credentials that identity has vouched for a moment ago.

Believed for as long as identity says, never past their expiry, and only while this process would hear of a revocation:
without the bus identity is asked every time, and identity that has no bus lets nothing be believed. A revocation that
identity cannot announce is answered when nothing of before it is believed any more. One that is heard also outdates the
questions that are under way.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from gateway.lanes import Lane
from gateway.strangers import Strangers
from shared.contracts.identity import CredentialRevoked
from shared.ids import OrgId
from shared.web.actor import Actor, sign_identity

SIGNED_FOR: Final = timedelta(seconds=10)
"""How long a signed identity is used again; it is good for 30 s."""
UNKNOWN_FOR: Final = timedelta(seconds=1)
REMEMBERED: Final = 10_000
REMEMBERED_UNKNOWN: Final = 2_000
STRANGERS_AT_ONCE: Final = 32
STRANGERS_OF_A_PLACE: Final = 8
STRANGER_WAIT_SECONDS: Final = 5.0


class TooManyUnknown(Exception):
    """A place has sent too many unknown credentials; `seconds` until it is listened to again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Identity's answer about a credential."""

    actor: Actor
    credential_id: UUID
    expires_at: datetime | None = None
    believe_seconds: float | None = None
    """For how long identity lets it be believed: 0 while it could not announce a revocation."""


class Caller:
    """Who a credential stands for, with the identities that were signed for them."""

    __slots__ = ("_signed", "actor", "credential_id")

    def __init__(self, verified: Verified) -> None:
        self.actor = verified.actor
        self.credential_id = verified.credential_id
        self._signed: dict[str, tuple[bytes, datetime]] = {}

    def identity_for(self, audience: str, key: str, *, at: datetime) -> bytes:
        """The signed identity for one service, at most SIGNED_FOR old."""
        signed = self._signed.get(audience)
        if signed is None or not (signed[1] <= at < signed[1] + SIGNED_FOR):
            token = sign_identity(self.actor, audience=audience, key=key, at=at)
            signed = self._signed[audience] = (token.encode(), at)
        return signed[0]


class _Known(msgspec.Struct, frozen=True):
    caller: Caller | None
    fresh_until: datetime


Verify = Callable[[str], Awaitable[Verified | None]]


class Credentials:
    """Asks identity who a credential stands for, and remembers the answer while it may be believed."""

    def __init__(self, verify: Verify, *, remember_seconds: float, is_heard: Callable[[], bool]) -> None:
        self._verify = verify
        self._strangers = Strangers()
        self._lane = Lane(most=STRANGERS_AT_ONCE, each=STRANGERS_OF_A_PLACE, wait_seconds=STRANGER_WAIT_SECONDS)
        self._familiar: OrderedDict[bytes, None] = OrderedDict()
        self._remember = timedelta(seconds=remember_seconds)
        self._is_heard = is_heard
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._unknown: OrderedDict[bytes, _Known] = OrderedDict()
        self._of_organisation: dict[OrgId, set[bytes]] = {}
        self._under_way: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._generation = 0

    async def caller_of(self, credential: str, *, at: datetime, place: str) -> Caller | None:
        """Who `credential`, sent from `place`, stands for; None when identity does not know it.

        Raises ServiceAway, and TooManyUnknown when `place` has sent too many that are unknown: what was known before
        is asked about all the same, and before all that is new.
        """
        digest = hashlib.sha256(credential.encode()).digest()
        is_heard = self._is_heard()
        known = self._known.get(digest) or self._unknown.get(digest)
        if is_heard and known is not None and at < known.fresh_until:
            if known.caller is not None:
                self._known.move_to_end(digest)
            return known.caller
        if digest not in self._familiar:
            self._check(place, at)  # before a task is made: thousands that only fail are a burden of their own
        if is_heard:
            return await self._shared(digest, credential, at, place)
        verified = await self._vouched(digest, credential, at, place)
        return None if verified is None else Caller(verified)

    def forget_organisation(self, org: OrgId) -> None:
        """Ask again about all of an organisation: something about its people or credentials has changed."""
        self._outdate()
        for digest in self._of_organisation.pop(org, ()):
            self._known.pop(digest, None)

    def forget(self, revoked: CredentialRevoked) -> None:
        """Forget one credential, or every one that acts as that person."""
        self._outdate()
        org = OrgId(revoked.org_id)
        for digest in tuple(self._of_organisation.get(org, ())):
            caller = self._known[digest].caller
            if caller is not None and _is_meant(caller, revoked):
                self._drop(digest)

    def forget_all(self) -> None:
        """Start afresh: revocations may have gone unheard."""
        self._outdate()
        self._known.clear()
        self._unknown.clear()
        self._of_organisation.clear()

    def _outdate(self) -> None:
        """What is under way may be of before; and one who was turned away may be let in again."""
        self._generation += 1
        self._unknown.clear()
        self._under_way.clear()

    async def _vouched(self, digest: bytes, credential: str, at: datetime, place: str) -> Verified | None:
        """What identity says, asked when it is this credential's turn."""
        if digest in self._familiar:
            verified = await self._verify(credential)
        else:
            async with self._lane.turn_of(place):
                self._check(place, at)  # those before it may have been the last
                verified = await self._verify(credential)
        if verified is None:
            self._strangers.note(place, digest, at=at)
            self._familiar.pop(digest, None)
            return None
        self._familiar[digest] = None
        self._familiar.move_to_end(digest)
        while len(self._familiar) > REMEMBERED:
            self._familiar.popitem(last=False)
        return verified

    def _check(self, place: str, at: datetime) -> None:
        if seconds := self._strangers.wait_seconds(place, at=at):
            raise TooManyUnknown(seconds)

    async def _shared(self, digest: bytes, credential: str, at: datetime, place: str) -> Caller | None:
        task = self._under_way.get(digest)
        if task is None:
            task = asyncio.create_task(self._ask(digest, credential, at, place))
            self._under_way[digest] = task
            task.add_done_callback(lambda done: self._landed(digest, done))
        try:
            return await asyncio.shield(task)
        finally:
            del task  # its error, if it has one, refers to this frame

    async def _ask(self, digest: bytes, credential: str, at: datetime, place: str) -> Caller | None:
        generation = self._generation
        verified = await self._vouched(digest, credential, at, place)
        caller = None if verified is None else Caller(verified)
        if generation == self._generation and self._is_heard():
            self._remember_answer(digest, verified, caller, at)
        return caller

    def _landed(self, digest: bytes, task: asyncio.Task[Caller | None]) -> None:
        if self._under_way.get(digest) is task:
            del self._under_way[digest]
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have

    def _remember_answer(self, digest: bytes, verified: Verified | None, caller: Caller | None, at: datetime) -> None:
        if verified is None or caller is None:
            self._unknown[digest] = _Known(None, at + min(self._remember, UNKNOWN_FOR))
            while len(self._unknown) > REMEMBERED_UNKNOWN:
                self._unknown.popitem(last=False)
            return
        remember = self._remember
        if verified.believe_seconds is not None:
            remember = min(remember, timedelta(seconds=verified.believe_seconds))
        if not remember:
            self._drop(digest)
            return
        fresh_until = at + remember
        if verified.expires_at is not None:
            fresh_until = min(fresh_until, verified.expires_at)
        self._drop(digest)
        self._unknown.pop(digest, None)
        self._known[digest] = _Known(caller, fresh_until)
        self._of_organisation.setdefault(verified.actor.org_id, set()).add(digest)
        while len(self._known) > REMEMBERED:
            self._drop(next(iter(self._known)))

    def _drop(self, digest: bytes) -> None:
        known = self._known.pop(digest, None)
        if known is None or known.caller is None:
            return
        org = known.caller.actor.org_id
        of_organisation = self._of_organisation.get(org, set())
        of_organisation.discard(digest)
        if not of_organisation:
            self._of_organisation.pop(org, None)


def _is_meant(caller: Caller, revoked: CredentialRevoked) -> bool:
    if revoked.credential_id is not None:
        return caller.credential_id == revoked.credential_id
    return caller.actor.id == revoked.actor_id
