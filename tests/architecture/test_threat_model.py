"""docs/threat-model.md names a test for each claim: there is such a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/threat-model.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_test_that_the_page_names_is_there():
    named = TEST.findall(PAGE.read_text())
    assert len(named) > 30
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text())
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert name in functions, f"{file} has no {name}"


def test_every_claim_names_a_test():
    rows = [line for line in PAGE.read_text().splitlines() if line.count(" | ") == 2]
    claims = [row for row in rows if not row.startswith("| tries |")]
    assert [row for row in claims if not TEST.search(row) and not row.endswith("| the same |")] == []
