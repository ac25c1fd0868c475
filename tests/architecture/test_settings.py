"""Every setting is documented: docs/settings.md says what the structs say."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

from shared.messaging.topology import PROCESSES
from shared.settings import variable
from tests.architecture.settings_table import BEGIN, END, shape_of, tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/settings.md"


def test_the_page_has_the_tables_that_the_structs_give():
    told = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip()
    assert told == tables(), "renew it: python -m tests.architecture.settings_table"


@pytest.mark.parametrize("process", PROCESSES)
def test_every_setting_of_a_process_has_one_row_and_a_meaning(process: str):
    rows = dict(re.findall(r"^\| `(\w+)` \| .+? \| (.*) \|$", PAGE.read_text(), re.MULTILINE))
    for field in msgspec.structs.fields(shape_of(process)):
        assert rows.get(variable(field.name)), f"{process}: {field.name} has no meaning"


def test_every_variable_that_the_code_names_is_on_the_page():
    page = PAGE.read_text()
    for folder in ("services", "gateway", "shared", "deploy", "tests/support"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and re.fullmatch(r"SERX_[A-Z0-9_]*[A-Z0-9]", str(node.value)):
                    assert f"`{node.value}`" in page, f"{path.relative_to(ROOT)} names {node.value}"
