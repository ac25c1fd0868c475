"""Small, in reading order: a module has at most 300 lines, a function at most 30 under its `def` and docstring."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE_LINES = 300
FUNCTION_LINES = 30
FOLDERS = ("services", "gateway", "shared", "deploy", "tests/support", "tests/bench")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def body_lines(function: Function) -> int:
    """The physical lines of the body, without the docstring."""
    first, *rest = function.body
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and rest
    begin = rest[0] if is_docstring else first
    return (function.end_lineno or 0) - begin.lineno + 1


def test_no_module_is_over_300_lines():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: count for name, count in lines.items() if count > MODULE_LINES} == {}


def test_no_function_is_over_30_lines():
    too_long = {
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}": body_lines(function)
        for path in modules()
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, Function) and body_lines(function) > FUNCTION_LINES
    }
    assert too_long == {}
