"""`serx prove exactly-once`: a short storm, with a fresh seed each time."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import msgspec

from deploy.proof.history import Told, read
from deploy.proof.report import Report

KILLS = 12


async def prove(folder: Path, *arguments: str) -> tuple[int, bytes, bytes]:
    """Run the command; its status, and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.cli", "prove", "exactly-once", "--keep", str(folder), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output, errors


async def test_a_storm_breaks_no_promise(tmp_path: Path):
    history = tmp_path / "history.jsonl"
    status, output, errors = await prove(tmp_path, "--kills", str(KILLS), "--json", "--history", str(history))
    assert status == 0, (output + errors).decode()
    report = msgspec.json.decode(output, type=Report)
    assert report.is_proven, report
    assert sum(report.faults.values()) == KILLS
    assert [made.at for made in report.timeline] == sorted(made.at for made in report.timeline)
    assert Counter(made.name for made in report.timeline) == report.faults
    assert all(
        made.place and 0 <= made.at <= made.at + made.lasted_seconds <= report.took_seconds for made in report.timeline
    )
    timed = Counter(made.name for made in report.timeline if made.recovery_seconds is not None)
    assert timed == {name: recovery.measured for name, recovery in report.recovery.items()}
    assert report.signed > KILLS
    answered = [line for line in read(history) if line.told is Told.OK]
    assert len({line.proposal for line in answered}) > KILLS / 2
