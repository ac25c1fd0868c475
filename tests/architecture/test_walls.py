"""The walls of the house: import contracts in pyproject.toml, and what a contract cannot say."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def imported_by(path: Path) -> set[str]:
    """The top-level names of what a module imports; `shared.contracts…` in full."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
    return names


def test_every_import_keeps_to_the_walls():
    """`lint-imports`, as `make check` runs it."""
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", sorted((ROOT / "shared/contracts").glob("*.py")), ids=lambda path: path.stem)
def test_contracts_import_only_msgspec_and_the_standard_library(module: Path):
    for name in imported_by(module):
        top = name.partition(".")[0]
        assert top in sys.stdlib_module_names or top == "msgspec" or name.startswith("shared.contracts"), name


def test_nobody_but_shared_database_and_stores_imports_the_driver():
    touching = {
        str(path.relative_to(ROOT))
        for package in ("services", "gateway", "shared")
        for path in (ROOT / package).rglob("*.py")
        if any(name.partition(".")[0] == "asyncpg" for name in imported_by(path))
    }
    assert {each for each in touching if not each.startswith("shared/database/") and "/store" not in each} == set()


def test_nothing_of_ours_imports_the_tests():
    for package in ("services", "gateway", "shared", "deploy"):
        for path in (ROOT / package).rglob("*.py"):
            assert not any(name.partition(".")[0] == "tests" for name in imported_by(path)), path
