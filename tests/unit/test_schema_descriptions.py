"""The checked-in schemas are the same, whichever Python made them."""

from __future__ import annotations

import msgspec
import pytest

from tests.architecture.schemas import schema_components

BEFORE_3_13 = (
    "A project, as others hear of it.\n\n    Of an internal one nothing is told.\n    Not even its name.\n    "
)
SINCE_3_13 = "A project, as others hear of it.\n\nOf an internal one nothing is told.\nNot even its name.\n"


@pytest.mark.parametrize("docstring", [BEFORE_3_13, SINCE_3_13])
def test_a_description_has_no_indentation_on_any_python(docstring: str):
    outer = msgspec.defstruct(
        "Outer", [("project", msgspec.defstruct("Project", [], namespace={"__doc__": docstring}))]
    )
    described = schema_components([outer], ref_template="#/{name}")
    assert described["Project"]["description"] == SINCE_3_13.rstrip()


def test_a_struct_without_a_docstring_has_no_description():
    assert "description" not in schema_components([msgspec.defstruct("Bare", [])], ref_template="#/{name}")["Bare"]
