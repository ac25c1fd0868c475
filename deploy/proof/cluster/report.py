"""What a run on the cluster shows: a table for people, JSON for machines."""

from __future__ import annotations

from collections import Counter, defaultdict

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.proof.cluster.trial import Made, Outcome
from deploy.proof.report import wrong
from deploy.proof.violations import Kind


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's version."""

    command: str
    is_proven: bool
    outcome: Outcome


def as_json(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def picture(report: Report) -> RenderableType:
    """What was asked, what was broken, what is wrong."""
    verdict = Text("Nothing told and lost, nothing doubled, every limit kept", style="bold green")
    if not report.is_proven:
        verdict = Text(f"NOT proven: {len(report.outcome.violations)} violations", style="bold red")
    return Group(_sums(report.outcome), _faults(report.outcome), verdict, *wrong(report.outcome.violations))


def _sums(outcome: Outcome) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="What was asked, and what came of it", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    kinds = Counter(violation.kind for violation in outcome.violations)
    refusals = ", ".join(
        f"{count:,} times {status or 'no answer'}" for status, count in sorted(outcome.refusals.items())
    )
    for name, count in (
        ("Calls to sign", outcome.calls_to_sign),
        ("Signed: one engagement, one order, a project for each item", outcome.signed),
        ("Proposals answered with 201, each looked up afterwards", outcome.proposals_told),
        ("Calls to write and send them", outcome.writes),
        ("Reads answered", outcome.reads),
        ("Faults", len(outcome.faults)),
        ("Told and lost", kinds[Kind.LOST]),
        ("Doubled", kinds[Kind.DOUBLED]),
        ("Stuck, or later than its limit", kinds[Kind.STUCK]),
        ("Untrue", kinds[Kind.UNTRUE]),
    ):
        table.add_row(Text(name), f"{count:,}")
    table.add_row(Text("Writes that were refused and repeated"), refusals or "none")
    table.add_row(Text("All settled after the last fault"), f"{outcome.settled_seconds:.1f} s")
    table.add_row(Text("It took"), f"{outcome.took_seconds:.0f} s")
    table.add_row(Text("Seed"), Text(outcome.seed))
    return table


def _faults(outcome: Outcome) -> Table:
    title = "Faults: the next signature; the longest time without one, and without a read"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.add_column("Fault")
    for column in ("count", "limit", "median", "longest", "gap", "reads"):
        table.add_column(column, justify="right")
    kinds: dict[str, list[Made]] = defaultdict(list)
    for made in outcome.faults:
        kinds[made.name].append(made)
    for name, all_of_it in sorted(kinds.items()):
        times = sorted(each.recovery if each.recovery is not None else float("inf") for each in all_of_it)
        table.add_row(
            name,
            str(len(all_of_it)),
            f"{all_of_it[0].limit:.0f} s",
            f"{times[len(times) // 2]:.2f} s",
            f"{times[-1]:.2f} s",
            f"{max(each.longest_signature_gap for each in all_of_it):.1f} s",
            f"{max(each.longest_read_gap for each in all_of_it):.1f} s",
        )
    return table
