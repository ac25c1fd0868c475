"""One process of ours: started, watched, started again when it dies, stopped when asked."""

from __future__ import annotations

import asyncio
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn, Protocol

import msgspec

from deploy.failure import Failure
from deploy.local.listening import listens
from deploy.local.log import Log

_PROBE_EVERY_SECONDS = 0.03
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 5.0
_ASK_EVERY_SECONDS = 0.5
_WELL_SECONDS = 10.0
"""Once it has been well for so long, its next sickness is a new one."""
_SICK_BEFORE_KILLED = 2
"""How often in a row it says that it is not well, until it is ended and started again."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a process is run, how it is known to be ready, and how it is stopped."""

    name: str
    launch: Callable[[Log], Awaitable[Process]]
    ready: Callable[[], Awaitable[bool]]
    is_sick: Callable[[], Awaitable[bool]] | None = None
    """Whether it says of itself that only a new start helps; asked twice a second once it is ready."""
    port: int | None = None
    """Where it listens: it is ready only when the answer is its own, and whatever we left there is ended first."""
    stop: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))
    """Signals in order, each with the seconds that it is given."""
    attempts: int = 3
    """How often in a row it may die without having been ready, until that counts as unable to start."""
    start_seconds: float = 60.0


class Listener(Protocol):
    """Who wants to know what becomes of a child."""

    def report(self, line: str) -> None: ...
    def started(self) -> None: ...
    def back(self, name: str) -> None: ...
    async def make_way(self, name: str, port: int) -> None: ...


class Child:
    def __init__(self, recipe: Recipe, log: Log, listener: Listener) -> None:
        self.recipe = recipe
        self.log = log
        self._listener = listener
        self._process: Process | None = None
        self._ready_once = asyncio.Event()
        self._nudged = asyncio.Event()
        self._stopping = False
        self._early_deaths = 0
        self._sick_lives = 0
        self._refusal: Failure | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def keep(self) -> None:
        """Run it, again and again, until `stop`. Raises Failure when it cannot be brought up the first time."""
        while not self._stopping:
            try:
                process = await self._launch()
            except OSError as error:
                cause = f"cannot be launched ({error.strerror or error})"
            else:
                cause = _cause(await self._live(process))
            if self._refusal is not None:
                raise self._refusal
            if not self._stopping:
                self._died(cause)
                await self._pause()

    async def wait_ready(self) -> None:
        """Return when it has been ready once. Raises Failure when that takes too long."""
        try:
            async with asyncio.timeout(self.recipe.start_seconds):
                await self._ready_once.wait()
        except TimeoutError as error:
            patience = f"after {self.recipe.start_seconds:.0f} s"
            sentence = f"{self.recipe.name} runs but is not ready {patience}; its log is {self.log.path}."
            raise Failure(sentence, self.log.last_lines()) from error

    def nudge(self) -> None:
        """End its pause between two attempts: what it needs may have come back."""
        self._nudged.set()

    async def stop(self) -> None:
        """Stop it for good: politely first, then with ever less patience."""
        self._stopping = True
        self._nudged.set()
        await self._end()

    async def _end(self) -> None:
        for number, patience_seconds in self.recipe.stop:
            process = self._process
            if process is None or process.returncode is not None:
                return
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_seconds):
                    await process.wait()

    async def _launch(self) -> Process:
        if self.recipe.port is not None:
            await self._listener.make_way(self.recipe.name, self.recipe.port)
        self.log.mark()
        return await self.recipe.launch(self.log)

    async def _live(self, process: Process) -> int:
        """One life, from launch to death; returns the exit code. Nothing that fails here leaves it unwatched."""
        self._process = process
        if self._stopping:  # asked to stop while it was being started
            process.kill()
        self._listener.started()
        watch = asyncio.create_task(self._watch(process, time.monotonic()))
        rotation = asyncio.create_task(self.log.stay_short())
        try:
            return await process.wait()
        finally:
            watch.cancel()
            rotation.cancel()

    async def _watch(self, process: Process, since: float) -> None:
        try:
            while not await self._is_ready(process):  # noqa: ASYNC110 - it is another process; nobody sets an event
                await asyncio.sleep(_PROBE_EVERY_SECONDS)
        except Failure as failure:
            return await self._refuse(failure)
        self._early_deaths = 0
        if self._ready_once.is_set():
            took_seconds = time.monotonic() - since
            self._listener.report(f"{self.recipe.name} is ready again after {took_seconds:.1f} s (pid {self.pid})")
            self._listener.back(self.recipe.name)
        self._ready_once.set()
        if self.recipe.is_sick is not None:
            await self._end_when_sick(process, self.recipe.is_sick)
        return None

    async def _is_ready(self, process: Process) -> bool:
        """Whether it is, and not another one that has its port."""
        port = self.recipe.port
        return await self.recipe.ready() and (port is None or listens(process.pid, port))

    async def _refuse(self, failure: Failure) -> None:
        """It will never be ready as things are: the first time that ends everything, later it is reported."""
        if self._ready_once.is_set():
            self._listener.report(failure.sentence)
            return
        self._refusal = failure
        await self._end()

    async def _end_when_sick(self, process: Process, is_sick: Callable[[], Awaitable[bool]]) -> None:
        times, well_since = 0, time.monotonic()
        while times < _SICK_BEFORE_KILLED:
            await asyncio.sleep(_ASK_EVERY_SECONDS)
            times = times + 1 if await is_sick() else 0
            if time.monotonic() - well_since > _WELL_SECONDS and not times:
                self._sick_lives = 0
        self._sick_lives += 1
        self._listener.report(f"{self.recipe.name} says that it is not well; ending it")
        process.kill()

    def _died(self, cause: str) -> None:
        """Say so, once; again only when it goes on dying. Raises Failure when it has never been ready."""
        self._early_deaths += 1
        if self._early_deaths >= self.recipe.attempts:
            if not self._ready_once.is_set():
                self._give_up(cause)
            next_try = f"trying again in {self._pause_seconds():.1f} s"
            self._listener.report(f"{self.recipe.name} {cause} again and again; {next_try}: {self.log.last_line()}")
        elif self._early_deaths == 1 and self._ready_once.is_set():
            self._listener.report(f"{self.recipe.name} {cause}; starting it again")

    def _give_up(self, cause: str) -> NoReturn:
        raise Failure(
            f"{self.recipe.name} cannot start: it {cause}; its log is {self.log.path}.", self.log.last_lines()
        )

    def _pause_seconds(self) -> float:
        """None after the first death, hardly any after the next; then ever longer, so that it does not spin."""
        sick = _FIRST_PAUSE_SECONDS * 2 ** min(self._sick_lives, 10) if self._sick_lives > 1 else 0.0
        if self._early_deaths <= 1:
            return min(sick, _LONGEST_PAUSE_SECONDS)
        too_many = min(max(self._early_deaths - self.recipe.attempts + 1, 0), 10)
        return min(_FIRST_PAUSE_SECONDS * 2**too_many, _LONGEST_PAUSE_SECONDS)

    async def _pause(self) -> None:
        self._nudged.clear()
        if self._stopping:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_seconds()):
                await self._nudged.wait()


def _cause(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with status {code}"
