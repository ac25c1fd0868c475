"""Lines over two axes, as an SVG that a page can show: no library, the same bytes for the same figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import msgspec

HEIGHT = 436
LEFT, RIGHT, TOP, BOTTOM = 64, 560, 64, 52
"""The axes' place; what is right of it is the lines' names."""
COLOURS = (
    *("#0b6e4f", "#c2410c", "#475569", "#7c3aed", "#0369a1", "#b45309", "#be185d", "#4d7c0f", "#0f766e", "#6b21a8"),
    *("#1f2937", "#a16207"),
)
LETTER = 7.5
"""How wide a letter of a name is, at most on average."""
LABEL_GAP = 15
_TEXT = 'font-family="system-ui, sans-serif" font-size="12" fill="#1f2937"'


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """What runs along an axis; on a logarithmic one everything is above zero."""

    title: str
    ticks: tuple[float, ...]
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where `value` lies between the first tick (0) and the last (1)."""
        low, high = self._scaled(self.ticks[0]), self._scaled(self.ticks[-1])
        return (self._scaled(value) - low) / (high - low)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value


class Line(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    points: tuple[tuple[float, float], ...]


def draw(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """The picture, as SVG."""
    width = RIGHT + 20 + math.ceil(LETTER * max(len(line.name) for line in lines))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" {_TEXT} font-weight="600">{escape(title)}</text>',
        *_grid(x, y),
        *(_path(line, x, y, COLOURS[number % len(COLOURS)]) for number, line in enumerate(lines)),
        *_names(lines, y),
        "</svg>\n",
    ]
    return "\n".join(parts)


def log_ticks(values: Sequence[float]) -> tuple[float, ...]:
    """Powers of ten, with 2 and 5 between them, from below the least value to above the greatest."""
    steps = [step * 10.0**power for power in range(-3, 8) for step in (1, 2, 5)]
    low = max(step for step in steps if step <= min(values))
    high = min(step for step in steps if step >= max(values))
    return tuple(step for step in steps if low <= step <= high) if low < high else (low, low * 2)


def linear_ticks(greatest: float) -> tuple[float, ...]:
    """Four to ten round steps from zero to above the greatest value."""
    step = 10.0 ** math.floor(math.log10(greatest))
    step = next(step * share for share in (0.2, 0.5, 1, 2) if greatest / (step * share) <= 8)
    return tuple(step * number for number in range(math.ceil(greatest / step) + 1))


def _grid(x: Axis, y: Axis) -> list[str]:
    bottom = HEIGHT - BOTTOM
    parts = []
    for tick in y.ticks:
        at = _y(y, tick)
        parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{RIGHT}" y2="{at:.1f}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" {_TEXT} text-anchor="end">{_number(tick)}</text>')
    for tick in x.ticks:
        at = _x(x, tick)
        parts.append(f'<line x1="{at:.1f}" y1="{bottom}" x2="{at:.1f}" y2="{bottom + 5}" stroke="#6b7280"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 19}" {_TEXT} text-anchor="middle">{_number(tick)}</text>')
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 12}" {_TEXT} text-anchor="middle">{escape(x.title)}</text>')
    parts.append(f'<text x="{LEFT - 44}" y="{TOP - 18}" {_TEXT} fill-opacity="0.7">{escape(y.title)}</text>')
    return parts


def _path(line: Line, x: Axis, y: Axis, colour: str) -> str:
    points = " ".join(f"{_x(x, at):.1f},{_y(y, value):.1f}" for at, value in line.points)
    dots = ""
    if len(line.points) < 10:
        dots = "".join(
            f'<circle cx="{_x(x, at):.1f}" cy="{_y(y, value):.1f}" r="3.5" fill="{colour}"/>'
            for at, value in line.points
        )
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def _names(lines: Sequence[Line], y: Axis) -> list[str]:
    """Each line's name beside its end, moved down where two would lie on each other."""
    ends = sorted((_y(y, line.points[-1][1]), number) for number, line in enumerate(lines))
    parts, free_from = [], float(TOP)
    for at, number in ends:
        free_from = max(at, free_from)
        colour = COLOURS[number % len(COLOURS)]
        parts.append(
            f'<text x="{RIGHT + 10}" y="{free_from + 4:.1f}" {_TEXT.replace("#1f2937", colour)}'
            f' font-weight="600">{escape(lines[number].name)}</text>'
        )
        free_from += LABEL_GAP
    return parts


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (RIGHT - LEFT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 and value == round(value) else f"{value:g}"
