"""How a child comes to be: the kernel is told how to run it and to end it with us; an interpreter may wait for it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from deploy.local.environment import python
from deploy.local.leftovers import mark
from deploy.local.log import Log
from deploy.local.scheduling import scheduling
from deploy.standby import Assignment

_PR_SET_PDEATHSIG = 1


class Launcher:
    """Starts programs, and keeps interpreters ready (see `deploy.standby`) for processes of our own."""

    def __init__(self, environment: Mapping[str, str], log: Log, *, folder: Path | None = None) -> None:
        self._environment = environment
        self._mark = {} if folder is None else mark(folder)
        self._log = log
        self._spares: list[Process] = []

    async def warm_up(self, count: int) -> None:
        """See to it that `count` interpreters are waiting."""
        self._spares = [spare for spare in self._spares if spare.returncode is None]
        while len(self._spares) < count:
            with self._log.opened() as output:
                command = python("-m", "deploy.standby")
                environment = {**self._environment, **self._mark}
                spare = await _execute(command, environment, stdin=PIPE, output=output, dies_with_us=True)
            self._spares.append(spare)

    async def process(self, name: str, environment: Mapping[str, str], log: Log) -> Process:
        """One of our own processes: from an interpreter that waits, or else from a new one."""
        assignment = Assignment(process=name, environment=dict(environment), log=str(log.path))
        while self._spares:
            spare = self._spares.pop(0)
            if spare.returncode is None and spare.stdin is not None:
                # Should it die while it reads, that is the death of the child, and it will be started again.
                with suppress(OSError):
                    spare.stdin.write(msgspec.json.encode(assignment) + b"\n")
                    await spare.stdin.drain()
                spare.stdin.close()
                return spare
        return await self.program(python("-m", "deploy.run", name), environment, log, dies_with_us=True)

    async def program(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Log,
        *,
        dies_with_us: bool,
        may_interrupt: bool = False,
        folder: Path | None = None,
        stdin: int | BinaryIO = DEVNULL,
    ) -> Process:
        """Start a command, in `folder` if it is given; it reads nothing, or `stdin`."""
        with log.opened() as output:
            return await _execute(
                command,
                {**environment, **self._mark},
                stdin=stdin,
                output=output,
                dies_with_us=dies_with_us,
                may_interrupt=may_interrupt,
                folder=folder,
            )

    async def close(self) -> None:
        """Send those home that are still waiting."""
        for spare in self._spares:
            with suppress(ProcessLookupError):
                spare.kill()
            await spare.wait()


async def _execute(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int | BinaryIO,
    output: BinaryIO,
    dies_with_us: bool,
    may_interrupt: bool = False,
    folder: Path | None = None,
) -> Process:
    parent = os.getpid() if dies_with_us else None
    return await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd=folder,
        stdin=stdin,
        stdout=output,
        stderr=output,
        # Ctrl-C goes to the terminal's whole process group; the order in which things stop is ours to give.
        start_new_session=True,
        preexec_fn=_become_ours(parent, may_interrupt=may_interrupt) if sys.platform == "linux" else None,
    )


def _become_ours(parent: int | None, *, may_interrupt: bool) -> Callable[[], None]:
    """For the child to run before it becomes the program: the kernel is told how to run it, and to kill it when
    `parent` dies, however it dies."""
    libc = ctypes.CDLL(None)
    ask = scheduling(may_interrupt=may_interrupt)

    def become_ours() -> None:
        ask()
        if parent is None:
            return
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return become_ours
