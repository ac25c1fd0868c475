"""A broker that cannot be reached is reported at once, and in one sentence."""

from __future__ import annotations

import asyncio
import logging

import pytest

from deploy.failure import Failure
from deploy.operators.site import Site
from shared.messaging.connection import connected

AWAY = "nats://127.0.0.1:1"


@pytest.mark.parametrize("url", [AWAY, f"{AWAY},nats://127.0.0.1:2"])
async def test_each_server_is_tried_once_and_the_cause_is_raised(url: str, caplog: pytest.LogCaptureFixture):
    async with asyncio.timeout(2):
        with pytest.raises(ConnectionRefusedError):
            async with connected(url):
                pytest.fail("nobody listens on these ports")
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_an_operators_command_says_why_the_broker_cannot_be_reached():
    async with asyncio.timeout(2):
        with pytest.raises(Failure, match=r"The broker cannot be reached \(.*Connect call failed.*\)\. Up\?"):
            async with Site({}, AWAY, "Up?").stream():
                pytest.fail("nobody listens on this port")
