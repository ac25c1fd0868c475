"""A service that was added to hear events: the example in the documentation, and what a listener may not do."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import nats
import pytest
import pytest_asyncio

from deploy.failure import Failure
from deploy.listening import ensure_consumers, keep_listeners, remove
from deploy.operators.site import Site
from deploy.status.broker import by_login
from deploy.status.faults import of_broker
from shared.ids import new_id
from shared.messaging.envelope import MESSAGE_ID
from shared.messaging.listeners import Listener, listener_permissions, read_listener
from shared.messaging.topology import EVENTS
from tests.component.test_walls import every_subject, spelled
from tests.support.databases import Databases
from tests.support.house import House, standing
from tests.support.servers import NATS_URL, nats_server, until
from tests.unit.test_shared_topology import may

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/consumer.py"
BILLING = read_listener("billing=proposal.signed")
MAIL = read_listener("mail=order.*,proposal.signed")

pytestmark = pytest.mark.skipif(NATS_URL is not None, reason="needs a broker with a user for each listener")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """All services, and a broker that knows two listeners, whose consumers are made."""
    root = tmp_path_factory.mktemp("listeners")
    async with (
        nats_server(root / "nats", BILLING, MAIL) as broker,
        standing(databases, broker, root / "points") as house,
    ):
        await ensure_consumers(Site({}, broker.operator, ""), (BILLING, MAIL))
        yield house


@asynccontextmanager
async def example(house: House, invoices: Path) -> AsyncIterator[None]:
    """The example, until the block is left: then it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), house.broker.url(BILLING.user), str(invoices)
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def told(invoices: Path) -> list[tuple[str, str]]:
    """What the example has written down; nothing before it has made its table."""
    with closing(sqlite3.connect(invoices)) as database:
        if not database.execute("select 1 from sqlite_master where name = 'invoices'").fetchall():
            return []
        return database.execute("select proposal, total from invoices").fetchall()


async def waiting(house: House, listener: Listener) -> int:
    """How many events the listener has not acknowledged."""
    async with await nats.connect(house.broker.operator) as connection:
        info = await connection.jetstream().consumer_info(EVENTS, listener.user)
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def last_event(house: House, pattern: str) -> Any:
    async with await nats.connect(house.broker.operator) as connection:
        return await connection.jetstream().get_last_msg(EVENTS, pattern)


async def signed(house: House) -> dict[str, Any]:
    staff = await house.agency()
    answer = await house.sign(staff, await house.sent(staff, f"{new_id()}@roe.example"))
    assert answer.status_code == 200, answer.text
    return answer.json()["proposal"]


async def test_the_example_writes_one_invoice_for_each_signature_however_often_it_is_told(house: House, tmp_path: Path):
    invoices = tmp_path / "invoices.db"
    first = await signed(house)
    async with example(house, invoices):
        await until(lambda: invoices.exists() and told(invoices) == [(first["id"], first["total"])])
        event = await last_event(house, "evt.*.proposal.signed")
        async with await nats.connect(house.broker.operator) as connection:
            again = {**event.headers, MESSAGE_ID: str(new_id())}  # as after a lost store: the same event, told again
            await connection.jetstream().publish(event.subject, event.data, headers=again)
        await until(lambda: _all_heard(house))
    expected = [(each["id"], each["total"]) for each in (first, await signed(house))]
    async with example(house, invoices):
        await until(lambda: told(invoices) == expected)  # an event is published after its signature is answered
        await until(lambda: _all_heard(house))
        assert told(invoices) == expected


async def _all_heard(house: House) -> bool:
    return not await waiting(house, BILLING)


async def test_a_listener_hears_its_events_and_no_others(house: House):
    await signed(house)
    expected = {"order.placed", "proposal.signed"}
    async with await house.broker.connection(MAIL.user) as connection:
        events = await connection.jetstream().pull_subscribe_bind(MAIL.user, EVENTS)
        kinds: set[str] = set()
        while len(kinds) < len(expected) or await waiting(house, MAIL):
            for message in await events.fetch(20, timeout=5):
                kinds.add(".".join(message.subject.split(".")[2:]))
                await message.ack_sync()
    assert kinds == expected


