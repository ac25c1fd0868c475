"""What the gateway believes about credentials, and for how long."""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from gateway.credentials import STRANGERS_OF_A_PLACE, Caller, Credentials, TooManyUnknown, Verified
from gateway.refusals import ServiceAway
from gateway.routes import Service
from shared.contracts.identity import CredentialRevoked
from shared.ids import OrgId, new_id
from shared.web.actor import Actor, Role, verify_identity

NOW = datetime(2026, 2, 8, 12, tzinfo=UTC)
KEY = "a key for tests that is long enough to sign"


class Identity:
    """Identity, as these tests play it: knows some credentials, counts the questions, answers when it is told to."""

    def __init__(self) -> None:
        self.known: dict[str, Verified] = {}
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_away = False
        self._progress = asyncio.Condition()

    async def verify(self, credential: str) -> Verified | None:
        async with self._progress:
            self.asked += 1
            self._progress.notify_all()
        answer = self.known.get(credential)
        await self.may_answer.wait()
        if self.is_away:
            raise ServiceAway(Service.IDENTITY, "away")
        return answer

    async def until_asked(self, times: int) -> None:
        async with self._progress:
            await self._progress.wait_for(lambda: self.asked >= times)


def verified(org: UUID | None = None, *, actor: UUID | None = None, expires_at: datetime | None = None) -> Verified:
    person = Actor(
        org_id=OrgId(org or new_id()), id=actor or new_id(), role=Role.ADMIN, name="Ada", email="ada@agency.example"
    )
    return Verified(actor=person, credential_id=new_id(), expires_at=expires_at)


class Scene:
    def __init__(self, remember_seconds: float = 30) -> None:
        self.identity = Identity()
        self.is_heard = True
        self.credentials = Credentials(
            self.identity.verify, remember_seconds=remember_seconds, is_heard=lambda: self.is_heard
        )

    async def ask(self, credential: str = "a", after: float = 0, place: str = "192.0.2.1") -> Caller | None:
        return await self.credentials.caller_of(credential, at=NOW + timedelta(seconds=after), place=place)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_an_answer_is_believed_for_a_while(scene: Scene) -> None:
    scene.identity.known["a"] = verified()
    first = await scene.ask()
    assert first is not None
    assert await scene.ask(after=29.9) is first
    assert scene.identity.asked == 1
    await scene.ask(after=30)
    assert scene.identity.asked == 2


async def test_an_answer_is_never_believed_past_the_expiry(scene: Scene) -> None:
    scene.identity.known["a"] = verified(expires_at=NOW + timedelta(seconds=5))
    await scene.ask()
    await scene.ask(after=4.9)
    assert scene.identity.asked == 1
    del scene.identity.known["a"]
    assert await scene.ask(after=5) is None


async def test_an_unknown_credential_is_asked_about_again_within_a_second(scene: Scene) -> None:
    assert await scene.ask() is None
    assert await scene.ask(after=0.9) is None
    assert scene.identity.asked == 1
    scene.identity.known["a"] = verified()
    assert await scene.ask(after=1) is not None


async def test_concurrent_misses_share_one_question(scene: Scene) -> None:
    scene.identity.known["a"] = verified()
    scene.identity.may_answer.clear()
    asking = [asyncio.create_task(scene.ask()) for _ in range(20)]
    await scene.identity.until_asked(1)
    scene.identity.may_answer.set()
    callers = await asyncio.gather(*asking)
    assert scene.identity.asked == 1
    assert len(set(map(id, callers))) == 1


async def test_a_shared_question_survives_the_one_who_asked_first(scene: Scene) -> None:
    scene.identity.known["a"] = verified()
    scene.identity.may_answer.clear()
    first = asyncio.create_task(scene.ask())
    second = asyncio.create_task(scene.ask())
    await scene.identity.until_asked(1)
    first.cancel()
    scene.identity.may_answer.set()
    assert await second is not None
    assert scene.identity.asked == 1


async def test_all_who_wait_hear_that_identity_is_away_and_nothing_is_remembered(scene: Scene) -> None:
    scene.identity.is_away = True
    answers = await asyncio.gather(scene.ask(), scene.ask(), return_exceptions=True)
    assert all(isinstance(answer, ServiceAway) for answer in answers)
    scene.identity.is_away = False
    scene.identity.known["a"] = verified()
    assert await scene.ask() is not None


