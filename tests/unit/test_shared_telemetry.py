"""The log: what happens when it cannot be written."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from shared.telemetry import Unfailing

LOGS = """
from shared.telemetry import log, set_up_logging
set_up_logging("orders", format="json", level="info")
for number in range(2000):
    log("here").warning("a line", number=number)
print("went on")
"""


class Broken:
    def __init__(self, number: int) -> None:
        self._number = number

    def write(self, text: str) -> int:
        raise OSError(self._number, "refused")

    def flush(self) -> None:
        raise OSError(self._number, "refused")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EPIPE])
def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(number: int):
    stream = Unfailing(Broken(number))  # pyright: ignore[reportArgumentType]  # only what a log calls
    assert stream.write("a line") == 0
    stream.flush()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
def test_a_process_whose_log_is_on_a_full_disk_goes_on():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run((sys.executable, "-c", LOGS), stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert done.stdout == "went on\n"
