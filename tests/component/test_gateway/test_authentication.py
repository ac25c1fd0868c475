"""Whom the gateway believes, and when it stops."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from urllib.parse import urlsplit

import msgspec
import pytest

from deploy.proof.relay import Relay
from services.identity.announcing import BELIEVED_SECONDS
from shared import clock
from shared.contracts.identity import CredentialRevoked
from shared.messaging.topology import event_subject
from tests.component.test_gateway.neighbours import World, credential, reply, world
from tests.support.actors import client
from tests.support.servers import Broker, until

BEARER = {"authorization": "Bearer serx_jane"}


async def _status(here: World, headers: dict[str, str] | None = None) -> int:
    return (await here.caller.get("/api/orders", headers=headers)).status_code


async def test_a_credential_is_verified_once(here: World) -> None:
    for _ in range(5):
        assert await _status(here) == 200
    assert here.identity.verified == 1


async def test_the_kind_of_credential_does_not_matter_to_the_gateway(here: World) -> None:
    jane = client(here.actor.org_id)
    session = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln_-a"
    here.identity.credentials[session] = credential(jane)
    assert await _status(here, {"authorization": f"bearer {session}"}) == 200
    assert here.orders.last.actor("orders") == jane


async def test_a_revocation_that_is_heard_holds_at_once(here: World, shared_broker: Broker) -> None:
    here.identity.credentials["serx_jane"] = credential(client(here.actor.org_id))
    assert await _status(here) == await _status(here, BEARER) == 200
    revoked = here.identity.credentials.pop("serx_jane")
    event = CredentialRevoked(
        org_id=here.actor.org_id, actor_id=revoked["actor"]["id"], credential_id=revoked["credential_id"]
    )
    async with await shared_broker.connection("identity") as identity:
        await identity.publish(
            event_subject(here.actor.org_id, "credential", "revoked"), msgspec.json.encode(msgspec.to_builtins(event))
        )
        await identity.flush()

        async def is_shut_out() -> bool:
            return await _status(here, BEARER) == 401

        await until(is_shut_out, within_seconds=2)
        verified = here.identity.verified
        assert await _status(here) == 200
        assert here.identity.verified == verified, "the neighbour's credential is still remembered"


async def test_a_revocation_that_cannot_be_read_forgets_everything(here: World, shared_broker: Broker) -> None:
    assert await _status(here) == 200
    async with await shared_broker.connection("identity") as identity:
        await identity.publish(event_subject(here.actor.org_id, "credential", "revoked"), b"{}")
        await identity.flush()

        async def is_asked_again() -> bool:
            await _status(here)
            return here.identity.verified > 1

        await until(is_asked_again, within_seconds=2)


async def test_a_change_at_identity_holds_here_before_its_answer_is_out(here: World) -> None:
    here.identity.credentials["serx_jane"] = credential(client(here.actor.org_id))
    here.identity.answers["/api/tokens/1"] = reply(204)
    assert await _status(here, BEARER) == 200
    del here.identity.credentials["serx_jane"]
    assert (await here.caller.delete("/api/tokens/1")).status_code == 204
    assert await _status(here, BEARER) == 401


async def test_a_change_that_identity_refused_or_a_read_costs_nothing(here: World) -> None:
    here.identity.answers["/api/tokens"] = reply(400, {})
    assert await _status(here) == 200
    await here.caller.post("/api/tokens", json={})
    await here.caller.get("/api/users")
    assert await _status(here) == 200
    assert here.identity.verified == 1


async def test_without_the_bus_every_call_is_verified(apart: World, broker: Broker) -> None:
    assert await _status(apart) == 200
    await broker.kill()

    async def bus_is_lost() -> bool:
        return "broker" in await apart.lacks()

    await until(bus_is_lost)
    verified = apart.identity.verified
    assert await _status(apart) == await _status(apart) == 200
    assert apart.identity.verified == verified + 2
    del apart.identity.credentials["serx_admin"]
    assert await _status(apart) == 401
    apart.identity.credentials["serx_admin"] = credential(apart.actor)
    await broker.start()

    async def is_remembered() -> bool:
        before = apart.identity.verified
        return await _status(apart) == 200 and apart.identity.verified == before

    await until(is_remembered)


async def test_a_revocation_missed_while_the_bus_was_away_holds_when_it_is_back(apart: World, broker: Broker) -> None:
    assert await _status(apart) == 200
    await broker.kill()
    del apart.identity.credentials["serx_admin"]
    await broker.start()

    async def bus_is_back() -> bool:
        return "broker" not in await apart.lacks()

    await until(bus_is_back)
    assert await _status(apart) == 401


@asynccontextmanager
async def behind_a_relay(broker: Broker) -> AsyncIterator[tuple[World, Relay]]:
    """A gateway whose way to the broker can be cut without a word to either end."""
    address = urlsplit(broker.url("gateway"))
    relay = Relay([address.port or 4222], random.Random(0), is_nats=True)
    await relay.open()
    try:
        async with world(broker.url("gateway").replace(f":{address.port}", f":{relay.port}")) as found:
            yield found, relay
    finally:
        await relay.close()


# nats-py lets the socket of a connection that is stale go without closing it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_gateway_cut_off_in_silence_believes_for_five_seconds_at_most(shared_broker: Broker) -> None:
    async with behind_a_relay(shared_broker) as (apart, relay), await shared_broker.connection("identity") as identity:
        relay.weather.stands_still = True
        assert await _status(apart) == 200  # it has asked identity just now, and hears nothing any more
        revoked = apart.identity.credentials.pop("serx_admin")
        event = CredentialRevoked(
            org_id=apart.actor.org_id, actor_id=apart.actor.id, credential_id=revoked["credential_id"]
        )
        subject = event_subject(apart.actor.org_id, "credential", "revoked")
        await identity.publish(subject, msgspec.json.encode(msgspec.to_builtins(event)))
        await identity.flush()
        taken = monotonic()
        assert await _status(apart) == 200, "the cut is noticed at once: this tests nothing"

        async def is_shut_out() -> bool:
            return await _status(apart) == 401

        await until(is_shut_out, within_seconds=10)
        assert monotonic() - taken <= BELIEVED_SECONDS + 0.5  # the time of a call and of the look at it
        assert await _status(apart) == 401


async def test_an_expired_credential_is_not_believed_because_it_was(here: World) -> None:
    soon = clock.now() + timedelta(seconds=0.3)
    here.identity.credentials["serx_jane"] = credential(client(here.actor.org_id), expires_at=soon.isoformat())
    assert await _status(here, BEARER) == 200
    del here.identity.credentials["serx_jane"]

    async def is_shut_out() -> bool:
        return await _status(here, BEARER) == 401

    await until(is_shut_out, within_seconds=2)


async def test_while_identity_is_away_nobody_new_comes_in_and_nobody_is_turned_out(here: World) -> None:
    assert await _status(here) == 200
    await here.identity.stop()
    assert await _status(here) == 200
    answer = await here.caller.get("/api/orders", headers=BEARER)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_the_gateway_serves_before_it_has_ever_seen_the_bus() -> None:
    async with world("nats://127.0.0.1:1", hears=False) as here:
        assert await _status(here) == await _status(here) == 200
        assert here.identity.verified == 2
        assert await here.lacks() == ["broker"]
        assert (await here.caller.get("/health/ready")).status_code == 200
