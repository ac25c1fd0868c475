"""What is promised of speed and size, and whether a run kept it. Ratios are of medians within the one run."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import msgspec

from tests.bench import growth
from tests.bench.contender import DURABLE, FLOOR, MONOLITH, OURS
from tests.bench.results import Part, Results

MEBIBYTE = 1024 * 1024
SMALL, LARGE = 1_000, 1_000_000


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One promise; `measured` is None when the run did not look at it."""

    what: str
    limit: float
    unit: str
    at_least: bool = False
    measured: float | None

    @property
    def is_met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def spelled(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {spell(self.limit, self.unit)}"


def spell(value: float | None, unit: str) -> str:
    if value is None:
        return "not measured"
    return f"{value:.0f} {unit}" if unit == "MB" else f"{value:.2f} {unit}"


def targets(results: Results) -> list[Target]:
    """All of them, in the order in which they are promised."""
    return [*_signing(results), *_reading(results), *_gateway(results), *_growing(results), *_rest(results)]


def _signing(results: Results) -> Iterator[Target]:
    p50 = p50_ms(results, "sign", OURS)
    yield _target("sign, known client, p50 one at a time", 3.0, "ms", p50)
    for peer, limit in ((MONOLITH, 0.6), (FLOOR, 5.0), (DURABLE, 0.4)):
        yield _target(f"sign, p50 against {_the(peer)}", limit, "×", _ratio(p50, p50_ms(results, "sign", peer)))
    p99 = _median(m.p99_ms for m in results.measurements if (m.part, m.contender, m.concurrency) == ("sign", OURS, 1))
    yield _target("sign, p99 against its p50", 2.5, "×", _ratio(p99, p50))
    yield _throughput(results, "sign", "sign, throughput at 16 against FastAPI", 2.0)


def _reading(results: Results) -> Iterator[Target]:
    p50, theirs = p50_ms(results, "retrieve", OURS), p50_ms(results, "retrieve", MONOLITH)
    yield _target("retrieve a project, p50 against FastAPI", 0.6, "×", _ratio(p50, theirs))
    yield _throughput(results, "retrieve", "retrieve a project, throughput at 16 against FastAPI", 2.5)
    yield _throughput(results, "list", "list 20 projects with total, throughput at 16 against FastAPI", 2.5)


def _gateway(results: Results) -> Iterator[Target]:
    added = added_ms(results, "gateway")
    yield _target("the gateway adds to p50", 0.3, "ms", added)
    yield _target("the gateway adds, against nginx", 5.0, "×", _ratio(added, added_ms(results, "nginx")))


def _growing(results: Results) -> Iterator[Target]:
    for call in (growth.FIRST, growth.FILTERED):
        ratio = _ratio(grown_ms(results, call, LARGE), grown_ms(results, call, SMALL))
        yield _target(f"{call} at 1 M projects against 1 k", 1.5, "×", ratio)
    deep = _ratio(grown_ms(results, growth.DEEP, LARGE), grown_ms(results, growth.FIRST_LARGE, LARGE))
    yield _target("deep page by links.next at 1 M projects against the first", 2.0, "×", deep)


def _rest(results: Results) -> Iterator[Target]:
    told = _median(told.quantiles_ms[99] for told in results.told if told.concurrency == 1 and told.per_second is None)
    yield _target("event, from commit to consumer, p99", 5.0, "ms", told)
    idle, soaked = memory_mib(results, soaked=False), memory_mib(results, soaked=True)
    yield _target("memory of the six processes, idle", 600.0, "MB", idle)
    yield _target("memory after 100 k requests, against idle", 1.1, "×", _ratio(soaked, idle))


def p50_ms(results: Results, part: Part, contender: str, concurrency: int = 1) -> float | None:
    wanted = (part, contender, concurrency)
    return _median(m.p50_ms for m in results.measurements if (m.part, m.contender, m.concurrency) == wanted)


def per_second(results: Results, part: Part, contender: str, concurrency: int) -> float | None:
    wanted = (part, contender, concurrency)
    return _median(m.per_second for m in results.measurements if (m.part, m.contender, m.concurrency) == wanted)


def added_ms(results: Results, way: str) -> float | None:
    """The median over repeats of what the way's p50 is above the direct one's of the same repeat."""
    direct = {way.repeat: way.quantiles_ms[50] for way in results.ways if way.way == "direct"}
    return _median(found.quantiles_ms[50] - direct[found.repeat] for found in results.ways if found.way == way)


def grown_ms(results: Results, call: str, projects: int) -> float | None:
    return _median(grown.p50_ms for grown in results.grown if (grown.call, grown.projects) == (call, projects))


def memory_mib(results: Results, *, soaked: bool) -> float | None:
    ours = (memory for memory in results.memory if memory.contender == OURS and bool(memory.after_requests) == soaked)
    return _median(sum(memory.resident.values()) / MEBIBYTE for memory in ours)


def _throughput(results: Results, part: Part, what: str, limit: float) -> Target:
    ratio = _ratio(per_second(results, part, OURS, 16), per_second(results, part, MONOLITH, 16))
    return Target(what=what, limit=limit, unit="×", at_least=True, measured=ratio)


def _target(what: str, limit: float, unit: str, measured: float | None) -> Target:
    return Target(what=what, limit=limit, unit=unit, measured=measured)


def _the(peer: str) -> str:
    return {MONOLITH: "FastAPI", FLOOR: "the floor", DURABLE: "DBOS"}[peer]


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    """None also against nothing, or less: within its noise there was no difference to compare with."""
    return None if ours is None or theirs is None or theirs <= 0 else ours / theirs


def _median(values: Iterator[float]) -> float | None:
    found = list(values)
    return median(found) if found else None
