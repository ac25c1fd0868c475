"""What the proofs share around their runs: a folder, a bar while they run, and the end."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def working_folder(keep: Path | None) -> Iterator[Path]:
    """The folder to keep, or one that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="serx-proof.")) if keep is None else keep
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def progress() -> Progress:
    """Bars on standard error, gone at the end."""
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
        *(TimeRemainingColumn(), TextColumn("left")),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def show(result: bytes | RenderableType, *, is_proven: bool) -> None:
    """JSON or a table; then the end, with status 1 unless all is proven."""
    if isinstance(result, bytes):
        sys.stdout.buffer.write(result)
    else:
        console = Console()
        console.width = max(console.width, 100)
        console.print(result)
    if not is_proven:
        sys.exit(1)
