"""`serx prove recovery`: everything is killed once, and signatures come through after each."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from deploy.proof.recovery import CASES, Report


async def test_after_each_kill_a_signature_comes_through_and_no_promise_is_broken(tmp_path: Path):
    command = ("-m", "deploy.cli", "prove", "recovery", "--rounds", "1", "--json", "--keep", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert output, errors.decode()
    report = msgspec.json.decode(output, type=Report)
    assert report.violations == []
    assert sum(kind.recovery.measured for kind in report.kinds) == len(CASES)
    # How long it took is not asserted: a machine that is busy with other tests is no measure.
    assert process.returncode == (0 if all(kind.is_kept for kind in report.kinds) else 1)
