"""Charts as Mermaid: GitHub draws them where they stand, and nothing is hosted anywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal

MOST = 24  # marks on an axis; more are too narrow to be read
FIRST, SECOND = "blue", "orange"  # of the series: Mermaid draws no legend, so titles say it
COLOURS = '%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#4c8bf5, #e8710a"}}}}%%'

Series = tuple[Literal["bar", "line"], Sequence[float]]


def chart(
    title: str, names: Sequence[str], label: str, series: Sequence[Series], *, lying: bool = False
) -> str:
    """Bars and lines over the same names; nothing if there is no value, or one is none.

    Bars begin at the least value of the axis, which is 0 for them: Mermaid cannot draw one below 0.

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
    """A label that is nothing but a label: what could end it, or mean something to Mermaid, is left out."""
    return re.sub(r"[^\w .,:=()\[\]+/%-]", " ", text)[:60].strip() or "-"
