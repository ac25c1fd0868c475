"""The benchmark's results: targets, the page, its pictures."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from tests.bench.chart import Axis, Line, draw, linear_ticks, log_ticks
from tests.bench.page import BEGIN, END, filled, pictures
from tests.bench.results import Grown, Machine, Measurement, Results, Way
from tests.bench.targets import Target, added_ms, targets


def measured(part: str, contender: str, concurrency: int, *, p50: float, per_second: float, repeat: int = 0):
    return Measurement(
        part=part,  # pyright: ignore[reportArgumentType]
        contender=contender,
        concurrency=concurrency,
        repeat=repeat,
        requests=100,
        per_second=per_second,
        quantiles_ms=tuple([p50] * 99 + [p50 * 2, p50 * 3]),
        cpu_ms={"service": 1.0, "load": 0.1},
    )


def results() -> Results:
    machine = Machine(cpu="A processor", cores=2, memory_gib=8.0, kernel="6.1", python="3.11")
    found = Results(at=datetime(2026, 1, 2, tzinfo=UTC), machine=machine, versions={"peer:fastapi": "1"}, repeats=3)
    for repeat, p50 in enumerate((2.0, 9.0, 2.2)):
        found.measurements.append(measured("sign", "serx", 1, p50=p50, per_second=400, repeat=repeat))
    found.measurements += [
        measured("sign", "serx", 16, p50=20, per_second=700),
        measured("sign", "fastapi", 1, p50=4.0, per_second=250),
        measured("sign", "fastapi", 16, p50=50, per_second=500),
    ]
    found.grown = [
        Grown(call="first page", projects=size, repeat=0, p50_ms=p50, p99_ms=p50)
        for size, p50 in ((1_000, 1.0), (1_000_000, 1.4))
    ]
    return found


def target(what: str) -> Target:
    return next(target for target in targets(results()) if target.what.startswith(what))


@pytest.mark.parametrize(
    ("what", "is_met"),
    [
        ("sign, known client, p50 one at a time", True),
        ("sign, p50 against FastAPI", True),
        ("sign, p50 against DBOS", None),
        ("sign, p99 against its p50", True),
        ("sign, throughput at 16 against FastAPI", False),
        ("first page at 1 M projects against 1 k", True),
        ("the gateway adds to p50", None),
    ],
)
def test_a_target_is_met_by_medians_or_was_not_measured(what: str, *, is_met: bool | None):
    assert target(what).is_met is is_met


def test_a_ratio_is_of_the_medians_over_the_repeats():
    assert target("sign, p50 against FastAPI").measured == pytest.approx(2.2 / 4.0)


def test_what_a_way_adds_is_found_within_each_repeat():
    found = results()
    found.ways = [
        Way(way=way, repeat=repeat, quantiles_ms=tuple([p50] * 101))  # pyright: ignore[reportArgumentType]
        for repeat, direct, gateway in ((0, 1.0, 1.2), (1, 5.0, 5.3), (2, 1.0, 1.1))
        for way, p50 in (("direct", direct), ("gateway", gateway))
    ]
    assert added_ms(found, "gateway") == pytest.approx(0.2)


def test_the_page_gets_its_results_between_its_marks_and_nothing_else_changes():
    page = filled(f"# Speed\n\n{BEGIN}\nold\n{END}\n\n## How\n", results())
    assert page.startswith(f"# Speed\n\n{BEGIN}\n")
    assert page.endswith(f"{END}\n\n## How\n")
    assert "old" not in page
    assert "| sign, throughput at 16 against FastAPI | ≥ 2.00 × | 1.40 × | **not met** |" in page
    assert filled(page, results()) == page


def test_pictures_are_svg_and_only_of_what_was_measured():
    found = pictures(results())
    assert set(found) == {"latency.svg", "throughput.svg", "growth.svg"}
    for picture in found.values():
        assert ET.fromstring(picture).tag.endswith("svg")


def test_a_line_goes_from_corner_to_corner_of_its_axes():
    axis = Axis(title="", ticks=(1, 10, 100), is_log=True)
    drawn = draw("A line", axis, axis, [Line(name="all of it", points=((1, 1), (10, 10), (100, 100)))])
    line = next(e for e in ET.fromstring(drawn).iter() if e.tag.endswith("polyline"))
    assert line.attrib["points"] == "64.0,384.0 312.0,224.0 560.0,64.0"


def test_ticks_hold_all_values():
    assert log_ticks([0.3, 42.0]) == (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    assert linear_ticks(730) == (0, 100, 200, 300, 400, 500, 600, 700, 800)
    assert linear_ticks(871) == (0, 200, 400, 600, 800, 1000)


@pytest.mark.parametrize("greatest", [0.1, 0.79, 0.81, 1, 3, 7.99, 8, 8.01, 9.99, 10, 123, 999.9, 1000])
def test_an_axis_has_four_to_ten_steps_and_room_for_the_greatest(greatest: float):
    ticks = linear_ticks(greatest)
    assert 4 <= len(ticks) - 1 <= 10
    assert ticks[-2] < greatest <= ticks[-1] * 1.000001
