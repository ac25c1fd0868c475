"""Which of a stream's answers mean that it has kept a message."""

from __future__ import annotations

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.messaging.acks import Acks

ANSWERS = {
    "it is kept": (b'{"stream":"EVENTS","seq":7}', True),
    "the id was seen before, which a message that could not be written was too": (
        b'{"stream":"EVENTS","seq":7,"duplicate":true}',
        False,
    ),
    "there is no room, said by the stream with its name": (
        b'{"error":{"code":503,"err_code":10023,"description":"insufficient resources"},"stream":"EVENTS","seq":0}',
        False,
    ),
    "there is no stream": (b"", False),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_message_is_kept_only_when_the_stream_says_that_it_wrote_it(answer: str):
    data, is_kept = ANSWERS[answer]
    acks = Acks("_INBOX_orders.acks")
    reply, kept = acks.expect()
    await acks.hear(Msg(_client=Client(), subject=reply, data=data))
    assert kept.result() is is_kept
