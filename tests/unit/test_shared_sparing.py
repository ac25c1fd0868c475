"""Logging that costs nobody their answer: warnings by the thousand, and a log that cannot be written."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from shared import telemetry
from shared.metrics import LOG_LINES_LOST
from shared.sparing import Sparing
from tests.support.servers import until


async def test_the_first_is_logged_at_once_and_the_rest_as_one_with_its_number():
    with capture_logs() as lines:
        warnings = Sparing(structlog.stdlib.get_logger(), interval_seconds=0.2)
        for number in range(1000):
            warnings.warning("service away", "orders", number=number)
        warnings.warning("service away", "identity", number=0)
        assert [(line["about"], line.get("times")) for line in lines] == [("orders", None), ("identity", None)]
        await until(lambda: len(lines) == 3)
    assert (lines[2]["about"], lines[2]["times"], lines[2]["number"]) == ("orders", 999, 999)


async def test_after_the_interval_the_next_is_a_first_again():
    with capture_logs() as lines:
        warnings = Sparing(structlog.stdlib.get_logger(), interval_seconds=0.05)
        warnings.warning("service away", "orders")
        await until(lambda: not warnings._held_back)
        warnings.warning("service away", "orders")
    assert [line.get("times") for line in lines] == [None, None]


class FullDisk:
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("text", ["a line\n", "\ud800 no text\n"])
def test_a_line_that_cannot_be_written_is_counted_and_raises_nothing(text: str):
    before = LOG_LINES_LOST._value.get()
    stream = telemetry.Unfailing(FullDisk())  # pyright: ignore[reportArgumentType]
    stream.write(text)
    stream.flush()
    assert LOG_LINES_LOST._value.get() > before
