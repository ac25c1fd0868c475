"""What the person at the terminal sees: spinners while things start, plain lines when nobody is looking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from deploy.failure import Failure

_FILE_WIDTH = 120
"""Columns of a table that goes into a file or a pipe, whose width nobody knows."""


class Screen:
    def __init__(self, output: Console | None = None, errors: Console | None = None) -> None:
        self._output = output or Console()
        if not self._output.is_terminal:
            self._output.width = _FILE_WIDTH
        self._errors = errors or Console(stderr=True)
        self._progress: Progress | None = None

    @contextmanager
    def starting(self) -> Iterator[None]:
        """While this lasts, steps are shown side by side with a spinner each."""
        if not self._output.is_terminal:
            yield
            return
        columns = (
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[took]}", style="dim"),
        )
        with Progress(*columns, console=self._output) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show that something is under way, and then how long it took."""
        began = time.monotonic()
        task = self._progress.add_task(title, total=1, took="") if self._progress else None
        yield
        took = f"{time.monotonic() - began:.1f} s"
        if self._progress is not None and task is not None:
            self._progress.update(task, completed=1, took=took)
        else:
            self.say(f"{title}: {took}")

    def say(self, line: str) -> None:
        """One line, as it is: neither wrapped, so that it can be copied, nor read for markup."""
        _print(self._output, Text(line), soft_wrap=True)

    def show(self, picture: RenderableType) -> None:
        _print(self._output, picture)

    def warn(self, failure: Failure) -> None:
        """The sentence on stderr, and under it what supports it."""
        _print(self._errors, Text(failure.sentence, style="bold red"), soft_wrap=True)
        for line in failure.evidence:
            _print(self._errors, Text(f"  {line}", style="dim"), soft_wrap=True)


def _print(console: Console, what: RenderableType, *, soft_wrap: bool = False) -> None:
    """What cannot be shown (a file on a full disk, a terminal that is gone) stops nothing that is served."""
    with suppress(OSError):
        console.print(what, soft_wrap=soft_wrap)
