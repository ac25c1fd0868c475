"""The storm: signatures without end, faults upon faults; then silence, and the checker."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from deploy.failure import Failure
from deploy.proof.checker import HANDLED, check
from deploy.proof.evidence import AWAY, Evidence, gather
from deploy.proof.faults import FAULTS, Fault
from deploy.proof.history import History
from deploy.proof.setting import agencies
from deploy.proof.signers import Signers
from deploy.proof.stack import Stack
from deploy.proof.violations import Violation
from shared.messaging.topology import ACK_WAIT_SECONDS

SIGNERS = 6
UNHURRIED = 0.8
"""How many of the faults are followed by a wait until a signature has come through; the others come upon each other."""
PAUSE_SECONDS = 0.2
PROBE_SECONDS = 0.1
RECOVERY_PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.2
START_SECONDS = 60.0
SETTLE_SECONDS = 10.0
"""The promise: so long after the last fault, every flow is over."""
ACKS_SECONDS = SETTLE_SECONDS + 2 * ACK_WAIT_SECONDS
"""A command whose flow is over and whose ack was lost comes once more after AckWait, which ends nobody's waiting."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a storm: where it was made, when, and what came of it."""

    at: float
    """Seconds since the storm began."""
    name: str
    place: str
    """The process, database or connections that it was made of."""
    lasted_seconds: float
    """Until it was over: nothing for a kill. What it broke may take longer to come back."""
    recovery_seconds: float | None = None
    """Until the end of the next signature that was asked for after it; None when it was not timed."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a storm."""

    seed: str
    timeline: list[Made]
    """Every fault, in the order in which they began."""
    calls: int
    proposals: int
    signed: int
    refused: int
    manners: dict[str, int]
    repeated: int
    poison: int
    settled_seconds: float
    last_to_settle: list[str]
    took_seconds: float
    violations: list[Violation]


class Storm:
    """One run on a stack."""

    def __init__(self, stack: Stack, history: History, seed: str, progress: Callable[[], None]) -> None:
        self._stack = stack
        self._history = history
        self._seed = seed
        self._chance = random.Random(seed)  # noqa: S311 - a seed is the point
        self._progress = progress
        self._began = time.monotonic()
        self._times: dict[int, float] = {}
        """Seconds to the next signature, by the number of the fault."""
        self._signed = asyncio.Event()
        self._latest_asked = 0.0
        self._is_calm = True
        self._made: list[asyncio.Task[Made]] = []
        self._probes: list[asyncio.Task[None]] = []
        self._last_to_settle: list[Violation] = []

    async def run(self, kills: int, faults: Sequence[Fault] = FAULTS) -> Outcome:
        """Make `kills` of the `faults`, one after and upon another. Raises Failure when the stack cannot start."""
        self._began = time.monotonic()
        signers = Signers(self._stack.gateways, await agencies(self._stack), self._history, self._seed)
        signers.on_signed = self._on_signed
        work = asyncio.create_task(signers.sign_until_over(SIGNERS))
        for _ in range(kills):
            await self._break(signers, self._chance.choices(faults, [fault.weight for fault in faults])[0])
            self._progress()
        made = await asyncio.gather(*self._made)
        last_fault = time.monotonic()
        signers.end()
        violations, evidence, settled_seconds = await self._settle(last_fault)
        await asyncio.gather(work, *self._probes)
        return Outcome(
            seed=self._seed,
            timeline=[replace(each, recovery_seconds=self._times.get(n)) for n, each in enumerate(made)],
            calls=self._history.asked(),
            proposals=len(evidence.proposals),
            signed=sum(saga.status == "completed" for saga in evidence.sagas),
            refused=sum(saga.status == "rejected" for saga in evidence.sagas),
            manners={manner.value: count for manner, count in signers.manners.items()},
            repeated=self._stack.broker.repeated,
            poison=len(self._stack.poison),
            settled_seconds=settled_seconds,
            last_to_settle=sorted({violation.sentence for violation in self._last_to_settle}),
            took_seconds=time.monotonic() - self._began,
            violations=violations,
        )

    async def _break(self, signers: Signers, fault: Fault) -> None:
        """Make the fault, and mostly wait until signatures come through again."""
        await asyncio.sleep(self._chance.random() * PAUSE_SECONDS)
        is_alone, at, number = self._is_calm, time.monotonic(), len(self._made)
        self._made.append(asyncio.create_task(self._make(fault, at)))
        self._is_calm = self._chance.random() < UNHURRIED and await self._recovered(signers, at)
        if not self._is_calm:
            return
        if is_alone:
            self._times[number] = time.monotonic() - at
        await asyncio.gather(*self._made)

    async def _make(self, fault: Fault, at: float) -> Made:
        place = await fault.make(self._stack, self._chance)
        lasted_seconds = time.monotonic() - at
        return Made(at=at - self._began, name=fault.name, place=place, lasted_seconds=lasted_seconds)

    async def _recovered(self, signers: Signers, at: float) -> bool:
        """Ask for another signature every PROBE_SECONDS, until one that was asked for after `at` is complete."""
        deadline = at + RECOVERY_PATIENCE_SECONDS
        while self._latest_asked < at and time.monotonic() < deadline:
            self._probes.append(asyncio.create_task(signers.probe()))
            self._signed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._signed.wait()
        return self._latest_asked >= at

    def _on_signed(self, asked_at: float) -> None:
        self._latest_asked = max(self._latest_asked, asked_at)
        self._signed.set()

    async def _settle(self, last_fault: float) -> tuple[list[Violation], Evidence, float]:
        """Look again and again until nothing is wrong, or until the promised time is over; says when it was right."""
        while True:
            looked_at = time.monotonic() - last_fault
            try:
                evidence = await gather(self._stack.dsns, self._stack.nats_operator)
            except AWAY as error:
                if looked_at > START_SECONDS:
                    raise Failure(f"The servers did not come back: {error!r}.") from error
                await asyncio.sleep(LOOK_SECONDS)
                continue
            violations = check(evidence, tuple(self._history.lines), poison=self._stack.poison)
            are_acks = all(violation.rule == HANDLED for violation in violations)
            if not violations or looked_at > (ACKS_SECONDS if are_acks else SETTLE_SECONDS):
                return violations, evidence, time.monotonic() - last_fault
            self._last_to_settle = violations
            await asyncio.sleep(LOOK_SECONDS)
