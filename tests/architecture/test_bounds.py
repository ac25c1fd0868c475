"""Every text, list, number and free object of a request has a bound in the API's document, and most lists of answers.

That each is enforced is held by the requests of Schemathesis, by tests/process/test_long_texts.py where a bound is
long, and by tests/component/door where it is that of a whole line or head.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.web.free_objects import MAX_OBJECT_BYTES
from shared.web.heads import HEAD_BYTES, LINE_BYTES
from shared.web.patterns import IDEMPOTENCY_KEY, MONEY
from shared.web.shaping import MAX_TEXT_BYTES
from shared.web.times import MAX_TIME_LENGTH

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text(encoding="utf-8"))
BOUNDS = {
    "string": {"maxLength", "enum", "const"},
    "array": {"maxItems"},
    "object": {"properties", "x-max-bytes"},
    "integer": {"maximum", "exclusiveMaximum", "enum", "const"},
    "number": {"maximum", "exclusiveMaximum"},
    "boolean": {"type"},
    "null": {"type"},
}
OF_ONE_LENGTH = {"uuid"}
"""Formats that no long text has."""
BOUNDED = {MONEY, IDEMPOTENCY_KEY}
"""Patterns that no long text has; blanks around a header's value are no part of it."""
WITHOUT_END = {
    "GET /api/orders .data.0.tags": "as many as a request may give",
    "GET /api/orders/{order_id} .tags": "as many as a request may give",
    "GET /api/orders/{order_id}/tasks ": "an order of before there was a bound may have more",
    "GET /api/proposals/{proposal_id}/sign .steps": "as many as the flow has",
    "GET /api/proposals/{proposal_id}/sign .steps.0.tries": "the newest few (KEPT_TRIES)",
    "GET /api/proposals/{proposal_id}/sign .interventions": "each is an operator's own",
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        kind, name = schema["$ref"].split("/")[2:]
        schema = DOCUMENT["components"][kind][name]
    return schema


def unbounded(schema: dict[str, Any], path: str) -> Iterator[str]:
    """Where a value of the schema can be as long or as large as one likes."""
    schema = resolved(schema)
    options = schema.get("oneOf", [])
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        is_bounded = schema.get("format") in OF_ONE_LENGTH or schema.get("pattern") in BOUNDED
        if not is_bounded and not BOUNDS[kind] & set(schema):
            yield path
    if not options and not kinds and not {"enum", "const"} & set(schema):
        yield path
    for option in options:
        outer = {key: value for key, value in schema.items() if key not in ("oneOf", "type")}
        yield from unbounded({**resolved(option), **outer}, path)
    for name, inner in schema.get("properties", {}).items():
        yield from unbounded(inner, f"{path}.{name}")
    if "properties" in schema and schema.get("additionalProperties") is not False:
        yield f"{path} takes more fields"
    if "items" in schema:
        yield from unbounded(schema["items"], f"{path}.0")


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    for route, operation in operations():
        if "requestBody" in operation:
            yield route, operation["requestBody"]["content"]["application/json"]["schema"]


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = resolved(schema)
    yield path, schema
    for option in schema.get("oneOf", []):
        yield from fields(option, path)
    for name, inner in schema.get("properties", {}).items():
        yield from fields(inner, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], f"{path}.0")


def test_everything_in_a_body_has_a_bound():
    found = [place for route, schema in bodies() for place in unbounded(schema, f"{route} ")]
    assert found == []
    assert len(list(bodies())) > 15


def test_every_parameter_of_path_query_and_header_has_a_bound():
    found, places = [], set()
    for route, operation in operations():
        for parameter in map(resolved, operation.get("parameters", [])):
            places.add(parameter["in"])
            found += unbounded(parameter["schema"], f"{route} {parameter['in']} {parameter['name']}")
    assert found == []
    assert places == {"path", "query", "header"}


def test_the_bounds_in_the_document_are_those_that_are_enforced():
    told = {"time": set(), "bytes of a text": set(), "bytes of an object": set(), "path": set(), "header": set()}
    for route, schema in bodies():
        for _, field in fields(schema, route):
            if field.get("format") == "date-time":
                told["time"].add(field.get("maxLength", MAX_TIME_LENGTH))
            if "x-max-bytes" in field:
                told[f"bytes of {'an object' if field.get('type') == 'object' else 'a text'}"].add(field["x-max-bytes"])
    for _, operation in operations():
        for parameter in map(resolved, operation.get("parameters", [])):
            if parameter["in"] != "query" and "pattern" not in parameter["schema"]:
                told[parameter["in"]].add(parameter["schema"]["maxLength"])
    assert told == {
        "time": {MAX_TIME_LENGTH},
        "bytes of a text": {MAX_TEXT_BYTES},
        "bytes of an object": {MAX_OBJECT_BYTES},
        "path": {LINE_BYTES},
        "header": {HEAD_BYTES},
    }


def test_every_list_that_a_read_answers_has_a_bound():
    """What a row gathers without end is a list of its own, in pages."""
    found, tried = set(), 0
    for route, operation in operations():
        content = operation["responses"].get("200", {}).get("content", {}).get("application/json")
        if not route.startswith("GET ") or content is None or "schema" not in content:
            continue
        for place, field in fields(content["schema"], f"{route} "):
            if field.get("type") == "array":
                tried += 1
                if "maxItems" not in field:
                    found.add(place)
    assert found == set(WITHOUT_END)
    assert tried > 30
