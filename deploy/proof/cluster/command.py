"""The command `serx prove cluster`."""

from __future__ import annotations

import asyncio
import random
import secrets
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from deploy.failure import Failure
from deploy.proof.cluster.controls import Control, applied
from deploy.proof.cluster.disks import Disks, disks
from deploy.proof.cluster.faults import FAULTS, Fault
from deploy.proof.cluster.network import Network, network
from deploy.proof.cluster.report import Report, as_json, picture
from deploy.proof.cluster.secrets import Site
from deploy.proof.cluster.stack import Cluster
from deploy.proof.cluster.trial import Outcome, Trial
from deploy.proof.history import History
from deploy.proof.showing import progress, show, working_folder
from deploy.whole_numbers import whole_number

HOSTS = 3


class Surroundings(NamedTuple):
    """Where the cluster stands."""

    hosts: Network
    disks: Disks
    folder: Path


def cluster(
    *,
    faults: Annotated[int, whole_number(1, 100_000)] = 20,
    seed: str | None = None,
    only: str = "",
    control: Control | None = None,
    report: Path | None = None,
    keep: Path | None = None,
    as_json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Break an installation on three hosts while it signs, writes and reads; status 1 if a promise is broken.

    Three network namespaces are the hosts, each with a broker and a PostgreSQL of its own, two of them with a replica
    of every process. Servers and processes are killed, frozen, rolled and cut off; disks are full; databases fail over.
    Afterwards every answer that anybody was given is looked up. It needs Linux, root, iproute2 and util-linux.

    Parameters
    ----------
    faults
        How many; each kind comes as often as the others.
    seed
        Their order, where they strike, and who signs how; printed at the end, random when not given.
    only
        Only faults with this in their name, such as "broker" or "primary".
    control
        Have this wrong on purpose; then the run has to end with status 1.
    report
        Write the figures here, as JSON.
    keep
        Use this folder, and leave data and logs in it.
    as_json_
        Print the figures as JSON instead of the table.
    """
    seed = seed or secrets.token_hex(4)
    kinds = tuple(fault for fault in FAULTS if only in fault.name)
    if not kinds:
        raise Failure(f"No fault has {only!r} in its name; there are: {', '.join(fault.name for fault in FAULTS)}.")
    with working_folder(keep) as folder, network(HOSTS) as hosts, disks() as made:
        chosen = _in_order(kinds, faults, seed)
        outcome = asyncio.run(_try(Surroundings(hosts, made, folder), chosen, seed, control))
        if keep is not None:
            made.keep()
    words = f"serx prove cluster --faults {faults} --seed {seed}"
    words += f" --only {shlex.quote(only)}" if only else ""
    words += f" --control {control}" if control else ""
    proven = Report(command=words, is_proven=not outcome.violations, outcome=outcome)
    if report is not None:
        report.write_bytes(as_json(proven))
    show(as_json(proven) if as_json_ else picture(proven), is_proven=proven.is_proven)


def _in_order(kinds: Sequence[Fault], count: int, seed: str) -> list[Fault]:
    """Every kind once, in an order by chance; then again, until there are enough."""
    chance = random.Random(seed)  # noqa: S311 - a seed is the point
    chosen: list[Fault] = []
    while len(chosen) < count:
        chosen += chance.sample(kinds, len(kinds))
    return chosen[:count]


async def _try(place: Surroundings, faults: Sequence[Fault], seed: str, control: Control | None) -> Outcome:
    folder = place.folder
    with progress() as bars, (folder / "history.jsonl").open("wb") as told, (folder / "log").open("w") as log:
        bar, began = bars.add_task("Starting", total=len(faults)), time.monotonic()

        def say(line: str) -> None:
            print(f"{time.monotonic() - began:7.1f} {line}", file=log, flush=True)
            bars.update(bar, description=line[:60])

        cluster = Cluster(place.hosts, place.disks, folder, Site(place.hosts.hosts), say)
        async with applied(control, cluster):
            try:
                await cluster.start()
                trial = Trial(cluster, History(told), seed, say)
                return await trial.run(faults, lambda: bars.advance(bar))
            finally:
                await cluster.stop()
