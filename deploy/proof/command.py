"""The command `serx prove`."""

from __future__ import annotations

import asyncio
import random
import secrets
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from deploy.failure import Failure
from deploy.proof.cluster.command import cluster
from deploy.proof.report import Report, as_json, picture, report_of, write
from deploy.proof.showing import progress, show, working_folder
from deploy.whole_numbers import whole_number

if TYPE_CHECKING:
    from deploy.proof.recovery import Report as Timed

app = App(name="prove", help="Break everything, and show that the promises hold.")
app.command(cluster)


@app.command
def exactly_once(
    *,
    kills: Annotated[int, whole_number(1, 1_000_000)] = 100,
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
    with working_folder(keep) as folder:
        proven = asyncio.run(_prove(folder, kills, seed, only, history))
    if report is not None:
        write(proven, report)
    show(as_json(proven) if as_json_ else picture(proven), is_proven=proven.is_proven)


@app.command
def recovery(
    *,
    rounds: Annotated[int, whole_number(1, 100_000)] = 5,
    report: Path | None = None,
    keep: Path | None = None,
    as_json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Kill one thing at a time while nothing else goes on, and time the next signature; status 1 if one takes too long.

    Promised are 1 s after the broker was killed, 2 s after a service (or both its replicas) or a gateway, 3 s after the
    database. The stack is that of `exactly-once`, and at the end the same promises are checked.

    Parameters
    ----------
    rounds
        How often each is killed.
    report
        Write the figures here, as JSON.
    keep
        Use this folder, and leave data and logs in it.
    as_json_
        Print the figures as JSON instead of the table.
    """
    from deploy.proof import recovery as measuring

    with working_folder(keep) as folder:
        timed = asyncio.run(_time(folder, rounds))
    if report is not None:
        report.write_bytes(measuring.as_json(timed))
    show(measuring.as_json(timed) if as_json_ else measuring.picture(timed), is_proven=timed.is_proven)


async def _time(folder: Path, rounds: int) -> Timed:
    from deploy.proof.history import History
    from deploy.proof.recovery import CASES, Watch
    from deploy.proof.stack import is_supported, standing

    if not is_supported():
        raise Failure("The faults of the proof need Linux.")
    seed = secrets.token_hex(4)
    with progress() as bars:
        bar = bars.add_task("Starting", total=rounds * len(CASES))
        async with standing(folder, random.Random(seed)) as stack:  # noqa: S311 - nothing secret
            bars.update(bar, description="Killing")
            watch = Watch(stack, History(), seed, lambda: bars.advance(bar))
            return await watch.measure(rounds, f"serx prove recovery --rounds {rounds}")


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
    with (
        (history or folder / "history.jsonl").open("wb") as told,
        progress() as bars,
    ):
        bar = bars.add_task("Starting", total=kills)
        chance = random.Random(seed)  # noqa: S311 - a seed is the point
        async with standing(folder, chance, with_disks=with_disks) as stack:
            bars.update(bar, description=f"Breaking, seed {seed}")
            storm = Storm(stack, History(told), seed, lambda: bars.advance(bar))
            outcome = await storm.run(kills, possible)
    command = f"serx prove exactly-once --kills {kills} --seed {seed}"
    left_out = [fault.name for fault in faults if fault not in possible]
    return report_of(outcome, command + (f" --only {shlex.quote(only)}" if only else ""), left_out)
