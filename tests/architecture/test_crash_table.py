"""ARCHITECTURE.md, "What can crash, and what repairs it": each row names what tests it, and that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.process.test_crashes import BACK, FORWARD

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
FOLDERS = ("tests/component", "tests/process")
TEST = re.compile(r"`(test_\w+)`")
POINT = re.compile(r"`(\w+\.\w+(?:\.\w+)?)`")


def last_cells() -> list[str]:
    """The last cell of each row."""
    table = PAGE.read_text().partition("### What can crash, and what repairs it")[2].partition("\nNames with")[0]
    return [line.split("|")[-2] for line in table.splitlines() if line.startswith("| ")][1:]


def names_of_tests() -> set[str]:
    """The names of all tests that touch more than one process or server."""
    return {
        node.name
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("test_*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.AsyncFunctionDef)
    }


def test_every_row_names_a_test_or_a_failpoint():
    rows = last_cells()
    assert len(rows) > 10
    assert [row for row in rows if not TEST.search(row) and not POINT.search(row)] == []


def test_every_test_that_the_table_names_is_there():
    named = {name for row in last_cells() for name in TEST.findall(row)}
    assert named
    assert named - names_of_tests() == set()


def test_at_every_failpoint_that_the_table_names_a_process_is_broken():
    named = {point for row in last_cells() for point in POINT.findall(row)}
    assert named
    assert named - {*FORWARD, *BACK} == set()
