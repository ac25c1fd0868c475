"""The command `serx prove`."""

from __future__ import annotations

import asyncio
import random
import secrets
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.failure import Failure
from deploy.proof.report import Report, as_json, picture, report_of, write

app = App(name="prove", help="Break everything, and show that the promises hold.")


@app.command
def exactly_once(
    *,
    kills: Annotated[int, Parameter(validator=Number(gte=1))] = 100,
    seed: str | None = None,
    only: str = "",
    report: Path | None = None,
    history: Path | None = None,
    keep: Path | None = None,
    as_json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Sign without end on a stack of its own, break it at random, then check every promise; status 1 if one is broken.

    PostgreSQL, NATS and two replicas of every process run in a temporary folder. Processes, the broker and the database
    are killed and frozen, the broker's store is deleted, disks fill up (as root), clocks go wrong, messages are
    tripled, reordered and poisoned, connections cut. After the last fault everything has 10 seconds to settle; then all
    databases are compared with what clients were told.

    Parameters
    ----------
    kills
        How many faults.
    seed
        Which faults, where, and who signs how; printed at the end, random when not given.
    only
        Only faults with this in their name, such as "broker" or "killed".
    report
        Write the figures here, as JSON.
    history
        Write here what clients were told, a JSON line each.
    keep
        Use this folder, and leave data and logs in it.
    as_json_
        Print the figures as JSON instead of the table.
    """
    seed = seed or secrets.token_hex(4)
    folder = Path(tempfile.mkdtemp(prefix="serx-proof.")) if keep is None else keep
    folder.mkdir(parents=True, exist_ok=True)
    try:
        proven = asyncio.run(_prove(folder, kills, seed, only, history))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if report is not None:
        write(proven, report)
    if as_json_:
        sys.stdout.buffer.write(as_json(proven))
    else:
        console = Console()
        console.width = max(console.width, 100)
        console.print(picture(proven))
    if not proven.is_proven:
        sys.exit(1)


async def _prove(folder: Path, kills: int, seed: str, only: str, history: Path | None) -> Report:
    from deploy.proof import disks
    from deploy.proof.faults import FAULTS
    from deploy.proof.history import History
    from deploy.proof.stack import is_supported, standing
    from deploy.proof.storm import Storm

    if not is_supported():
        raise Failure("The faults of the proof need Linux.")
    faults = tuple(fault for fault in FAULTS if only in fault.name)
    if not faults:
        raise Failure(f"No fault has {only!r} in its name; there are: {', '.join(fault.name for fault in FAULTS)}.")
    with_disks = disks.can_be_made()
    possible = tuple(fault for fault in faults if with_disks or not fault.needs_disks)
    if not possible:
        raise Failure("Only root can fill disks: the faults that were asked for need a mount.")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        (history or folder / "history.jsonl").open("wb") as told,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
    ):
        bar = progress.add_task("Starting", total=kills)
        chance = random.Random(seed)  # noqa: S311 - a seed is the point
        async with standing(folder, chance, with_disks=with_disks) as stack:
            progress.update(bar, description=f"Breaking, seed {seed}")
            storm = Storm(stack, History(told), seed, lambda: progress.advance(bar))
            outcome = await storm.run(kills, possible)
    command = f"serx prove exactly-once --kills {kills} --seed {seed}"
    left_out = [fault.name for fault in faults if fault not in possible]
    return report_of(outcome, command + (f" --only {shlex.quote(only)}" if only else ""), left_out)
