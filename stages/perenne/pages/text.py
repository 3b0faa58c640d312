"""Text in Markdown: numbers, tables, and text from elsewhere that must not be read as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from perenne.common.names import REVIEW_JSON

MOST_ROWS = 40  # of a table in a review; the rest is in its file


def plain(text: str) -> str:
    r"""Escape a text so that neither Markdown nor HTML in it has any effect.

    >>> print(plain("site=<b>|x`"))
    site=&lt;b&gt;\|x\`
    """
    for character, harmless in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, harmless)
    escaped = "".join(f"\\{c}" if c in "\\`*_[]|#" else c for c in text.replace("\n", " "))
    return escaped.replace("@", "@\N{ZERO WIDTH SPACE}")  # GitHub notifies whoever is mentioned


def number(value: float | None) -> str:
    """Format a number with four significant digits.

    >>> number(0.0012345), number(1234567.0), number(None)
    ('0.001234', '1.235e+06', '-')
    """
    return "-" if value is None else f"{value:.4g}"


def bounds(low: float | None, high: float | None) -> str:
    """Format the bounds of an interval; nothing where the lower one is unknown.

    >>> bounds(0.12345, None), bounds(None, 1.0)
    ('[0.1235, -]', '')
    """
    return "" if low is None else f"[{number(low)}, {number(high)}]"


def joined(*blocks: str) -> str:
    """Join blocks of Markdown, leaving out empty ones."""
    return "\n\n".join(filter(None, blocks))


def bullets(lines: Sequence[str]) -> str:
    """Return a Markdown list of lines that are Markdown already."""
    return "\n".join(f"- {line}" for line in lines)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, empty if there is no row; the cells are Markdown already."""
    return tabulate(rows, head, tablefmt="github", disable_numparse=True) if rows else ""


def shortened(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table of the first `MOST_ROWS` rows of a review, and how many more its file has."""
    left = len(rows) - MOST_ROWS
    return joined(table(head, rows[:MOST_ROWS]), f"{left} more are in {REVIEW_JSON}." if left > 0 else "")


def folded(title: str, body: str) -> str:
    """Return Markdown that shows the title, and the body on a click."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
