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
from deploy.proof.signers import Signers
from deploy.proof.violations import Kind, Violation

SIGNERS = 4
PROBE_SECONDS = 0.1
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
    whole_after: float
    """From its end until nothing was missing: streams, standbys, endpoints."""


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

    async def run(self, faults: Sequence[Fault], done: Callable[[], None]) -> Outcome:
        """Make these faults in this order. Raises Failure when the cluster cannot be looked at in the end."""
        began = time.monotonic()
        whom = await agencies(self._cluster)
        signers = Signers(self._cluster.gateways, whom, self._history, self._seed)
        signers.on_signed = lambda asked_at: self._completed.append((asked_at, time.monotonic()))
        writers, readers = Writers(self._cluster.gateways, whom), Readers(self._cluster.gateways, whom)
        work = asyncio.gather(signers.sign_until_over(SIGNERS), writers.work(self._seed), readers.work())
        made: list[Made] = []
        try:
            for fault in faults:
                made.append(await self._break(fault, signers, readers, began))
                done()
        except (Failure, TimeoutError) as error:  # nothing that comes after it would mean anything
            evidence = f" ({', '.join(error.evidence)})" if isinstance(error, Failure) else ""
            self._blame("the cluster becomes whole again", Kind.STUCK, f"{error}{evidence}")
        ended = time.monotonic()
        writers.end()
        readers.end()
        signers.end()
        evidence, settled_seconds = await self._settle(ended)
        await work
        await asyncio.gather(*self._probes)
        self._violations += broken(writers.written, evidence)
        for fault in writers.faults:
            self._blame("answers are successes or 503", Kind.UNTRUE, fault)
        self._check_processes()
        return Outcome(
            seed=self._seed,
            faults=made,
            calls_to_sign=self._history.asked(),
            signed=sum(saga.status == "completed" for saga in evidence.sagas),
            proposals_told=len(writers.written),
            writes=writers.calls,
            refusals=writers.refusals,
            reads=len(readers.answered),
            settled_seconds=settled_seconds,
            took_seconds=time.monotonic() - began,
            violations=self._violations,
        )

    async def _break(self, fault: Fault, signers: Signers, readers: Readers, began: float) -> Made:
        """Make one fault, ask for signatures all the while, and wait until nothing is missing any more.

        Raises Failure when that takes too long, and TimeoutError when no other database takes over.
        """
        self._say(fault.name)
        at = time.monotonic()
        promotions = len(self._cluster.databases.promoted_at)
        making = asyncio.ensure_future(fault.make(self._cluster, self._chance))
        while not making.done():
            await self._probe(signers)
        place, end = await making, time.monotonic()
        since = at
        if fault.since is Since.END:
            since = end
        elif fault.since is Since.PROMOTION and len(self._cluster.databases.promoted_at) > promotions:
            since = self._cluster.databases.promoted_at[promotions]
        while (recovery := self._recovery(since)) is None and time.monotonic() < end + PATIENCE_SECONDS:
            await self._probe(signers)
        gap = longest_gap(readers.answered, at, max(end, since))
        signatures = longest_gap([ended for _, ended in self._completed], at, end)
        if recovery is None or recovery > fault.limit_seconds:
            took = "never" if recovery is None else f"after {recovery:.1f} s"
            self._blame(
                fault.name, Kind.STUCK, f"at {place} the next signature came {took}, not {fault.limit_seconds} s"
            )
        if gap > fault.reads_seconds:
            self._blame(fault.name, Kind.STUCK, f"at {place} no read was answered for {gap:.1f} s")
        if fault.signatures_seconds is not None and signatures > fault.signatures_seconds:
            self._blame(fault.name, Kind.STUCK, f"at {place} nothing was signed for {signatures:.1f} s")
        await self._cluster.whole_within(WHOLE_SECONDS)
        self._say(f"{fault.name} at {place}: signed after {recovery and round(recovery, 2)} s, reads {gap:.1f} s")
        return Made(
            name=fault.name,
            place=place,
            at=at - began,
            lasted=end - at,
            limit=fault.limit_seconds,
            recovery=recovery,
            longest_read_gap=gap,
            longest_signature_gap=signatures,
            whole_after=time.monotonic() - end,
        )

    async def _probe(self, signers: Signers) -> None:
        probe = asyncio.create_task(signers.probe())
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
                return evidence, time.monotonic() - ended
            await asyncio.sleep(0.2)

    def _check_processes(self) -> None:
        for program in self._cluster.programs:
            for death in program.deaths:
                self._blame("no process ends itself", Kind.UNTRUE, death)
