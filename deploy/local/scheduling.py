"""How the kernel runs what we start: nearly everything ends what it is at before the next one has its turn.

A signature wakes a dozen processes some ninety times. Whoever wakes may by default interrupt whoever runs, which then
goes on with cold caches and answers later. As batch work (sched(7)) processes take turns, and share the processors just
the same. Only the broker may interrupt: it waits for the disk after each event, and would fall behind if it then waited
for its turn as well. And its Go runtime looks after its threads every 20 µs while it has anything to do; with timers
that may be late by TIMER_SLACK_NS it is woken a third as often, and takes a quarter less of the processors.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

TIMER_SLACK_NS = 1_000_000
"""No timer of ours is as fine as that."""
_PR_SET_TIMERSLACK = 29


def scheduling(*, may_interrupt: bool = False) -> Callable[[], None]:
    """For a child on Linux to call before it becomes a program; whatever that starts inherits it.

    Where the kernel refuses, as a sandbox may, everything runs as it would have.
    """
    libc = ctypes.CDLL(None)
    parameters = ctypes.c_int(0)  # struct sched_param: the priority, which batch work does not have

    def ask() -> None:
        if not may_interrupt:
            libc.sched_setscheduler(0, os.SCHED_BATCH, ctypes.byref(parameters))
        libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(TIMER_SLACK_NS))

    return ask
