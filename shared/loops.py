"""What runs as long as its process does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from shared.telemetry import log

_log = log(__name__)


def started(loop: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run it. A loop that ends by an error is a bug: the process must not go on as if it were whole, and is ended."""
    task = asyncio.create_task(loop)
    task.add_done_callback(_tell_if_it_died)
    return task


def _tell_if_it_died(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("a loop died", loop=task.get_coro().__qualname__, exc_info=error)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
        signal.raise_signal(signal.SIGTERM)
