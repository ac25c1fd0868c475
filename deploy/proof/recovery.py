"""How soon a signature goes through again after something was killed while nothing else was going on."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.proof.checker import check
from deploy.proof.evidence import AWAY, gather
from deploy.proof.history import History
from deploy.proof.report import Recovery, recovery_of, wrong
from deploy.proof.setting import agencies
from deploy.proof.signers import Signers
from deploy.proof.stack import SECOND, Stack
from deploy.proof.violations import Violation
from shared.messaging.topology import SERVICES

PROBE_SECONDS = 0.05
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 30.0
SETTLE_SECONDS = 10.0


class Case(msgspec.Struct, frozen=True):
    """What is killed, and within how many seconds a signature that is asked for after that has to be complete."""

    name: str
    victims: tuple[str, ...]
    limit_seconds: float


CASES = (
    Case("broker killed", ("nats",), 1.0),
    *(Case("service killed", (name,), 2.0) for name in SERVICES),
    *(Case("both replicas of a service killed", (name, name + SECOND), 2.0) for name in SERVICES),
    Case("gateway killed", ("gateway",), 2.0),
    Case("database killed", ("postgres",), 3.0),
)


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """All times of one kind."""

    name: str
    limit_seconds: float
    recovery: Recovery

    @property
    def is_kept(self) -> bool:
        return self.recovery.longest <= self.limit_seconds


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's version; `is_proven`: each limit was kept each time, and no promise is broken."""

    command: str
    is_proven: bool
    kinds: list[Kind]
    violations: list[Violation]


class Watch:
    """Kills one thing at a time on a stack that has nothing else to do."""

    def __init__(self, stack: Stack, history: History, seed: str, progress: Callable[[], None]) -> None:
        self._stack = stack
        self._history = history
        self._seed = seed
        self._progress = progress
        self._signed = asyncio.Event()
        self._latest_asked = 0.0
        self._probes: list[asyncio.Task[None]] = []

    async def measure(self, rounds: int, command: str) -> Report:
        """Each case once a round. Raises TimeoutError when no signature comes through any more."""
        signers = Signers(self._stack.gateways, await agencies(self._stack), self._history, self._seed)
        signers.on_signed = self._on_signed
        stock = asyncio.create_task(signers.sign_until_over(0))
        times: dict[str, list[float]] = {}
        for case in itertools.chain.from_iterable([CASES] * rounds):
            await self._is_whole(signers)
            times.setdefault(case.name, []).append(await self._time(signers, case))
            self._progress()
        await self._is_whole(signers)
        signers.end()
        await asyncio.gather(stock, *self._probes)
        violations = await self._settled()
        limits = {case.name: case.limit_seconds for case in CASES}
        kinds = [
            Kind(name=name, limit_seconds=limits[name], recovery=recovery_of(seconds))
            for name, seconds in times.items()
        ]
        is_proven = not violations and all(kind.is_kept for kind in kinds)
        return Report(command=command, is_proven=is_proven, kinds=kinds, violations=violations)

    async def _time(self, signers: Signers, case: Case) -> float:
        """Seconds from the kill to the end of the first signature that was asked for after it."""
        for name in case.victims:
            os.kill(self._stack.pids[name], signal.SIGKILL)
        at = time.monotonic()
        await self._sign_after(signers, at)
        return time.monotonic() - at

    async def _sign_after(self, signers: Signers, at: float) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._latest_asked < at:
                self._probes.append(asyncio.create_task(signers.probe()))
                self._signed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_SECONDS):
                        await self._signed.wait()

    async def _is_whole(self, signers: Signers) -> None:
        """Wait until every process is ready again, all that was asked is answered, and proposals are in stock."""
        while not await self._stack.is_ready() or not signers.is_stocked:  # noqa: ASYNC110 - nobody sets an event for us
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.gather(*self._probes)
        self._probes.clear()

    async def _settled(self) -> list[Violation]:
        """What is still wrong after the promised time."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            with suppress(*AWAY):
                evidence = await gather(self._stack.dsns, self._stack.nats_operator)
                violations = check(evidence, tuple(self._history.lines))
                if not violations or time.monotonic() > deadline:
                    return violations
            await asyncio.sleep(LOOK_SECONDS)

    def _on_signed(self, asked_at: float) -> None:
        self._latest_asked = max(self._latest_asked, asked_at)
        self._signed.set()


def picture(report: Report) -> RenderableType:
    """The table: a row for each kind, and whether its limit was kept each time."""
    title = "From the kill to the end of the first signature asked for after it; nothing else going on"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.add_column("Killed")
    for column in ("times", "p50", "p99", "longest", "promised", ""):
        table.add_column(column, justify="right")
    for kind in report.kinds:
        recovery = kind.recovery
        seconds = [f"{each:.2f} s" for each in (recovery.p50, recovery.p99, recovery.longest)]
        verdict = Text("kept", style="green") if kind.is_kept else Text("not kept", style="bold red")
        table.add_row(kind.name, str(recovery.measured), *seconds, f"{kind.limit_seconds:.0f} s", verdict)
    return Group(table, *wrong(report.violations))


def as_json(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
