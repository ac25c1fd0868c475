"""The commands of `serx`, found by walking its parser, and called in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import NamedTuple
from uuid import UUID

import pytest
from cyclopts import App, ArgumentCollection

from deploy import cli

NOBODY = 65534


@cache
def commands() -> dict[str, ArgumentCollection]:
    """Every command that does something, such as `sagas list`, with its arguments."""
    found: dict[str, ArgumentCollection] = {}
    for name, (place, _) in cli.COMMANDS.items():
        module, _, attribute = place.partition(":")
        thing = getattr(import_module(module), attribute)
        app = thing if isinstance(thing, App) else App(name=name, default_command=thing)
        for sub in app if isinstance(thing, App) else ():
            if not sub.startswith("-"):
                found[f"{name} {sub}"] = app[sub].assemble_argument_collection()
        if app.default_command is not None:
            found[name] = app.assemble_argument_collection()
    return found


def required(arguments: ArgumentCollection) -> list[str]:
    """What has to be given, with values of the right kind."""
    given: list[str] = []
    for each in arguments:
        if each.required:
            value = str(UUID(int=1)) if each.hint is UUID else "order.*" if each.name == "--hears" else "billing"
            given += [value] if not each.name.startswith("--") or each.field_info.is_positional else [each.name, value]
    return given


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    output: str
    errors: str


def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Call `serx` with these arguments."""
    monkeypatch.setattr("sys.argv", ["serx", *arguments])
    capsys.readouterr()
    code = 0
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else -1
    printed = capsys.readouterr()
    return Ended(code, printed.out, printed.err)


def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine's own reaches a command."""
    for name in os.environ:
        if name.startswith("SERX_"):
            monkeypatch.delenv(name)


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """As `nobody` looks at files. Only root can."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
