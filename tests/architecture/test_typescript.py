"""Front ends generate their types from the OpenAPI document: what openapi-typescript makes of it compiles."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).with_name("typescript")
NEEDED = ("node", "npm")


def run(*command: str, cwd: Path) -> None:
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{' '.join(command)}:\n{ended.stdout}{ended.stderr}"


@pytest.mark.timeout(600)
@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="TypeScript types need node and npm, which are not here")
def test_types_made_of_the_document_compile_and_refuse_what_it_does_not_allow(tmp_path: Path):
    for name in ("package.json", "consumer.ts"):
        shutil.copy(SOURCES / name, tmp_path)
    run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline", cwd=tmp_path)
    programs = tmp_path / "node_modules" / ".bin"
    run(str(programs / "openapi-typescript"), str(ROOT / "docs/openapi.json"), "-o", "api.ts", cwd=tmp_path)
    run(str(programs / "tsc"), "--noEmit", "--strict", "consumer.ts", cwd=tmp_path)
