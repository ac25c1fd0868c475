"""What services say to each other is held still: a change shows as a difference in `contracts/*.json`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.architecture.contract_schemas import FOLDER, modules, schemas

RENEW = "if the change is meant and additive: python -m tests.architecture.contract_schemas"


@pytest.mark.parametrize("module", modules())
def test_the_schemas_of_a_contract_are_those_that_are_checked_in(module: str):
    assert json.loads(schemas(module)) == json.loads((FOLDER / f"{module}.json").read_text()), RENEW


def test_there_is_no_schema_of_a_contract_that_is_gone():
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == modules()


@pytest.mark.parametrize("module", modules())
def test_nothing_said_refuses_a_field_that_it_does_not_know(module: str):
    """The newer sender may say more: unknown fields are ignored."""
    shapes: dict[str, Any] = json.loads(schemas(module))
    assert [name for name, schema in shapes.items() if schema.get("additionalProperties") is False] == []
