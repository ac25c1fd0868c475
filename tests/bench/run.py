"""One run of the benchmark: what was asked for, in the order in which one part does not disturb the next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console

from tests.bench import events, growth, machine, ours, rivals, staying, ways
from tests.bench.compare import NORMAL, PARTS, QUICK, Pace, compare
from tests.bench.contender import DURABLE, FLOOR, MONOLITH, OURS, Contender
from tests.bench.results import Results
from tests.support.installation import Installation

Piece = Literal["compare", "gateway", "events", "soak", "start", "growth"]
PIECES: tuple[Piece, ...] = ("compare", "gateway", "events", "soak", "start", "growth")
PEERS = (MONOLITH, FLOOR, DURABLE)
NGINX = "nginx"
PROJECTS = 2_000
"""How many projects there are when contenders are compared."""
QUICK_SOAK = 0.02


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is asked for."""

    pieces: tuple[Piece, ...] = PIECES
    without: tuple[str, ...] = ()
    quick: bool = False
    repeats: int | None = None
    sizes: tuple[int, ...] = growth.SIZES

    @property
    def pace(self) -> Pace:
        pace = QUICK if self.quick else NORMAL
        return msgspec.structs.replace(pace, repeats=self.repeats or pace.repeats)


class Run:
    """Gathers results; says what it does meanwhile."""

    def __init__(self, options: Options, folder: Path, console: Console) -> None:
        self._options = options
        self._pace = options.pace
        self._folder = folder
        self._console = console
        self.results = Results(
            at=datetime.now(UTC), machine=machine.describe(), versions=machine.versions(), repeats=self._pace.repeats
        )

    async def everything(self) -> None:
        wanted = self._options.pieces
        if {"compare", "gateway", "soak"} & set(wanted):
            await self._on_one_stack()
        if "events" in wanted:
            await self._events()
        if "start" in wanted:
            await self._starts()
        if "growth" in wanted:
            await self._growth()

    async def _on_one_stack(self) -> None:
        wanted = self._options.pieces
        self._say(f"Starting serx up, with a past of {PROJECTS} projects")
        async with ours.started(self._folder / OURS) as installation:
            if "soak" in wanted:
                self.results.memory.append(await staying.memory(OURS, ours.six(installation), after_requests=0))
            contender = await ours.contender(installation, projects=PROJECTS)
            if "compare" in wanted:
                await self._compare(contender)
            if "gateway" in wanted:
                await self._gateway(installation, contender)
            if "soak" in wanted:
                self._say("Answering a great many requests, to look at the memory after")
                share = QUICK_SOAK if self._options.quick else 1.0
                self.results.memory.append(await staying.soak(installation, contender, self._folder, share=share))

    async def _compare(self, contender: Contender) -> None:
        names = [name for name in PEERS if name not in self._options.without]
        self._say(f"Starting the peers: {', '.join(names) or 'none'}")
        async with rivals.started(names, self._folder / "peers", projects=PROJECTS) as peers:
            for peer in peers:
                service = {"service": peer.trees["service"]}
                self.results.memory.append(await staying.memory(peer.name, service, after_requests=0))
            async for measured in compare([contender, *peers], PARTS, self._pace, self._folder):
                self.results.measurements.append(measured)
                self._say(
                    f"{measured.part} at {measured.concurrency}, {measured.contender}: p50 {measured.p50_ms:.2f} ms,"
                    f" {measured.per_second:.0f} a second"
                )

    async def _gateway(self, installation: Installation, contender: Contender) -> None:
        self._say("Comparing the ways to one service: directly, by nginx, by the gateway")
        seconds = self._pace.alone_seconds
        self.results.ways += [
            way
            async for way in ways.compare_ways(
                installation,
                contender,
                self._folder,
                with_nginx=NGINX not in self._options.without,
                repeats=self._pace.repeats,
                seconds=seconds,
            )
        ]

    async def _events(self) -> None:
        self._say("Listening for events while proposals are signed")
        found = events.listen(
            self._folder / "events", projects=PROJECTS, repeats=self._pace.repeats, seconds=self._pace.crowd_seconds
        )
        self.results.told += [told async for told in found]

    async def _starts(self) -> None:
        self._say("Starting everything again and again")
        names = [name for name in PEERS if name not in self._options.without]
        folder = self._folder / "starts"
        self.results.starts += [start async for start in staying.starts(folder / OURS, repeats=self._pace.repeats)]
        self.results.starts += [
            start async for start in rivals.starts(names, folder / "peers", repeats=self._pace.repeats)
        ]

    async def _growth(self) -> None:
        self._say(f"Making organisations of {', '.join(f'{size:,}' for size in self._options.sizes)} projects")
        found = growth.grow(
            self._options.sizes,
            self._folder / "growth",
            repeats=self._pace.repeats,
            seconds=self._pace.alone_seconds / 3,
        )
        async for grown in found:
            self.results.grown.append(grown)
            self._say(f"{grown.projects:,} projects, {grown.call}: p50 {grown.p50_ms:.2f} ms")

    def _say(self, sentence: str) -> None:
        self._console.print(sentence, style="dim", highlight=False)
