"""Ways in which the data folder of a `serx up` can be damaged, and what still runs for one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

GARBAGE = bytes(range(256)) * 4
Damage = Callable[[Path], object]


def overwritten(name: str, content: bytes) -> Damage:
    """Another content of the file."""
    return lambda folder: (folder / name).write_bytes(content)


def removed(*names: str) -> Damage:
    """Files and folders that are gone, if they were there."""

    def damage(folder: Path) -> None:
        for name in names:
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)

    return damage


def changed(name: str, **values: object) -> Damage:
    """Other values in a JSON file; None takes one out. A dot in a name is written as two underscores."""

    def damage(folder: Path) -> None:
        told: dict[str, Any] = json.loads((folder / name).read_bytes())
        told |= {key.replace("__", "."): value for key, value in values.items()}
        (folder / name).write_text(json.dumps({key: value for key, value in told.items() if value is not None}))

    return damage


def in_its_place(name: str, *, a_folder: bool) -> Damage:
    """The other kind of thing under this name."""

    def damage(folder: Path) -> None:
        removed(name)(folder)
        path = folder / name
        if a_folder:
            path.mkdir()
            (path / "something").touch()
        else:
            path.touch()

    return damage


def all_of(*damages: Damage) -> Damage:
    """One after the other."""

    def damage(folder: Path) -> None:
        for each in damages:
            each(folder)

    return damage


def running(folder: Path) -> list[str]:
    """What was launched for the folder and still runs (on Linux)."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"RUN_BY_SERX_UP_IN={folder}".encode() in path.read_bytes().split(b"\0"):
                found.append((path.parent / "comm").read_text().strip())
        except OSError:
            continue
    return found