@pytest.mark.parametrize("listener", [BILLING, MAIL], ids=lambda listener: listener.name)
async def test_a_listener_is_refused_every_subject_that_is_not_its_own(house: House, listener: Listener):
    allowed = listener_permissions(listener)
    said, heard = every_subject()
    for verb in ("CREATE", "DURABLE.CREATE", "DELETE", "PAUSE", "RESET", "UNPIN", "LEADER.STEPDOWN"):
        # Whoever makes a consumer says on which subject it is delivered: not even its own.
        said |= {f"$JS.API.CONSUMER.{verb}.{EVENTS}.{each.user}" for each in (BILLING, MAIL)}
    said |= {f"$JS.API.CONSUMER.CREATE.{EVENTS}.{listener.user}.evt.any.proposal.signed"}
    said |= {spelled(subject) for each in (BILLING, MAIL) for subject in listener_permissions(each).publish}
    said |= {"cmd.orders.place", "evt.any.order.placed", "$JS.FC.EVENTS.any.thing", f"$JS.API.DIRECT.GET.{EVENTS}"}
    foreign = {subject for subject in said if not may(allowed.publish, subject)}
    assert len(said - foreign) == len(allowed.publish)
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error))

    async with await house.broker.connection(listener.user, error_cb=note, pending_size=8 * 1024 * 1024) as connection:
        for subject in sorted(foreign):
            await connection.publish(
                subject, b'{"config": {"durable_name": "mine", "deliver_subject": "cmd.orders.place"}}'
            )
        for pattern in sorted(heard):
            await connection.subscribe(pattern)
        await until(lambda: len(refused) >= len(foreign) + len(heard), within_seconds=20)
    assert len([each for each in refused if "permissions violation" in each.lower()]) == len(foreign) + len(heard)


async def test_what_a_listener_has_delivered_to_somebody_else_does_nothing_there(house: House):
    """The broker does not look at where an answer is to go: a listener can name a command's subject. The event keeps
    its own subject, which no consumer of commands hears; what arrives is the broker's empty "no more": it is parked.
    """
    signature = await signed(house)
    await until(lambda: waiting(house, BILLING))
    async with await house.broker.connection(BILLING.user) as connection:
        await connection.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{BILLING.user}",
            b'{"batch": 50, "no_wait": true}',
            reply="cmd.orders.place",
        )
        await until(lambda: parked(house))
    assert [(row["type"], bytes(row["body"])) for row in await parked(house)] == [(None, b"")]
    orders = await rows(house, "orders", "select proposal_id from orders")
    assert [str(row["proposal_id"]) for row in orders].count(signature["id"]) == 1


async def parked(house: House) -> list[Any]:
    return await rows(house, "orders", "select headers ->> 'ce-type' as type, body from parked_messages")


async def rows(house: House, service: str, query: str) -> list[Any]:
    link = await house.administrator(service)
    try:
        return await link.fetch(query)
    finally:
        await link.close()


async def test_the_command_makes_what_the_environment_names(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SERX_NATS_URL", house.broker.operator)
    monkeypatch.setenv("SERX_LISTENERS", "billing=proposal.signed mail=order.*,proposal.signed")
    await asyncio.to_thread(keep_listeners)
    assert await waiting(house, BILLING) >= 0


def test_a_listener_that_cannot_be_is_refused_in_a_sentence():
    for told in (
        "Billing=proposal.signed",
        "billing",
        "billing=proposal.forgotten",
        "billing=proposal.signed,>",
        "a.b=order.*",
    ):
        with pytest.raises(ValueError, match=r"\.$|for instance"):
            read_listener(told)
    assert read_listener("mail=order.placed,order.*").events == ("order.*",)


async def test_an_operator_without_the_monitoring_is_shown_streams_and_listeners(house: House):
    seen = await by_login(house.broker.operator, patience_seconds=10)
    events = next(each for each in seen.streams if each.name == EVENTS)
    assert (seen.is_up, seen.syncs_always, seen.connections) == (True, None, None)
    assert {each.name: set(each.hears) for each in events.listeners} == {
        each.name: set(each.events) for each in (BILLING, MAIL)
    }
    assert [*of_broker(seen)] == []
    assert "@" not in seen.url


async def test_a_listener_is_taken_out_once(house: House, monkeypatch: pytest.MonkeyPatch):
    gone = read_listener("gone=order.placed")
    monkeypatch.setenv("SERX_NATS_URL", f"nats://127.0.0.1:1,{house.broker.operator}")  # one of two servers is away
    await ensure_consumers(Site({}, house.broker.operator, ""), [gone])
    await asyncio.to_thread(remove, gone.name)
    with pytest.raises(Failure, match="There is no listener 'gone'"):
        await asyncio.to_thread(remove, gone.name)


async def test_a_broker_that_cannot_be_asked_is_a_fault_with_its_cause_and_no_password():
    seen = await by_login("nats://serx:wrong@127.0.0.1:1", patience_seconds=5)
    (fault, *_) = of_broker(seen)
    assert fault.startswith("The broker does not answer at nats://127.0.0.1:1 (")
