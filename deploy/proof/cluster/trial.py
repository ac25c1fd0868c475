"""One run: signatures, proposals and reads without end, one fault after another; then every promise is looked up."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

import msgspec

from deploy.failure import Failure
from deploy.proof.checker import check
from deploy.proof.cluster.callers import Readers, Writers, longest_gap
from deploy.proof.cluster.faults import Fault, Since
from deploy.proof.cluster.promises import broken
from deploy.proof.cluster.stack import Cluster
from deploy.proof.evidence import AWAY, Evidence, gather
from deploy.proof.history import History
from deploy.proof.setting import agencies
from deploy.proof.signers import Agency, Signers
from deploy.proof.violations import Kind, Violation

SIGNERS = 4
PROBE_SECONDS = 0.15
PROBES = 120
"""Proposals that are ready to be signed when a fault begins: enough for the longest time without a signature."""
PATIENCE_SECONDS = 60.0
WHOLE_SECONDS = 90.0
SETTLE_SECONDS = 10.0


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that was made, and how things went on. Times in seconds."""

    name: str
    place: str
    at: float
    lasted: float
    limit: float
    recovery: float | None
    """Until the end of the next signature that was asked for; None: none came."""
    longest_read_gap: float
    longest_signature_gap: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run."""

    seed: str
    faults: list[Made]
    calls_to_sign: int
    signed: int
    proposals_told: int
    writes: int
    refusals: dict[int, int]
    reads: int
    settled_seconds: float
    took_seconds: float
    violations: list[Violation]


class _Callers:
    """All who call while faults go on."""

    def __init__(self, gateways: tuple[str, str], whom: Sequence[Agency], history: History, seed: str) -> None:
        self.signers = Signers(gateways, whom, history, seed, stock=PROBES)
        self.writers = Writers(gateways, whom)
        self.readers = Readers(gateways, whom)

    async def work(self, seed: str) -> None:
        await asyncio.gather(self.signers.sign_until_over(SIGNERS), self.writers.work(seed), self.readers.work())

    def end(self) -> None:
        for each in (self.writers, self.readers, self.signers):
            each.end()


def exceeded(fault: Fault, made: Made) -> list[str]:
    """The limits of its kind that a fault has exceeded, a sentence each."""
    found: list[str] = []
    if made.recovery is None or made.recovery > fault.limit_seconds:
        took = "never" if made.recovery is None else f"after {made.recovery:.1f} s"
        found.append(f"at {made.place} the next signature came {took}, not within {fault.limit_seconds:.0f} s")
    if made.longest_read_gap > fault.reads_seconds:
        found.append(f"at {made.place} no read was answered for {made.longest_read_gap:.1f} s")
    if fault.signatures_seconds is not None and made.longest_signature_gap > fault.signatures_seconds:
        found.append(f"at {made.place} nothing was signed for {made.longest_signature_gap:.1f} s")
    return found


class Trial:
    """A run on a cluster that stands."""

    def __init__(self, cluster: Cluster, history: History, seed: str, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._history = history
        self._seed = seed
        self._say = say
        self._chance = random.Random(seed)  # noqa: S311 - a seed is the point
        self._completed: list[tuple[float, float]] = []
        self._probes: set[asyncio.Task[None]] = set()
        self._violations: list[Violation] = []
        self._began = time.monotonic()

    async def run(self, faults: Sequence[Fault], done: Callable[[], None]) -> Outcome:
        """Make these faults in this order. Raises Failure when the cluster cannot be looked at in the end."""
        whom = await agencies(self._cluster)
        callers = _Callers(self._cluster.gateways, whom, self._history, self._seed)
        callers.signers.on_signed = lambda asked_at: self._completed.append((asked_at, time.monotonic()))
        work = asyncio.ensure_future(callers.work(self._seed))
        made = await self._break_all(faults, callers, done)
        ended = time.monotonic()
        callers.end()
        evidence, settled_seconds = await self._settle(ended)
        await asyncio.gather(work, *self._probes)
        self._violations += broken(callers.writers.written, evidence)
        for fault in callers.writers.faults:
            self._blame("answers are successes or 503", Kind.UNTRUE, fault)
        self._check_processes()
        return Outcome(
            seed=self._seed,
            faults=made,
            calls_to_sign=self._history.asked(),
            signed=sum(saga.status == "completed" for saga in evidence.sagas),
            proposals_told=len(callers.writers.written),
            writes=callers.writers.calls,
            refusals=callers.writers.refusals,
            reads=len(callers.readers.answered),
            settled_seconds=settled_seconds,
            took_seconds=time.monotonic() - self._began,
            violations=self._violations,
        )

    async def _break_all(self, faults: Sequence[Fault], callers: _Callers, done: Callable[[], None]) -> list[Made]:
        made: list[Made] = []
        try:
            for fault in faults:
                await self._stocked(callers.signers)
                made.append(await self._break(fault, callers))
                self._violations += [Violation(fault.name, Kind.STUCK, each) for each in exceeded(fault, made[-1])]
                await self._cluster.whole_within(WHOLE_SECONDS)
                done()
        except (Failure, TimeoutError) as error:  # nothing that comes after it would mean anything
            missing = f" ({', '.join(error.evidence)})" if isinstance(error, Failure) else ""
            self._blame("the cluster becomes whole again", Kind.STUCK, f"{error}{missing}")
        return made

    async def _stocked(self, signers: Signers) -> None:
        """Wait until enough proposals are ready. Raises TimeoutError."""
        async with asyncio.timeout(WHOLE_SECONDS):
            while not signers.is_stocked:  # noqa: ASYNC110 - nobody sets an event for us
                await asyncio.sleep(PROBE_SECONDS)

    async def _break(self, fault: Fault, callers: _Callers) -> Made:
        """Make one fault, and ask for signatures all the while, until one has come through.

        Raises TimeoutError when no other database takes over.
        """
        self._say(fault.name)
        at, promotions = time.monotonic(), len(self._cluster.databases.promoted_at)
        making = asyncio.ensure_future(fault.make(self._cluster, self._chance))
        while not making.done():
            await self._probe(callers.signers)
        place, end = await making, time.monotonic()
        since = {Since.FAULT: at, Since.END: end, Since.PROMOTION: at, Since.REPAIR: end}[fault.since]
        if fault.since in (Since.PROMOTION, Since.REPAIR):
            since = next(iter(self._cluster.databases.promoted_at[promotions:]), since)
        while (recovery := self._recovery(since)) is None and time.monotonic() < end + PATIENCE_SECONDS:
            await self._probe(callers.signers)
        made = Made(
            name=fault.name,
            place=place,
            at=at - self._began,
            lasted=end - at,
            limit=fault.limit_seconds,
            recovery=recovery,
            longest_read_gap=longest_gap(callers.readers.answered, at, max(end, since)),
            longest_signature_gap=longest_gap([ended for _, ended in self._completed], at, end),
        )
        self._say(f"{place}: signed after {recovery and round(recovery, 2)} s, reads {made.longest_read_gap:.1f} s")
        return made

    async def _probe(self, signers: Signers) -> None:
        probe = asyncio.create_task(signers.probe(once=True))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)
        await asyncio.sleep(PROBE_SECONDS)

    def _recovery(self, since: float) -> float | None:
        """Seconds from `since` to the end of the first signature that was asked for after it."""
        return min((ended - since for asked, ended in self._completed if asked >= since), default=None)

    def _blame(self, rule: str, kind: Kind, sentence: str) -> None:
        self._violations.append(Violation(rule, kind, sentence))

    async def _settle(self, ended: float) -> tuple[Evidence, float]:
        """Look until nothing is wrong, or the promised time is over. Raises Failure."""
        while True:
            looked_at = time.monotonic() - ended
            try:
                evidence = await gather(self._cluster.dsns, self._cluster.operator)
            except AWAY as error:
                if looked_at > PATIENCE_SECONDS:
                    raise Failure(f"The servers did not come back: {error!r}.") from error
                await asyncio.sleep(0.2)
                continue
            violations = check(evidence, tuple(self._history.lines))
            if not violations or looked_at > SETTLE_SECONDS:
                self._violations += violations
                return evidence, looked_at
            await asyncio.sleep(0.2)

    def _check_processes(self) -> None:
        for program in self._cluster.programs:
            for death in program.deaths:
                self._blame("no process ends itself", Kind.UNTRUE, death)
