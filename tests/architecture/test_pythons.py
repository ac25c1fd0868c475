"""The supported Pythons are the same in the package, the README, the Makefile and the settings of the tools."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PREFIX = "Programming Language :: Python :: "
VERSIONS = [
    each.removeprefix(PREFIX)
    for each in PYPROJECT["project"]["classifiers"]
    if re.fullmatch(re.escape(PREFIX) + r"3\.\d+", each)
]
LEAST = VERSIONS[0]


def test_the_readme_names_the_supported_pythons_as_the_package_does():
    told = re.search(r"Supported (?:is|are) Python (.+?):", (ROOT / "README.md").read_text())
    assert told, "the README does not say which Pythons are supported"
    assert re.findall(r"3\.\d+", told[1]) == VERSIONS


def test_no_python_between_the_oldest_and_the_newest_is_left_out():
    first, last = (int(version.removeprefix("3.")) for version in (LEAST, VERSIONS[-1]))
    assert [f"3.{minor}" for minor in range(first, last + 1)] == VERSIONS


def test_the_oldest_python_is_what_package_and_tools_are_made_for():
    assert PYPROJECT["project"]["requires-python"] == f">={LEAST}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + LEAST.replace(".", "")
    assert PYPROJECT["tool"]["basedpyright"]["pythonVersion"] == LEAST


def test_the_makefile_refuses_what_is_older_and_locks_for_the_oldest():
    makefile = (ROOT / "Makefile").read_text()
    assert f"sys.version_info < ({LEAST.replace('.', ', ')})" in makefile
    assert f"serx needs Python {LEAST} or later" in makefile
    assert set(re.findall(r"--python-version (\S+)", makefile)) == {LEAST}
