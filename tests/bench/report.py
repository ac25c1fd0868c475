"""A run's results, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.bench.compare import CONCURRENCIES, PARTS
from tests.bench.contender import OURS, TITLES
from tests.bench.results import LOAD, Measurement, Part, Results
from tests.bench.targets import MEBIBYTE, added_ms, grown_ms, spell, targets

PART_TITLES: dict[Part, str] = {
    "sign": "Sign: known client, two items",
    "retrieve": "Retrieve a project",
    "list": "List 20 projects, with the total",
}


def show(results: Results, console: Console) -> None:
    """Everything that was measured, and the targets at the end."""
    for table in (*tables(results), _targets(results)):
        console.print(table)
        console.print()


def tables(results: Results) -> Iterator[Table]:
    """What was measured, part by part."""
    yield from _compared(results)
    yield from _others(results)


def middle_and_spread(values: Iterable[float], digits: int = 2) -> str:
    """The median, with the least and the most."""
    found = sorted(values)
    if not found:
        return "-"
    if len(found) == 1:
        return f"{found[0]:.{digits}f}"
    return f"{median(found):.{digits}f} ({found[0]:.{digits}f}-{found[-1]:.{digits}f})"


def of(results: Results, part: Part, contender: str, concurrency: int) -> list[Measurement]:
    wanted = (part, contender, concurrency)
    return [m for m in results.measurements if (m.part, m.contender, m.concurrency) == wanted]


def contenders(results: Results, part: Part) -> list[str]:
    measured = {m.contender for m in results.measurements if m.part == part}
    return [name for name in TITLES if name in measured]


def _compared(results: Results) -> Iterator[Table]:
    for part in PARTS:
        if names := contenders(results, part):
            yield _part(results, part, names)
            yield _cpu(results, part, names)


def _part(results: Results, part: Part, names: list[str]) -> Table:
    table = _table(PART_TITLES[part], "", "p50 ms", "p99 ms", *(f"per second at {c}" for c in CONCURRENCIES[1:]))
    table.add_column("of FastAPI's p50", justify="right")
    reference = _p50(results, part, "fastapi")
    for name in names:
        alone = of(results, part, name, 1)
        own = _p50(results, part, name)
        table.add_row(
            TITLES[name],
            middle_and_spread(m.p50_ms for m in alone),
            middle_and_spread(m.p99_ms for m in alone),
            *(middle_and_spread((m.per_second for m in of(results, part, name, c)), 0) for c in CONCURRENCIES[1:]),
            f"{own / reference:.2f} ×" if own and reference else "-",
        )
    return table


def _cpu(results: Results, part: Part, names: list[str]) -> Table:
    table = _table(f"{PART_TITLES[part]}: CPU-ms per request at 16", "", "all", "by process", "the load itself")
    for name in names:
        crowd = of(results, part, name, 16)
        if not crowd:
            continue
        each = {process: median(m.cpu_ms[process] for m in crowd) for process in crowd[0].cpu_ms}
        shown = ", ".join(
            f"{p} {used:.2f}" for p, used in sorted(each.items(), key=_most_first) if p != LOAD and used >= 0.005
        )
        everything = median(m.cpu_ms_of_all for m in crowd)
        table.add_row(TITLES[name], f"{everything:.2f}", shown, f"{each[LOAD]:.3f}")
    return table


def _others(results: Results) -> Iterator[Table]:
    for build, found in (
        (_ways, results.ways),
        (_told, results.told),
        (_memory, results.memory),
        (_starts, results.starts),
        (_grown, results.grown),
    ):
        if found:
            yield build(results)


def _ways(results: Results) -> Table:
    table = _table("Ways to the same answer (retrieve a project, one at a time)", "", "p50 ms", "p99 ms", "adds to p50")
    for way in ("direct", "nginx", "gateway"):
        found = [measured.quantiles_ms for measured in results.ways if measured.way == way]
        if found:
            added = "" if way == "direct" else spell(added_ms(results, way), "ms")
            table.add_row(way, middle_and_spread(q[50] for q in found), middle_and_spread(q[99] for q in found), added)
    return table


def _told(results: Results) -> Table:
    table = _table("Events, from the commit to a consumer", "signatures", "events", "p50 ms", "p99 ms")
    for load in dict.fromkeys((told.concurrency, told.per_second) for told in results.told):
        found = [told for told in results.told if (told.concurrency, told.per_second) == load]
        quantiles = [told.quantiles_ms for told in found]
        table.add_row(
            _asked(*load),
            str(sum(told.events for told in found)),
            middle_and_spread(q[50] for q in quantiles),
            middle_and_spread(q[99] for q in quantiles),
        )
    return table


def _asked(concurrency: int, per_second: int | None) -> str:
    """How signatures were asked for."""
    if per_second is not None:
        return f"{per_second} a second"
    return "one after another" if concurrency == 1 else f"{concurrency} at once"


def _memory(results: Results) -> Table:
    table = _table("Memory, MB resident (proportional)", "", "after requests", "all", "by process")
    for memory in results.memory:
        each = ", ".join(f"{name} {used / MEBIBYTE:.0f}" for name, used in memory.resident.items())
        resident, proportional = sum(memory.resident.values()), sum(memory.proportional.values())
        everything = f"{resident / MEBIBYTE:.0f} ({proportional / MEBIBYTE:.0f})"
        table.add_row(TITLES[memory.contender], str(memory.after_requests), everything, each)
    return table


def _starts(results: Results) -> Table:
    table = _table("Start, on data that is there", "", "seconds to ready")
    for name in TITLES:
        found = [start.seconds for start in results.starts if start.contender == name]
        if found:
            servers = " (PostgreSQL and NATS included)" if name == OURS else ""
            table.add_row(TITLES[name] + servers, middle_and_spread(found))
    return table


def _grown(results: Results) -> Table:
    sizes = sorted({grown.projects for grown in results.grown})
    table = _table("Growth: p50 ms by how many projects there are", "", *(f"{size:,}" for size in sizes), "largest")
    for call in dict.fromkeys(grown.call for grown in results.grown):
        least, most = (grown_ms(results, call, size) for size in (sizes[0], sizes[-1]))
        table.add_row(
            call,
            *(_spread_of_grown(results, call, size) for size in sizes),
            f"{most / least:.2f} ×" if most and least else "-",
        )
    return table


def _spread_of_grown(results: Results, call: str, size: int) -> str:
    return middle_and_spread(g.p50_ms for g in results.grown if (g.call, g.projects) == (call, size))


def _targets(results: Results) -> Table:
    table = _table("Targets", "", "target", "measured", "")
    said: dict[bool | None, str] = {True: "[green]met[/]", False: "[red]not met[/]", None: ""}
    for target in targets(results):
        table.add_row(target.what, target.spelled, spell(target.measured, target.unit), said[target.is_met])
    return table


def _p50(results: Results, part: Part, contender: str) -> float | None:
    found = [m.p50_ms for m in of(results, part, contender, 1)]
    return median(found) if found else None


def _most_first(entry: tuple[str, float]) -> float:
    return -entry[1]


def _table(title: str, first: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "by process" else "right", overflow="fold")
    return table
