"""Every text, list and number of a request has a bound in the API's document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text(encoding="utf-8"))
BOUNDS = {
    "string": {"maxLength", "enum", "const", "format"},
    "array": {"maxItems"},
    "integer": {"maximum", "exclusiveMaximum", "enum", "const"},
}


def unbounded(schema: dict[str, Any], path: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "pattern" not in schema and not BOUNDS.get(schema.get("type", ""), set(schema)) & set(schema):
        yield path
    for option in schema.get("oneOf", []):
        outer = {key: value for key, value in schema.items() if key not in ("oneOf", "type")}
        yield from unbounded({**option, **outer}, path)
    for name, inner in schema.get("properties", {}).items():
        yield from unbounded(inner, f"{path}.{name}")
    if "items" in schema:
        yield from unbounded(schema["items"], f"{path}.0")


def test_every_text_list_and_number_of_a_body_has_a_bound():
    found, bodies = [], 0
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if "requestBody" in operation:
                bodies += 1
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                found += unbounded(schema, f"{method.upper()} {path} ")
    assert found == []
    assert bodies > 15
