"""Charts as SVG inside the page: lines by period, and what was done when, without a script or a font."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 960, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 104, 12, 26
LABELS = 12  # along the periods, at most
ROW = 20  # of the strip of events
APART = 14  # between two names at the ends of their lines


class Line(NamedTuple):
    """A line by period; one that is not there has NaN."""

    name: str
    style: str  # a CSS class
    values: Sequence[float]


class Band(NamedTuple):
    """Where a value is as it should be."""

    low: float
    high: float


class Frame:
    """From periods and values to places in the picture."""

    def __init__(self, periods: Sequence[str], low: float, high: float) -> None:
        """`low` and `high` are the ends of the axis of values."""
        self.periods, self.low, self.high = periods, low, high

    def x(self, place: float) -> float:
        """Of the period in a place, counted from 0."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / len(self.periods)

    def y(self, value: float) -> float:
        """Of a value."""
        share = (value - self.low) / (self.high - self.low)
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def chart(
    title: str,
    periods: Sequence[str],
    lines: Sequence[Line],
    breaks: Iterable[str] = (),
    band: Band | None = None,
) -> str:
    """Lines over periods, each with its name at its end; nothing where there is no value at all.

    Parameters
    ----------
    title
        Read aloud by screen readers.
    periods
        The marks of the horizontal axis.
    lines
        Each with one value per period; NaN leaves a gap.
    breaks
        Periods before which a vertical line is drawn.
    band
        Values between which the background is shaded.

    Returns
    -------
    An SVG element; a note in HTML if no line has a value.

    """
    lines = [line for line in lines if any(map(math.isfinite, line.values))]
    if not lines:
        return '<p class="note">Not known: too few rows.</p>'
    known = [value for line in lines for value in line.values if math.isfinite(value)]
    known += list(band) if band else []
    low, high, step = axis(min(known), max(known))
    frame = Frame(periods, low, high)
    parts = [*_grid(frame, step), *_breaks(frame, breaks, HEIGHT - BOTTOM)]
    if band:
        top, bottom = frame.y(band.high), frame.y(band.low)
        parts.insert(0, _rect("band", LEFT, top, WIDTH - LEFT - RIGHT, bottom - top))
    parts += [_path(frame, line) for line in lines]
    parts += list(_names(frame, lines))
    return _svg(title, HEIGHT, parts)


def strip(
    title: str,
    periods: Sequence[str],
    rows: Mapping[str, Mapping[str, Mapping[str, float]]],
    breaks: Iterable[str] = (),
) -> str:
    """What was done when: row -> period -> kind -> share of the histories, which is how dark a mark is."""
    height = TOP + ROW * len(rows) + BOTTOM
    frame = Frame(periods, 0, 1)
    parts = list(_breaks(frame, breaks, height - BOTTOM))
    for number, (name, by_period) in enumerate(rows.items()):
        y = TOP + ROW * (number + 0.5)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{y + 4:.1f}">{escape(name)}</text>')
        for period, kinds in by_period.items():
            if period in periods:
                x = frame.x(periods.index(period))
                parts += [_mark(x, y, kind, share, f"{name}, {period}") for kind, share in kinds.items()]
    parts += list(_periods(frame, height))
    return _svg(title, height, parts)


MARKS = {
    "scheduled": "M-4-4H4V4H-4Z",
    "chosen": "M-4-4H4V4H-4Z",
    "released": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0",
    "rejected": "M-4-4L4 4M4-4L-4 4",
    "undecided": "M-4.5 0L0-4.5L4.5 0L0 4.5Z",
    "waiting": "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
}


def mark(kind: str) -> str:
    """A mark by itself, for the legend."""
    path = f'<path class="{kind}" d="{MARKS[kind]}"/>'
    return f'<svg class="key" viewBox="-7 -7 14 14" aria-hidden="true">{path}</svg>'


def _mark(x: float, y: float, kind: str, share: float, where: str) -> str:
    title = f"{where}: {kind}" + (f" in {share:.0%} of the histories" if share < 1 else "")
    return (
        f'<path class="{kind}" transform="translate({x:.1f} {y:.1f})" opacity="{max(share, 0.15):.2f}" '
        f'd="{MARKS[kind]}"><title>{escape(title)}</title></path>'
    )


def axis(low: float, high: float) -> tuple[float, float, float]:
    """Round ends of an axis that holds both values, and the step between its marks.

    Returns
    -------
    The low end, the high end, and the step.

    Examples
    --------
    >>> axis(0.123, 0.287)
    (0.1, 0.3, 0.05)

    """
    spread = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(spread / 4))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if spread / step <= 5)
    begin, end = math.floor(low / step), math.ceil(high / step)
    return round(begin * step, 10), round(max(end, begin + 1) * step, 10), round(step, 10)


def _grid(frame: Frame, step: float) -> Iterable[str]:
    for number in range(round((frame.high - frame.low) / step) + 1):
        value = frame.low + number * step
        y = frame.y(value)
        yield f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.6g}</text>'
    yield from _periods(frame, HEIGHT)


def _periods(frame: Frame, height: float) -> Iterable[str]:
    every = math.ceil(len(frame.periods) / LABELS)
    for place in range(0, len(frame.periods), every):
        x = frame.x(place)
        yield f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{escape(frame.periods[place])}</text>'


def _breaks(frame: Frame, breaks: Iterable[str], bottom: float) -> Iterable[str]:
    for period in breaks:
        if period in frame.periods:
            x = frame.x(frame.periods.index(period) - 0.5)
            yield (
                f'<line class="break" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}">'
                f"<title>{escape(period)}: the first batch of a new world</title></line>"
            )


def _path(frame: Frame, line: Line) -> str:
    pen, parts = "M", []
    for place, value in enumerate(line.values):
        if math.isfinite(value):
            parts.append(f"{pen}{frame.x(place):.1f} {frame.y(value):.1f}")
        pen = "L" if math.isfinite(value) else "M"
    return f'<path class="line {line.style}" d="{"".join(parts)}"><title>{escape(line.name)}</title></path>'


def _names(frame: Frame, lines: Sequence[Line]) -> Iterable[str]:
    """The name of each line at its end, moved apart where they would cover each other."""
    ends = [(frame.y([v for v in line.values if math.isfinite(v)][-1]), line) for line in lines]
    last = -math.inf
    places = []
    for y, line in sorted(ends, key=lambda end: end[0]):
        last = max(y, last + APART)
        places.append((last, line))
    beyond = max(0.0, last - (HEIGHT - BOTTOM)) if places else 0.0
    for y, line in places:
        place = f'x="{WIDTH - RIGHT + 8}" y="{y - beyond + 4:.1f}"'
        yield f'<text class="name {line.style}" {place}>{escape(line.name)}</text>'


def _rect(style: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _svg(title: str, height: float, parts: Iterable[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )
