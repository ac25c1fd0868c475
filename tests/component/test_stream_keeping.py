"""Streams and consumers that are not as they are to be: seen by the services, put right by the stream keeper."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import nats
import nats.errors
import pytest

from deploy.failure import Failure
from deploy.local.ports import HOST
from deploy.streams import streams
from shared.messaging import stream_keeper, topology
from shared.messaging.bus import end
from shared.messaging.stream_api import ApiRefused, StreamApi
from shared.messaging.stream_layout import consumer_config, consumer_differences, stream_config, stream_differences
from shared.messaging.streams import StreamWatch
from shared.messaging.topology import COMMANDS, EVENTS, STREAM_KEEPER, STREAMS
from tests.support import servers
from tests.support.servers import NATS_URL, Broker, until

pytestmark = pytest.mark.skipif(bool(NATS_URL), reason="needs a broker with a user for each process")


@asynccontextmanager
async def operator(broker: Broker) -> AsyncIterator[StreamApi]:
    """The API as a user who may do everything."""
    async with await nats.connect(broker.operator) as connection:

        async def ask(subject: str, body: bytes) -> bytes:
            return (await connection.request(subject, body, timeout=5)).data

        yield StreamApi(ask)


@asynccontextmanager
async def server(root) -> AsyncIterator[Broker]:
    """A NATS over which nobody watches."""
    async with servers.nats_server(root, watched=False) as broker:
        yield broker


async def look(broker: Broker, user: str = STREAM_KEEPER, *, replicas: int = 1) -> stream_keeper.Look:
    async with stream_keeper.connected(broker.url(user), replicas=replicas) as keeper:
        return await keeper.look()


async def call(broker: Broker, subject: str, body: Any) -> dict[str, Any]:
    """What the operator is answered."""
    async with await nats.connect(broker.operator) as connection:
        return msgspec.json.decode((await connection.request(subject, msgspec.json.encode(body), timeout=5)).data)


STREAM_CHANGES: dict[str, dict[str, Any]] = {
    "republish": {"republish": {"src": "evt.*.message.evil", "dest": "now.engagements.open"}},
    "max_msgs": {"max_msgs": 1},
    "max_bytes": {"max_bytes": 1_000_000},
    "max_msg_size": {"max_msg_size": 10},
    "max_age": {"max_age": 1_000_000_000, "duplicate_window": 1_000_000_000},
    "duplicate_window": {"duplicate_window": 100_000_000},
    "subjects": {"subjects": ["nothing.here"]},
    "discard": {"discard": "new"},
    "allow_direct": {"allow_direct": True},
    "allow_rollup_hdrs": {"allow_rollup_hdrs": True},
    "max_msgs_per_subject": {"max_msgs_per_subject": 1},
    "description": {"description": "somebody was here"},
    "metadata": {"metadata": {"somebody": "was here"}},
    "compression": {"compression": "s2"},
    "subject_transform": {"subject_transform": {"src": "evt.>", "dest": "evt.x.>"}},
}


@pytest.mark.parametrize("field", STREAM_CHANGES)
async def test_a_stream_that_differs_in_a_field_is_put_right(tmp_path, field: str):
    async with server(tmp_path / "nats") as broker:
        assert all(deed.made for deed in (await look(broker)).deeds)
        changed = stream_config(EVENTS).as_dict() | STREAM_CHANGES[field]
        answer = await call(broker, f"$JS.API.STREAM.UPDATE.{EVENTS}", changed)
        assert "error" not in answer, answer
        assert field in stream_differences(answer["config"])
        seen = await look(broker)
        assert seen.refused == ()
        assert [field in deed.sentence for deed in seen.deeds] == [True]
        async with operator(broker) as api:
            assert stream_differences((await api.stream(EVENTS)).config, replicas=1) == ()
        assert (await look(broker)).deeds == ()


CONSUMER_CHANGES: dict[str, dict[str, Any]] = {
    "deliver_subject": {"deliver_subject": "now.engagements.open"},
    "filter_subjects": {"filter_subjects": ["evt.>"]},
    "ack_wait": {"ack_wait": 3_600_000_000_000},
    "max_ack_pending": {"max_ack_pending": 1},
    "max_deliver": {"max_deliver": 1},
    "headers_only": {"headers_only": True},
    "ack_policy": {"ack_policy": "none", "max_ack_pending": 0, "max_deliver": -1},
    "deliver_policy": {"deliver_policy": "new"},
    "pause_until": {"pause_until": "2999-01-01T00:00:00Z"},
}


@pytest.mark.parametrize("field", CONSUMER_CHANGES)
async def test_a_consumer_that_differs_in_a_field_is_put_right(tmp_path, field: str):
    async with server(tmp_path / "nats") as broker:
        await look(broker)
        changed = consumer_config("orders", EVENTS).as_dict() | CONSUMER_CHANGES[field]
        async with operator(broker) as api:
            await api.delete_consumer(EVENTS, "orders")
            body = {"stream_name": EVENTS, "config": changed}
            answer = await call(broker, f"$JS.API.CONSUMER.CREATE.{EVENTS}.orders", body)
            assert "error" not in answer, answer
            assert field in consumer_differences(answer["config"], "orders", EVENTS)
            seen = await look(broker)
            assert seen.refused == ()
            assert [field in deed.sentence for deed in seen.deeds] == [True]
            found = await api.consumer(EVENTS, "orders")
            assert consumer_differences(found.config, "orders", EVENTS) == ()


@pytest.mark.parametrize("greeting", [b"", b"INFO {}\r\n-ERR 'Authorization Violation'\r\n"], ids=["none", "refusal"])
async def test_no_connection_stays_open_to_a_server_that_does_not_let_us_in(greeting: bytes):
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()
        ended.set()
        writer.close()

    async with await asyncio.start_server(listen, HOST, 0) as there:
        with pytest.raises(stream_keeper.AWAY) as refusal:
            async with stream_keeper.connected(f"nats://{HOST}:{there.sockets[0].getsockname()[1]}", replicas=1):
                pytest.fail("it is connected")
        assert refusal.traceback  # what holds the client is still held
        async with asyncio.timeout(10):
            await ended.wait()


async def test_what_is_missing_is_made_and_what_is_right_is_left_alone(tmp_path):
    async with server(tmp_path / "nats") as broker, operator(broker) as api:
        made = await look(broker)
        assert len(made.deeds) == 2 + sum(len(each.consumes) for each in topology.TRAFFIC.values())
        before = [(await api.stream(name)).created for name in STREAMS]
        assert (await look(broker)) == stream_keeper.Look((), ())
        assert [(await api.stream(name)).created for name in STREAMS] == before


async def test_what_the_server_lets_nobody_change_is_reported_and_renewed_by_the_operator_alone(tmp_path):
    async with server(tmp_path / "nats") as broker:
        await look(broker)
        sealed = stream_config(EVENTS).as_dict() | {"sealed": True}
        assert "error" not in await call(broker, f"$JS.API.STREAM.UPDATE.{EVENTS}", sealed)
        seen = await look(broker)
        assert [EVENTS in sentence for sentence in seen.refused] == [True]
        async with stream_keeper.connected(broker.url(STREAM_KEEPER), replicas=1) as keeper:
            with pytest.raises(nats.errors.Error):
                await asyncio.wait_for(keeper.renew(EVENTS), 20)
        async with stream_keeper.connected(broker.operator, replicas=1) as keeper:
            await keeper.renew(EVENTS)
            again = await keeper.look()
        assert (again.refused, all(deed.made for deed in again.deeds)) == ((), True)


async def test_a_keeper_that_goes_on_puts_right_what_is_changed_and_makes_what_is_lost(tmp_path):
    async with server(tmp_path / "nats") as broker:
        reported: list[str] = []
        keeping = asyncio.create_task(stream_keeper.keep(broker.url(STREAM_KEEPER), reported.append))
        async with operator(broker) as api:
            await until(lambda: all_there(api))
            changed = stream_config(EVENTS).as_dict() | STREAM_CHANGES["republish"]
            assert "error" not in await call(broker, f"$JS.API.STREAM.UPDATE.{EVENTS}", changed)
            await until(lambda: reported)
            assert "republish" in reported[0]
        await broker.kill()
        broker.forget()
        await broker.start()
        async with operator(broker) as api:
            await until(lambda: all_there(api))
        assert len(reported) == 1
        await end([keeping])


def test_copies_are_taken_away_once_and_not_again_and_again(monkeypatch):
    monkeypatch.setenv("SERX_NATS_URL", "nats://nobody@127.0.0.1:1")
    with pytest.raises(Failure, match="leave --watch out"):
        streams(watch=True, lower=True)


async def all_there(api: StreamApi) -> bool:
    try:
        for name in STREAMS:
            await api.stream(name)
        for process, traffic in topology.TRAFFIC.items():
            for name in traffic.consumes:
                await api.consumer(name, process)
    except ApiRefused:
        return False
    return True


async def test_a_service_sees_what_differs_and_that_it_is_right_again(tmp_path):
    async with server(tmp_path / "nats") as broker, broker.bus("orders") as bus:
        seen: list[tuple[str, str]] = []

        async def created(name: str, at: str) -> None:
            seen.append((name, at))

        watch = StreamWatch("orders", bus, created)
        watching = asyncio.create_task(watch.run())
        assert watch.all_there is False
        await look(broker)
        await until(lambda: watch.all_there)
        assert set(watch.differences.values()) == {()}
        assert {name for name, _ in seen} == {EVENTS}
        changed = stream_config(EVENTS).as_dict() | STREAM_CHANGES["republish"]
        assert "error" not in await call(broker, f"$JS.API.STREAM.UPDATE.{EVENTS}", changed)
        await until(differs(watch, ("republish",)))
        (metric,) = watch.gauges()
        values = {sample.labels["name"]: sample.value for sample in metric.samples}
        assert values == {COMMANDS: 0, EVENTS: 1, f"{COMMANDS}.orders": 0, f"{EVENTS}.orders": 0}
        assert watch.all_there
        await look(broker)
        await until(differs(watch, ()))
        await end([watching])


async def test_what_was_seen_of_the_streams_ends_with_the_connection(tmp_path):
    async with server(tmp_path / "nats") as broker, broker.bus("orders") as bus:
        watch = StreamWatch("orders", bus, unnoticed)
        seen: list[bool] = []

        async def lost() -> None:
            seen.append(watch.all_there)

        bus.on_disconnect(lost)
        watching = asyncio.create_task(watch.run())
        await look(broker)
        await until(lambda: watch.all_there)
        await broker.kill()
        await until(lambda: seen)
        assert seen == [False]
        await end([watching])


async def unnoticed(name: str, at: str) -> None:
    """What is done with a stream's age, where it is of no interest."""


def differs(watch: StreamWatch, fields: tuple[str, ...]) -> Callable[[], bool]:
    return lambda: watch.differences[EVENTS] == fields
