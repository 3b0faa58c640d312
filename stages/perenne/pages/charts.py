"""Charts as Mermaid: GitHub draws them in the page, so no image has to be hosted."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal

MOST = 24  # marks on an axis; more are too narrow to read
FIRST, SECOND = "blue", "orange"  # the series: Mermaid draws no legend, so the titles name the colours
COLOURS = '%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#4c8bf5, #e8710a"}}}}%%'

Series = tuple[Literal["bar", "line"], Sequence[float]]


def chart(
    title: str, names: Sequence[str], label: str, series: Sequence[Series], *, lying: bool = False
) -> str:
    """Return a chart of bars and lines over the same names, as Markdown.

    Empty if there is no value, or one is not finite: a chart cannot show that something is missing. Empty as
    well for bars with a negative value: bars start at 0, and Mermaid cannot draw below.

    Parameters
    ----------
    title, label
        Of the chart, and of the axis of values.
    names
        The marks of the other axis; the first `MOST` are drawn.
    series
        Each with one value per name.
    lying
        Draw the bars horizontally.

    >>> print(chart("Loss", ["a", "b"], "nats", [("bar", [0.5, 0.25])]))
    ```mermaid
    %%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#4c8bf5, #e8710a"}}}}%%
    xychart-beta
        title "Loss"
        x-axis ["a", "b"]
        y-axis "nats" 0 --> 0.5
        bar [0.5, 0.25]
    ```
    >>> chart("Loss", ["a"], "nats", [("bar", [-1.0])])
    ''

    """
    known = [value for _, values in series for value in values]
    bars = any(kind == "bar" for kind, _ in series)
    if not known or not all(map(math.isfinite, known)) or (bars and min(known) < 0):
        return ""
    low, high = (0.0 if bars else min(known)), max(known)
    high = high if high > low else low + 1
    axis = ", ".join(f'"{_text(name)}"' for name in names[:MOST])
    drawn = [f"    {kind} [{', '.join(f'{v:.4g}' for v in values[:MOST])}]" for kind, values in series]
    return "\n".join(
        [
            "```mermaid",
            COLOURS,
            f"xychart-beta {'horizontal' * lying}".rstrip(),
            f'    title "{_text(title)}"',
            f"    x-axis [{axis}]",
            f'    y-axis "{_text(label)}" {low:.4g} --> {high:.4g}',
            *drawn,
            "```",
        ]
    )


def _text(text: str) -> str:
    """A label without the characters that could end it, or mean something to Mermaid."""
    return re.sub(r"[^\w .,:=()\[\]+/%-]", " ", text)[:60].strip() or "-"
