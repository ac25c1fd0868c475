"""All children together: who is started, what the world is told of them, in which order they stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from deploy.local.child import Child, Recipe
from deploy.local.folder import DataFolder
from deploy.local.leftovers import make_way, remember
from deploy.local.log import Log
from deploy.local.persistent import Persistent
from shared.messaging.topology import SERVICES

STOP_ORDER = (("gateway",), SERVICES, ("nats",), ("postgres",))
_NEEDED_BY_ALL = ("nats", "postgres")
_LAST_WAIT_SECONDS = 5.0


class Supervisor:
    """Keeps children alive until `stop`.

    It says what happens to them by `tell`, and calls `changed` with each new process and `came_back` when one that died
    is ready again.
    """

    def __init__(
        self,
        folder: DataFolder,
        *,
        tell: Callable[[str], None],
        changed: Callable[[], None],
        came_back: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._tell = tell
        self._changed = changed
        self._came_back = came_back
        self._children: dict[str, Child] = {}
        self._list = Persistent(folder.processes, lambda: remember(folder, self.pids), tell)
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Looked at here as well: a failure during the start is told by `start`, and nobody waits for this one.
        self._broken.add_done_callback(lambda broken: broken.cancelled() or broken.exception())
        self._stopping = False

    @property
    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self._children.items() if child.pid is not None}

    async def start(self, recipe: Recipe) -> None:
        """Start a child and return when it is ready. Raises Failure when it cannot start."""
        if self._stopping:
            return
        child = self._children[recipe.name] = Child(recipe, Log(self._folder.log(recipe.name)), self)
        task = asyncio.create_task(child.keep(), name=recipe.name)
        task.add_done_callback(self._on_end)
        self._tasks.add(task)
        ready = asyncio.create_task(child.wait_ready())
        try:
            await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            await (task if task.done() else ready)
        finally:
            ready.cancel()

    async def broken(self) -> None:
        """Wait for ever; raises what ended the keeping of a child, if anything ever does."""
        await asyncio.shield(self._broken)

    async def stop(self) -> None:
        """Stop everything: the door first, the database last."""
        self._stopping = True
        for kinds in STOP_ORDER:
            await asyncio.gather(*(child.stop() for name, child in self._children.items() if _kind(name) in kinds))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_WAIT_SECONDS)
        await self._list.close()
        try:
            self._folder.processes.unlink(missing_ok=True)
        except OSError as error:  # what it names runs no more, and the next start sees that
            self._tell(f"{self._folder.processes} could not be removed ({error.strerror})")

    def report(self, line: str) -> None:
        self._tell(line)

    def started(self) -> None:
        self._list.update()
        self._changed()

    async def make_way(self, name: str, port: int) -> None:
        """End whatever a `serx up` on this folder has left on the port of a child that is about to be launched."""
        ended = await asyncio.to_thread(make_way, self._folder, port)
        if ended is not None:
            self._tell(f"a process that was left over (pid {ended}) had the port of {name}; ended it")

    def back(self, name: str) -> None:
        """What waits between two attempts may have waited for this; and its interpreter was perhaps the last spare."""
        self._came_back()
        if name in _NEEDED_BY_ALL:
            for child in self._children.values():
                child.nudge()

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if self._broken.done() or task.cancelled() or self._stopping:
            return
        error = task.exception()
        if error is not None:
            self._broken.set_exception(error)


def _kind(name: str) -> str:
    """Of `orders-2`, another replica, as of `orders`."""
    return name.partition("-")[0]
