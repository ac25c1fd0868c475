"""What a run of the proof shows: a table for people, JSON for machines."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.proof.storm import Made, Outcome
from deploy.proof.violations import Kind, Violation

SHOWN_VIOLATIONS = 20
SHOWN_LAST = 3


class Recovery(msgspec.Struct, frozen=True):
    """Seconds from a fault to the next completed signature that was asked for after it."""

    measured: int
    p50: float
    p99: float
    longest: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's version."""

    command: str
    is_proven: bool
    seed: str
    took_seconds: float
    settled_seconds: float
    last_to_settle: list[str]
    """What the last look but one still found, in the words of the rules."""
    calls: int
    proposals: int
    signed: int
    refused: int
    manners: dict[str, int]
    messages_repeated_or_late: int
    poison_parked: int
    faults: dict[str, int]
    left_out: list[str]
    """Faults that cannot be made here: only root may mount the small disks that are filled."""
    recovery: dict[str, Recovery]
    timeline: list[Made]
    """Every fault, in the order in which they began, so that one that took long can be looked into."""
    wrong: dict[str, int]
    violations: list[Violation]


def report_of(outcome: Outcome, command: str, left_out: Sequence[str] = ()) -> Report:
    """The figures of a run."""
    kinds = Counter(violation.kind for violation in outcome.violations)
    return Report(
        command=command,
        is_proven=not outcome.violations,
        seed=outcome.seed,
        took_seconds=round(outcome.took_seconds, 1),
        settled_seconds=round(outcome.settled_seconds, 1),
        last_to_settle=outcome.last_to_settle,
        calls=outcome.calls,
        proposals=outcome.proposals,
        signed=outcome.signed,
        refused=outcome.refused,
        manners=outcome.manners,
        messages_repeated_or_late=outcome.repeated,
        poison_parked=outcome.poison,
        faults=Counter(made.name for made in outcome.timeline),
        left_out=list(left_out),
        recovery=_recoveries(outcome.timeline),
        timeline=[_rounded(made) for made in outcome.timeline],
        wrong={kind.value: kinds[kind] for kind in Kind},
        violations=outcome.violations,
    )


def write(report: Report, path: Path) -> None:
    path.write_bytes(as_json(report))


def as_json(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def picture(report: Report) -> RenderableType:
    """The table that a stranger can believe: what was asked, what was broken, what is wrong."""
    verdict = Text("Exactly once: proven", style="bold green")
    if not report.is_proven:
        verdict = Text(f"NOT exactly once: {len(report.violations)} violations", style="bold red")
    return Group(_sums(report), _faults(report), verdict, *wrong(report.violations))


def _sums(report: Report) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="What was asked, and what came of it", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    rows = [
        ("Calls to sign", report.calls),
        ("Proposals", report.proposals),
        *((f"  signed {manner}", count) for manner, count in sorted(report.manners.items())),
        ("Signed: one engagement, one order, a project for each item", report.signed),
        ("Refused for cause and undone", report.refused),
        ("Faults", sum(report.faults.values())),
        ("Messages tripled or out of order", report.messages_repeated_or_late),
        ("Messages that nobody can handle, parked", report.poison_parked),
        ("Doubled", report.wrong[Kind.DOUBLED]),
        ("Lost", report.wrong[Kind.LOST]),
        ("Stuck 10 s after the last fault", report.wrong[Kind.STUCK]),
        ("Untrue", report.wrong[Kind.UNTRUE]),
    ]
    for name, count in rows:
        table.add_row(Text(name), f"{count:,}")
    table.add_row(Text("All settled after the last fault"), f"{report.settled_seconds:.1f} s")
    for sentence in report.last_to_settle[:SHOWN_LAST]:
        table.add_row(Text(f"  waited for: {sentence}"))
    table.add_row(Text("It took"), f"{report.took_seconds:.0f} s")
    table.add_row(Text("Seed"), Text(report.seed))
    return table


def _faults(report: Report) -> Table:
    title = "Faults, and the time to the next completed signature that was asked for after one"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.add_column("Fault")
    for column in ("count", "timed", "p50", "p99", "longest"):
        table.add_column(column, justify="right")
    for name, count in sorted(report.faults.items()):
        recovery = report.recovery.get(name)
        times = [f"{seconds:.2f} s" for seconds in (recovery.p50, recovery.p99, recovery.longest)] if recovery else []
        table.add_row(name, str(count), str(recovery.measured if recovery else 0), *times)
    for name in report.left_out:
        table.add_row(name, "left out: only root can mount the disk for it")
    return table


def wrong(violations: Sequence[Violation]) -> list[Text]:
    """What is wrong, a line each, of many only the first."""
    shown = [
        Text(f"  {violation.kind}: {violation.sentence} ({violation.rule})")
        for violation in violations[:SHOWN_VIOLATIONS]
    ]
    if len(violations) > SHOWN_VIOLATIONS:
        shown.append(Text(f"  … and {len(violations) - SHOWN_VIOLATIONS} more"))
    return shown


def recovery_of(seconds: Sequence[float]) -> Recovery:
    """Of at least one time."""
    ordered = sorted(seconds)
    return Recovery(
        measured=len(ordered),
        p50=round(_quantile(ordered, 0.5), 3),
        p99=round(_quantile(ordered, 0.99), 3),
        longest=round(ordered[-1], 3),
    )


def _recoveries(timeline: Sequence[Made]) -> dict[str, Recovery]:
    """By kind of fault, of those that were timed."""
    times: dict[str, list[float]] = defaultdict(list)
    for made in timeline:
        if made.recovery_seconds is not None:
            times[made.name].append(made.recovery_seconds)
    return {name: recovery_of(seconds) for name, seconds in times.items()}


def _rounded(made: Made) -> Made:
    recovery = made.recovery_seconds
    return replace(
        made,
        at=round(made.at, 3),
        lasted_seconds=round(made.lasted_seconds, 3),
        recovery_seconds=None if recovery is None else round(recovery, 3),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The least value that at least that share is not above."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
