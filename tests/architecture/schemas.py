"""JSON schemas of structs, the same on every Python."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import cleandoc
from typing import Any

import msgspec


def schema_components(shapes: Iterable[type[Any]], ref_template: str) -> dict[str, dict[str, Any]]:
    """The schema of each struct and of what it refers to, by name. `ref_template` is that of msgspec.

    msgspec copies `__doc__` into the description. Python 3.13 strips the indentation of a docstring when it compiles
    it, earlier ones leave it there: here it is always stripped.
    """
    _, schemas = msgspec.json.schema_components(shapes, ref_template=ref_template)
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = cleandoc(schema["description"])
    return schemas
