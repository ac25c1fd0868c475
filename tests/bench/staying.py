"""Memory, of everything idle and after a great many requests; and how long a start takes on data that is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench import ours
from tests.bench.compare import measure
from tests.bench.contender import OURS, Contender
from tests.bench.processes import Trees, memory_bytes, resident_bytes
from tests.bench.results import Memory, Part, Start
from tests.support.installation import Installation

SETTLE_SECONDS = 5.0
SOAK: dict[Part, int] = {"retrieve": 60_000, "list": 30_000, "sign": 10_000}
"""How many requests of each part."""
CONNECTIONS = 16
SLICE_SECONDS = 5


async def memory(name: str, trees: Trees, *, after_requests: int) -> Memory:
    """What each process of `trees` holds, once it has been left alone for a moment."""
    await asyncio.sleep(SETTLE_SECONDS)
    return Memory(
        contender=name,
        after_requests=after_requests,
        proportional=memory_bytes(trees),
        resident={process: resident_bytes(pid) for process, pid in trees.items()},
    )


async def soak(installation: Installation, contender: Contender, folder: Path, *, share: float) -> Memory:
    """Answer SOAK requests (or a share of them), and look at the memory of the six processes then."""
    answered = 0
    for part, count in SOAK.items():
        left = count * share
        while left > 0:
            measured = await measure(contender, part, CONNECTIONS, 0, SLICE_SECONDS, folder)
            left -= measured.requests
            answered += measured.requests
    return await memory(OURS, ours.six(installation), after_requests=answered)


async def starts(root: Path, *, repeats: int) -> AsyncIterator[Start]:
    """Start `serx up` again and again on the data in `root`: database and broker included, until all is ready."""
    async with ours.started(root):
        pass  # makes the data
    for repeat in range(repeats):
        began = time.monotonic()
        async with ours.started(root):
            yield Start(contender=OURS, repeat=repeat, seconds=time.monotonic() - began)