async def test_a_revoked_credential_is_forgotten_and_its_neighbours_are_not(scene: Scene) -> None:
    org, actor = new_id(), new_id()
    scene.identity.known |= {"a": verified(org, actor=actor), "b": verified(org, actor=actor)}
    await scene.ask("a")
    await scene.ask("b")
    revoked = scene.identity.known.pop("a")
    scene.credentials.forget(CredentialRevoked(org_id=org, actor_id=actor, credential_id=revoked.credential_id))
    assert await scene.ask("a") is None
    assert await scene.ask("b") is not None
    assert scene.identity.asked == 3


async def test_a_person_who_is_shut_out_loses_every_credential(scene: Scene) -> None:
    org, actor = new_id(), new_id()
    scene.identity.known |= {"a": verified(org, actor=actor), "b": verified(org, actor=actor), "c": verified(org)}
    for credential in "abc":
        await scene.ask(credential)
    scene.credentials.forget(CredentialRevoked(org_id=org, actor_id=actor))
    for credential in "abc":
        await scene.ask(credential)
    assert scene.identity.asked == 5


async def test_an_organisation_is_forgotten_alone(scene: Scene) -> None:
    org = new_id()
    scene.identity.known |= {"a": verified(org), "b": verified()}
    await scene.ask("a")
    await scene.ask("b")
    scene.credentials.forget_organisation(OrgId(org))
    await scene.ask("a")
    await scene.ask("b")
    assert scene.identity.asked == 3


async def test_an_answer_that_was_asked_for_before_a_revocation_is_not_remembered(scene: Scene) -> None:
    org = new_id()
    scene.identity.known["a"] = verified(org)
    scene.identity.may_answer.clear()
    asking = asyncio.create_task(scene.ask())
    await scene.identity.until_asked(1)
    del scene.identity.known["a"]
    scene.credentials.forget(CredentialRevoked(org_id=org, actor_id=new_id()))
    later = asyncio.create_task(scene.ask())
    await scene.identity.until_asked(2)
    scene.identity.may_answer.set()
    assert await asking is not None, "it was asked before the revocation"
    assert await later is None, "it must not share an older question"
    assert await scene.ask() is None


async def test_without_the_bus_every_call_asks_and_nothing_is_remembered(scene: Scene) -> None:
    scene.identity.known["a"] = verified()
    await scene.ask()
    scene.is_heard = False
    await scene.ask()
    await scene.ask()
    assert scene.identity.asked == 3
    del scene.identity.known["a"]
    assert await scene.ask() is None


async def test_an_answer_that_comes_while_the_bus_is_lost_is_not_remembered(scene: Scene) -> None:
    scene.identity.known["a"] = verified()
    scene.identity.may_answer.clear()
    asking = asyncio.create_task(scene.ask())
    await scene.identity.until_asked(1)
    scene.is_heard = False
    scene.identity.may_answer.set()
    await asking
    scene.is_heard = True
    await scene.ask()
    assert scene.identity.asked == 2


async def test_starting_afresh_forgets_everything(scene: Scene) -> None:
    scene.identity.known["a"] = verified()
    await scene.ask("a")
    await scene.ask("nobody")
    scene.credentials.forget_all()
    await scene.ask("a")
    await scene.ask("nobody")
    assert scene.identity.asked == 4


async def test_zero_seconds_means_that_nothing_is_remembered() -> None:
    scene = Scene(remember_seconds=0)
    scene.identity.known["a"] = verified()
    await scene.ask()
    await scene.ask()
    assert scene.identity.asked == 2


async def test_what_is_remembered_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.credentials.REMEMBERED", 3)
    monkeypatch.setattr("gateway.credentials.REMEMBERED_UNKNOWN", 2)
    scene.identity.known = {str(number): verified() for number in range(10)}
    for number in range(20):
        await scene.ask(str(number))
    assert len(scene.credentials._known) == len(scene.credentials._of_organisation) == 3
    assert len(scene.credentials._unknown) == 2


