"""`serx demo`: a proposal walked through a running installation, which it finds by its data folder."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.support.installation import Installation

ROOT = Path(__file__).resolve().parents[2]


async def demo(*arguments: str, cwd: Path | None = None, **environment: str) -> tuple[int, str, str]:
    """The exit status, and what was printed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SERX_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.cli", "demo", *arguments),
        env=own | {"PYTHONPATH": str(ROOT)} | environment,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def proposals(installation: Installation) -> int:
    return (await installation.rows("proposals", "select count(*) as number from proposals"))[0]["number"]


async def test_it_finds_a_local_installation_by_its_folder(installation: Installation):
    for arguments, cwd in ((["--data-dir", str(installation.folder)], None), ([], installation.folder.parent)):
        if cwd is not None:
            (cwd / ".serx").symlink_to(installation.folder)
        before = await proposals(installation)
        code, shown, said = await demo(*arguments, cwd=cwd)
        assert (code, said) == (0, "")
        assert "Signed" in shown
        assert installation.ready["gateway_url"] in shown
        assert await proposals(installation) == before + 1


async def test_the_environment_goes_before_the_folder(installation: Installation):
    ready = installation.ready
    code, shown, said = await demo(SERX_GATEWAY_URL=ready["gateway_url"], SERX_TOKEN=ready["demo"]["admin_token"])
    assert (code, said) == (0, "")
    assert "Signed" in shown


async def test_a_gateway_that_is_not_there_is_named(tmp_path: Path):
    code, _, said = await demo(
        "--url", "http://127.0.0.1:1", "--wait-seconds", "0", cwd=tmp_path, SERX_TOKEN="serx_nobody"
    )
    assert code == 1
    assert said.startswith("The walk-through failed at POST /api/proposals: no answer\n")
