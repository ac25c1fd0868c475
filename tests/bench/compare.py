"""The comparison: each contender in turn, part by part, and all of that again, so that a slow minute is everybody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from tests.bench.contender import DURABLE, Contender
from tests.bench.load import Calls, Outcome, many_at_once, one_at_a_time, steadily
from tests.bench.processes import cpu_seconds
from tests.bench.results import LOAD, Measurement, Part

PARTS: tuple[Part, ...] = ("retrieve", "list", "sign")
"""Reads first: everybody reads as many rows, whoever signs faster."""
CONCURRENCIES = (1, 16, 32)
MOST_PER_SECOND = 4000
"""More signatures than anybody manages."""
_IN_FLIGHT = 64


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and for how many seconds each time."""

    repeats: int
    alone_seconds: float
    crowd_seconds: int
    warm_up_seconds: float


NORMAL = Pace(repeats=5, alone_seconds=3.0, crowd_seconds=4, warm_up_seconds=1.0)
QUICK = Pace(repeats=1, alone_seconds=1.0, crowd_seconds=3, warm_up_seconds=0.3)


async def compare(
    contenders: Sequence[Contender], parts: Sequence[Part], pace: Pace, folder: Path
) -> AsyncIterator[Measurement]:
    """Measure; yields each as it is known."""
    for part in parts:
        for contender in _of(part, contenders):
            await _warm_up(contender, part, pace, folder)
        for repeat in range(pace.repeats):
            for concurrency in CONCURRENCIES:
                for contender in _rotated(_of(part, contenders), repeat):
                    seconds = pace.alone_seconds if concurrency == 1 else pace.crowd_seconds
                    yield await measure(contender, part, concurrency, repeat, seconds, folder)


async def measure(
    contender: Contender, part: Part, concurrency: int, repeat: int, seconds: float, folder: Path
) -> Measurement:
    calls = await _calls(contender, part, seconds)
    before = cpu_seconds(contender.trees)
    outcome = await _load(contender, calls, concurrency, seconds, folder)
    after = cpu_seconds(contender.trees)
    used = {name: after[name] - before[name] for name in contender.trees} | {LOAD: outcome.generator_cpu_seconds}
    return Measurement(
        part=part,
        contender=contender.name,
        concurrency=concurrency,
        repeat=repeat,
        requests=outcome.requests,
        per_second=outcome.requests / outcome.seconds,
        quantiles_ms=outcome.quantiles_ms,
        cpu_ms={name: seconds_used * 1000 / outcome.requests for name, seconds_used in used.items()},
    )


async def _calls(contender: Contender, part: Part, seconds: float) -> Calls:
    """Enough calls for that long; what they need is written now, before anything is measured."""
    if part == "sign":
        return await contender.signing(int(seconds * MOST_PER_SECOND))
    return contender.retrieving() if part == "retrieve" else contender.listing()


async def load(
    contender: Contender, part: Part, concurrency: int, seconds: float, folder: Path, *, per_second: int | None = None
) -> Outcome:
    """Call without a pause, or one at a time and `per_second`."""
    calls = await _calls(contender, part, seconds)
    return await _load(contender, calls, concurrency, seconds, folder, per_second)


async def _load(
    contender: Contender, calls: Calls, concurrency: int, seconds: float, folder: Path, per_second: int | None = None
) -> Outcome:
    outcome = await asyncio.to_thread(_run, calls, concurrency, seconds, folder, per_second)
    if calls.once:
        # Calls under way at the end are not counted, but may have signed.
        contender.signed(outcome.requests + (_IN_FLIGHT if concurrency > 1 else 0))
    return outcome


async def _warm_up(contender: Contender, part: Part, pace: Pace, folder: Path) -> None:
    """One at a time, and as many at once as open all connections."""
    for concurrency, seconds in ((1, pace.warm_up_seconds), (CONCURRENCIES[-1], pace.crowd_seconds)):
        await load(contender, part, concurrency, seconds, folder)


def _run(calls: Calls, concurrency: int, seconds: float, folder: Path, per_second: int | None) -> Outcome:
    if per_second is not None:
        return steadily(calls, per_second=per_second, seconds=seconds)
    if concurrency == 1:
        return one_at_a_time(calls, seconds=seconds)
    return many_at_once(calls, folder, connections=concurrency, seconds=seconds)


def _of(part: Part, contenders: Sequence[Contender]) -> list[Contender]:
    """DBOS makes signing durable; it reads as the monolith does."""
    return [contender for contender in contenders if part == "sign" or contender.name != DURABLE]


def _rotated(contenders: list[Contender], repeat: int) -> list[Contender]:
    first = repeat % len(contenders)
    return contenders[first:] + contenders[:first]