async def guess(scene: Scene, count: int, *, after: float = 0, place: str = "192.0.2.1") -> list[str]:
    """What becomes of that many different unknown credentials, one after the other."""
    found = []
    for number in range(count):
        try:
            found.append("known" if await scene.ask(f"guess-{after}-{number}", after, place) else "unknown")
        except TooManyUnknown as error:
            found.append(f"wait {error.seconds:.0f}")
    return found


@pytest.mark.parametrize("is_heard", [True, False])
async def test_after_a_hundred_unknown_credentials_a_place_waits_for_the_minute_to_end(
    scene: Scene, *, is_heard: bool
) -> None:
    scene.is_heard = is_heard
    assert await guess(scene, 103) == ["unknown"] * 100 + ["wait 60"] * 3
    assert scene.identity.asked == 100
    assert await guess(scene, 1, after=59) == ["wait 1"]
    assert await guess(scene, 1, after=60) == ["unknown"]


async def test_another_place_is_listened_to(scene: Scene) -> None:
    await guess(scene, 101)
    scene.identity.known["a"] = verified()
    assert await scene.ask(place="192.0.2.2") is not None
    with pytest.raises(TooManyUnknown):
        await scene.ask("b")


@pytest.mark.parametrize("is_heard", [True, False])
async def test_who_was_known_is_asked_about_whatever_else_comes_from_there(scene: Scene, *, is_heard: bool) -> None:
    scene.is_heard = is_heard
    scene.identity.known["a"] = verified()
    assert await scene.ask() is not None
    await guess(scene, 101)
    assert await scene.ask(after=31) is not None
    del scene.identity.known["a"]
    assert await scene.ask(after=62) is None


async def test_the_same_unknown_credential_again_is_no_further_one(scene: Scene) -> None:
    for second in range(200):
        assert await scene.ask("old", after=second * 0.29) is None
    assert await guess(scene, 1, after=59) == ["unknown"]


async def test_strangers_wait_in_a_lane_and_who_is_known_does_not(scene: Scene) -> None:
    scene.identity.known["a"] = verified()
    await scene.ask()
    scene.identity.may_answer.clear()
    strangers = [asyncio.create_task(scene.ask(f"guess-{number}")) for number in range(50)]
    await scene.identity.until_asked(1 + STRANGERS_OF_A_PLACE)
    known = asyncio.create_task(scene.ask(after=31))
    await scene.identity.until_asked(1 + STRANGERS_OF_A_PLACE + 1)
    other = asyncio.create_task(scene.ask("guess", place="192.0.2.2"))
    await scene.identity.until_asked(1 + STRANGERS_OF_A_PLACE + 2)
    assert scene.identity.asked == 1 + STRANGERS_OF_A_PLACE + 2
    scene.identity.may_answer.set()
    assert await known is not None
    assert await other is None
    assert await asyncio.gather(*strangers) == [None] * 50


async def test_what_is_kept_about_places_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.strangers.PLACES", 3)
    for number in range(10):
        await guess(scene, 1, after=number / 100, place=f"192.0.2.{number}")
    assert len(scene.credentials._strangers._windows) == 3


def test_a_signed_identity_is_used_again_for_ten_seconds_and_per_service() -> None:
    caller = Caller(verified())
    signed = caller.identity_for("orders", KEY, at=NOW)
    assert caller.identity_for("orders", KEY, at=NOW + timedelta(seconds=9.9)) == signed
    assert caller.identity_for("orders", KEY, at=NOW + timedelta(seconds=10)) != signed
    assert caller.identity_for("proposals", KEY, at=NOW) != signed


def test_a_signed_identity_names_the_caller() -> None:
    caller = Caller(verified())
    at = datetime.now(UTC)
    signed = caller.identity_for("orders", KEY, at=at).decode()
    assert verify_identity(signed, audience="orders", keys=[KEY], at=at) == caller.actor


@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_refusal_leaves_nothing_to_collect(scene: Scene, *, is_heard: bool) -> None:
    scene.is_heard = is_heard
    gc.collect()
    gc.disable()
    try:
        await guess(scene, 103)
        scene.identity.is_away = True
        with pytest.raises(ServiceAway):
            await scene.ask(place="192.0.2.2")
        await asyncio.sleep(0)
        assert [each for each in gc.get_objects() if isinstance(each, (TooManyUnknown, ServiceAway))] == []
    finally:
        gc.enable()
