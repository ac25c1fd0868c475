"""`python -m tests.bench.page`: puts a run's results (docs/speed.json) into docs/speed.md, with its pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

from rich.table import Table

from tests.bench import report
from tests.bench.chart import Axis, Line, draw, linear_ticks, log_ticks
from tests.bench.compare import CONCURRENCIES
from tests.bench.contender import TITLES
from tests.bench.results import Part, Results, read
from tests.bench.targets import grown_ms, per_second, spell, targets

DOCS = Path(__file__).resolve().parents[2] / "docs"
RESULTS, PAGE, PICTURES = DOCS / "speed.json", DOCS / "speed.md", DOCS / "speed"
BEGIN = "<!-- begin: measured, by `python -m tests.bench.page` -->"
END = "<!-- end -->"


def main() -> None:
    results = read(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
    PICTURES.mkdir(exist_ok=True)
    for name, picture in pictures(results).items():
        (PICTURES / name).write_text(picture)
    PAGE.write_text(filled(PAGE.read_text(), results))


def filled(page: str, results: Results) -> str:
    """`page` with the results between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n\n".join([before + BEGIN, *_sections(results), END]) + after


def pictures(results: Results) -> dict[str, str]:
    """The pictures that the results are enough for, by file name."""
    found: dict[str, str] = {}
    if report.of(results, "sign", "serx", 1):
        found["latency.svg"] = _latency(results)
        found["throughput.svg"] = _throughput(results)
    if results.grown:
        found["growth.svg"] = _growth(results)
    return found


def _sections(results: Results) -> Iterator[str]:
    machine = results.machine
    yield (
        f"Measured on {results.at:%d %B %Y}: {machine.cores} cores of {machine.cpu}, {machine.memory_gib:.0f} GiB,"
        f" Linux {machine.kernel}, Python {machine.python}; {results.repeats} times, medians, with the least and the"
        " most in parentheses."
    )
    yield "### Targets"
    yield _targets(results)
    for name in pictures(results):
        yield f"![{_ALT[name]}](speed/{name})"
    for table in report.tables(results):
        yield f"### {table.title}"
        yield markdown(table)
    versions = ", ".join(f"{name.removeprefix('peer:')} {version}" for name, version in results.versions.items())
    yield f"Versions: {versions}."


_ALT = {
    "latency.svg": "How long a signature takes, at each percentile",
    "throughput.svg": "Signatures a second, over how many are under way at once",
    "growth.svg": "What a call takes, over how many projects there are",
}


def markdown(table: Table) -> str:
    """A table as Markdown has it."""
    columns = [[str(cell).replace("|", "\\|") for cell in column.cells] for column in table.columns]
    rule = ["---:" if column.justify == "right" else "---" for column in table.columns]
    rows = [[str(column.header) for column in table.columns], rule, *(list(row) for row in zip(*columns, strict=True))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _targets(results: Results) -> str:
    said = {True: "met", False: "**not met**", None: ""}
    rows = [
        f"| {target.what} | {target.spelled} | {spell(target.measured, target.unit)} | {said[target.is_met]} |"
        for target in targets(results)
    ]
    return "\n".join(["| | target | measured | |", "|---|---:|---:|---|", *rows])


def _latency(results: Results) -> str:
    lines = [
        Line(name=TITLES[name], points=tuple(enumerate(_quantiles(results, "sign", name)[:100])))
        for name in report.contenders(results, "sign")
    ]
    ticks = log_ticks(_values(lines))
    y = Axis(title="ms", ticks=ticks, is_log=True)
    x = Axis(title="percent of signatures that took no longer", ticks=(0, 25, 50, 75, 90, 99))
    return draw("One signature at a time", x, y, lines)


def _throughput(results: Results) -> str:
    lines = [
        Line(
            name=TITLES[name],
            points=tuple((c, value) for c in CONCURRENCIES if (value := per_second(results, "sign", name, c))),
        )
        for name in report.contenders(results, "sign")
    ]
    y = Axis(title="signatures a second", ticks=linear_ticks(max(_values(lines))))
    return draw("Signatures a second", Axis(title="at once", ticks=(1, 8, 16, 24, 32)), y, lines)


def _growth(results: Results) -> str:
    sizes = sorted({grown.projects for grown in results.grown})
    lines = [
        Line(name=call, points=tuple((size, value) for size in sizes if (value := grown_ms(results, call, size))))
        for call in dict.fromkeys(grown.call for grown in results.grown)
    ]
    x = Axis(title="projects of the organisation", ticks=tuple(float(size) for size in sizes), is_log=True)
    y = Axis(title="p50, ms", ticks=log_ticks(_values(lines)), is_log=True)
    return draw("What size costs", x, y, lines)


def _quantiles(results: Results, part: Part, contender: str) -> Sequence[float]:
    each = [m.quantiles_ms for m in report.of(results, part, contender, 1)]
    return [median(at) for at in zip(*each, strict=True)]


def _values(lines: Iterable[Line]) -> list[float]:
    return [value for line in lines for _, value in line.points]


if __name__ == "__main__":
    main()
