"""The envelope: CloudEvents in NATS headers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.envelope import MAX_KEY_LENGTH, Envelope, Undecodable, read_envelope, spell_time

ENVELOPE = Envelope(
    id="saga.order",
    type="orders.place.v1",
    source="proposals",
    time="2026-02-08T12:00:00Z",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    key="saga.order",
    reply_to="rep.orders.replica.saga.order",
    request_id="0af7651916cd43dd",
)
TEXT = st.text(min_size=1, max_size=MAX_KEY_LENGTH).filter(lambda text: "\0" not in text)


def test_an_envelope_is_read_as_it_was_written():
    assert read_envelope(ENVELOPE.headers("saga.order.1")) == ENVELOPE


@given(id=TEXT, type=TEXT, key=TEXT, reply_to=TEXT)
def test_any_text_is_read_as_it_was_written(id: str, type: str, key: str, reply_to: str):
    envelope = Envelope(id=id, type=type, source="s", time="t", key=key, reply_to=reply_to)
    assert read_envelope(envelope.headers()) == envelope


def test_it_is_a_cloud_event_in_binary_mode():
    headers = ENVELOPE.headers("saga.order.1")
    assert headers["ce-specversion"] == "1.0"
    assert {name for name in headers if name.startswith("ce-")} == {
        *("ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time"),
    }
    assert headers["content-type"] == "application/json"


def test_the_stream_deduplicates_by_the_attempt_and_the_receiver_by_the_key():
    first, second = ENVELOPE.headers("saga.order.1"), ENVELOPE.headers("saga.order.2")
    assert first["Nats-Msg-Id"] != second["Nats-Msg-Id"]
    assert read_envelope(first).key == read_envelope(second).key


def test_without_more_the_id_is_both():
    headers = Envelope(id="event", type="t", source="s", time="now").headers()
    assert headers["Nats-Msg-Id"] == "event"
    assert "serx-key" not in headers
    assert read_envelope(headers).key == "event"


@pytest.mark.parametrize("missing", ["ce-id", "ce-type", "ce-source", "ce-time"])
def test_a_header_that_is_missing_is_named(missing: str):
    headers = ENVELOPE.headers()
    del headers[missing]
    with pytest.raises(Undecodable, match=missing):
        read_envelope(headers)


@pytest.mark.parametrize("headers", [None, {}])
def test_without_headers_there_is_no_envelope(headers: dict[str, str] | None):
    with pytest.raises(Undecodable):
        read_envelope(headers)


@pytest.mark.parametrize("key", ["\0", "k" * (MAX_KEY_LENGTH + 1)])
def test_a_key_that_no_database_would_keep_is_refused(key: str):
    with pytest.raises(Undecodable, match="unusable"):
        read_envelope(ENVELOPE.headers() | {"serx-key": key})


def test_other_headers_are_ignored():
    assert read_envelope(ENVELOPE.headers() | {"Nats-Expected-Stream": "COMMANDS", "x": "y"}) == ENVELOPE


def test_times_are_spelled_in_utc():
    assert spell_time(datetime(2026, 2, 8, 12, 0, 0, 123456, tzinfo=UTC)) == "2026-02-08T12:00:00.123456Z"
