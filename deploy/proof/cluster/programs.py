"""A program on a host: started, started again when it ends (as a node agent would), frozen, killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from deploy.local.launcher import Launcher
from deploy.local.log import Log
from deploy.proof.cluster.network import Host

AWAY_SECONDS = (4.0, 12.0)
"""How long what is killed, frozen or cut off stays away."""
_SOON_SECONDS = 0.2
_LATER_SECONDS = 2.0
_WELL_SECONDS = 5.0
_STOP_SECONDS = 30.0


class Program:
    """One program of a host's. It runs while it is wanted."""

    def __init__(
        self,
        name: str,
        host: Host,
        command: Sequence[str],
        environment: Mapping[str, str],
        launcher: Launcher,
        logs: Path,
    ) -> None:
        self.name = name
        self.host = host
        self.starts = 0
        """How often it was started; more than it was killed: it has ended by itself."""
        self.deaths: list[str] = []
        """How it ended, each time that nobody here had it end."""
        self._command = host.command(command)
        self._environment = environment
        self._launcher = launcher
        self._log = Log(logs / f"{name}-{host.name}.log")
        self._process: Process | None = None
        self._is_wanted = False
        self._is_ending = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def start(self) -> None:
        """Have it run from now on."""
        self._is_wanted = True
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Have it run no more; returns when it is gone."""
        self._is_wanted = False
        self.signal(signal.SIGCONT)
        self.signal(number)
        if self._keeper is None:
            return
        _, running = await asyncio.wait({self._keeper}, timeout=_STOP_SECONDS)
        if running:
            self.signal(signal.SIGKILL)
            await self._keeper

    async def restart(self) -> None:
        """End it in peace, and start it again."""
        await self.stop()
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs. What kills it is not counted as a death of its own."""
        self._is_ending = self._is_ending or number in (signal.SIGKILL, signal.SIGTERM)
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def _keep(self) -> None:
        while self._is_wanted:
            self._is_ending, began = False, time.monotonic()
            self._process = await self._launcher.program(self._command, self._environment, self._log, dies_with_us=True)
            self.starts += 1
            status = await self._process.wait()
            if not self._is_ending:
                self.deaths.append(f"{self.name} on {self.host.name} ended with {status}: {self._log.last_line()}")
            if self._is_wanted:
                await asyncio.sleep(_SOON_SECONDS if time.monotonic() - began > _WELL_SECONDS else _LATER_SECONDS)


@asynccontextmanager
async def frozen(program: Program) -> AsyncIterator[None]:
    """It does nothing until the end of the block, and keeps its connections."""
    program.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        program.signal(signal.SIGCONT)
