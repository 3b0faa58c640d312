"""Charts as Mermaid: GitHub draws them where they stand, and nothing is hosted anywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

MOST = 24  # marks on an axis; more are too narrow to be read


def bars(title: str, names: Sequence[str], values: Sequence[float], label: str) -> str:
    """A bar for each name, lying, so that long names can be read.

    >>> print(bars("Gain", ["a", "b"], [0.5, -0.25], "nats"))
    ```mermaid
    xychart-beta horizontal
        title "Gain"
        x-axis ["a", "b"]
        y-axis "nats" -0.25 --> 0.5
        bar [0.5, -0.25]
    ```
    <BLANKLINE>
    """
    return _chart("horizontal", title, names, label, [("bar", values)])


def lines(title: str, names: Sequence[str], series: Sequence[Sequence[float]], label: str) -> str:
    """One line for each series, over the same names."""
    return _chart("", title, names, label, [("line", values) for values in series])


def _chart(
    direction: str,
    title: str,
    names: Sequence[str],
    label: str,
    series: Sequence[tuple[str, Sequence[float]]],
) -> str:
    """Nothing if a value is none: a chart cannot say that something is missing."""
    known = [value for _, values in series for value in values]
    if not known or not all(map(math.isfinite, known)):
        return ""
    low, high = min(known), max(known)
    if direction:  # bars begin at 0
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        high = low + 1
    axis = ", ".join(f'"{_text(name)}"' for name in names[:MOST])
    drawn = [f"    {kind} [{', '.join(f'{v:.4g}' for v in values[:MOST])}]" for kind, values in series]
    return "\n".join(
        [
            "```mermaid",
            f"xychart-beta {direction}".rstrip(),
            f'    title "{_text(title)}"',
            f"    x-axis [{axis}]",
            f'    y-axis "{_text(label)}" {low:.4g} --> {high:.4g}',
            *drawn,
            "```",
            "",
        ]
    )


def _text(text: str) -> str:
    """A label that is nothing but a label: what could end it, or mean something to Mermaid, is left out."""
    return re.sub(r"[^\w .,:=()\[\]+/%-]", " ", text)[:60].strip() or "-"
