"""How the operators' commands show things: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from deploy.local.screen import Screen
from shared import clock

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
STYLES = {"parked": "bold red", "refused": "red", "rejected": "red", "compensating": "yellow", "waiting": "yellow"}


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "") -> None:
    """Show a table, or say `empty` when it has no row.

    A cell that is a state has the state's colour, and the first column is never broken.
    """
    if not rows and empty:
        say(empty)
        return
    drawn = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        drawn.add_column(column, overflow="fold", no_wrap=not number)
    for row in rows:
        drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Screen().show(drawn)


def say(*lines: str) -> None:
    """Plain lines, unbroken."""
    screen = Screen()
    for line in lines:
        screen.say(line)


def json(value: Any) -> None:
    """One JSON document."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def age(at: datetime | None) -> str:
    """How long ago, in the largest unit that fits: `4s`, `12m`, `3h`, `2d`."""
    return "" if at is None else spell_seconds((clock.now() - at).total_seconds())


def spell_seconds(seconds: float) -> str:
    """A duration in the largest unit that fits; below ten seconds with its milliseconds."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.3f}s" if seconds < 10 else f"{seconds:.0f}s"  # a reader's limit, not a rule


def moment(at: datetime | None) -> str:
    """A time to the second, in UTC."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
