"""Markdown that a stranger wrote, made harmless: what it says is shown, and nothing else happens.

Nobody is called, no other issue is told, no link or image leads anywhere, nothing is hidden, and no HTML
stands but what folds. Charts are kept if they are ours to the letter.
"""

from __future__ import annotations

import re

from perenne.pages import charts

GAP = "\N{ZERO WIDTH SPACE}"  # shown as nothing, and takes the meaning from what it stands in
ROOM, DEEPEST = 500, 20  # what is kept to close what was left open
CUT = "\n\n… the rest was too long for a comment."

_LABEL = r'"[\w .,:=()\[\]+/%-]*"'
_NUMBER = r"-?[0-9.]+(?:e[+-]?[0-9]+)?"
_NUMBERS = rf"\[{_NUMBER}(?:, {_NUMBER})*\]"
CHART = re.compile(
    rf"^```mermaid\n{re.escape(charts.COLOURS)}\nxychart-beta(?: horizontal)?\n"
    rf"    title {_LABEL}\n    x-axis \[{_LABEL}(?:, {_LABEL})*\]\n"
    rf"    y-axis {_LABEL} {_NUMBER} --> {_NUMBER}\n(?:    (?:bar|line) {_NUMBERS}\n)+```$",
    re.MULTILINE,
)

# One after the other: what a later one adds, an earlier one would take for the stranger's.
RULES = [
    # What cannot be seen, or turns the direction of what can.
    (r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", ""),
    (r"&(?!(?:amp|lt|gt);)", "&amp;"),
    (r"<(?!/?(?:details|summary|sub)>)", "&lt;"),
    (r"`{3,}", "'''"),  # no block but a chart: those that GitHub draws are many
    (r"~{3,}", "~~"),
    (r"\$", "\N{FULLWIDTH DOLLAR SIGN}"),  # formulas
    (r"@", f"@{GAP}"),
    (r"#(?=\d)", f"#{GAP}"),
    (r"(?i)\b(gh)-(?=\d)", rf"\1-{GAP}"),
    (r"\](?=[(\[:])", f"]{GAP}"),
    (r"://", f":{GAP}//"),
    (r"(?i)\b(www)\.", rf"\1{GAP}."),
]


def neutral(text: str, most: int) -> str:
    """The same text without any effect, in at most so many characters.

    >>> neutral("ask @ada about <img src=x> and #7", 1000).replace(GAP, "~")
    'ask @~ada about &lt;img src=x> and #~7'
    """
    text = text.replace("\r\n", "\n")
    kept, place = [], 0
    for chart in CHART.finditer(text):
        kept += [_harmless(text[place : chart.start()]), chart.group()]
        place = chart.end()
    return _closed("".join([*kept, _harmless(text[place:])]), most)


def line(text: str, most: int) -> str:
    """A text as one line in which nothing is Markdown."""
    return re.sub(r"([\\`*_\[\]|~<>])", r"\\\1", _harmless(" ".join(text.split())[:most]))


def seen(text: str) -> str:
    """A text without what cannot be seen, or turns the direction of what can."""
    return re.sub(*RULES[0], text)


def _harmless(text: str) -> str:
    for pattern, new in RULES:
        text = re.sub(pattern, new, text)
    return text


def _closed(text: str, most: int) -> str:
    """A text that ends in time, and with nothing left open."""
    foot, room = "", most - ROOM
    if len(text) > room:
        foot = CUT
        text = text[:room]
        text = text[: text.rfind("\n") + 1] or text
    if text.count("```") % 2:
        text += "\n```"
    left = text.count("<details>") - text.count("</details>")
    return text + "\n\n</details>" * min(left, DEEPEST) + foot
