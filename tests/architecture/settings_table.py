"""The tables of `docs/settings.md`, from the structs. `python -m tests.architecture.settings_table` prints them."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import msgspec

from shared.messaging.topology import PROCESSES, SERVICES
from shared.settings import ProcessSettings, ServiceSettings, variable

BEGIN, END = "<!-- begin: python -m tests.architecture.settings_table -->", "<!-- end -->"


def shape_of(process: str) -> type[ProcessSettings]:
    """The settings struct of a process."""
    module = import_module("gateway.settings" if process == "gateway" else f"services.{process}.settings")
    (shape,) = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, ProcessSettings) and kind.__module__ == module.__name__
    ]
    return shape


def tables() -> str:
    """Markdown: one table of what every process takes, one of what every service takes, one for each with more."""
    parts = [_table("Every process", ProcessSettings, None), _table("Every service", ServiceSettings, ProcessSettings)]
    for process in PROCESSES:
        base = ServiceSettings if process in SERVICES else ProcessSettings
        parts.append(_table(f"`{process}`", shape_of(process), base))
    return "\n\n".join(part for part in parts if part)


def _table(heading: str, shape: type[msgspec.Struct], base: type[msgspec.Struct] | None) -> str:
    known = {field.name for field in msgspec.structs.fields(base)} if base else set()
    fields = [field for field in msgspec.structs.fields(shape) if field.name not in known]
    if not fields:
        return ""
    rows = [f"| `{variable(field.name)}` | {_default(field)} | {_meaning(field.type)} |" for field in fields]
    return "\n".join([f"## {heading}", "", "| setting | default | meaning |", "|---|---|---|", *rows])


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    if field.default_factory is not msgspec.NODEFAULT:
        return "random"
    if field.default in (None, "", ()):
        return "not set"
    return f"`{field.default}`"


def _meaning(kind: Any) -> str:
    info = msgspec.inspect.type_info(kind)
    text = (getattr(info, "extra_json_schema", None) or {}).get("description", "")
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(tables() + "\n")
