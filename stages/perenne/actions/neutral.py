"""Markdown that a stranger wrote, made harmless: its words are shown and have no other effect.

It mentions nobody, refers to no issue, has no links and no images, hides nothing, and has no HTML except the
tags that fold a part. A chart is kept if it matches, character by character, the form in which a review
writes charts.
"""

from __future__ import annotations

import re

from perenne.pages import charts

GAP = "\N{ZERO WIDTH SPACE}"  # invisible; inside a piece of Markdown it removes the meaning
ROOM, DEEPEST = 500, 20  # characters reserved to close what was left open, and folds that are closed
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

# Control characters, line breaks but the usual one, and all that Unicode lets a reader leave invisible: its
# property Default_Ignorable_Code_Point and its category Cf, which has those that change a direction.
INVISIBLE = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    r"\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]"
)

# In this order: an earlier rule would remove what a later one inserts.
RULES = [
    (INVISIBLE, ""),
    (r"&(?!(?:amp|lt|gt);)", "&amp;"),
    (r"<(?!/?(?:details|summary|sub)>)", "&lt;"),
    (r"`{3,}", "'''"),  # no code block except a chart: GitHub draws many kinds
    (r"~{3,}", "~~"),
    (r"\$", "\N{FULLWIDTH DOLLAR SIGN}"),  # formulas
    (r"@", f"@{GAP}"),
    (r"#(?=\d)", f"#{GAP}"),
    (r"(?i)(?<![^\W_])(gh)-(?=\d)", rf"\1-{GAP}"),
    (r"\](?=[(\[:])", f"]{GAP}"),
    (r"://", f":{GAP}//"),
    (r"(?i)(?<![^\W_])(www)\.", rf"\1{GAP}."),  # GitHub links it after a line below as well
]


def neutral(text: str, most: int) -> str:
    """Return the same text without any effect, in at most `most` characters.

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
    """Return at most `most` characters of a text, as one line without Markdown."""
    return re.sub(r"([\\`*_\[\]|~<>])", r"\\\1", _harmless(" ".join(text.split())[:most]))


def visible(text: str) -> str:
    """Return a text without invisible characters and without those that change the direction of others."""
    return re.sub(*RULES[0], text)


def _harmless(text: str) -> str:
    for pattern, new in RULES:
        text = re.sub(pattern, new, text)
    return text


def _closed(text: str, most: int) -> str:
    """Cut a text to its length, and close what is left open."""
    foot, room = "", most - ROOM
    if len(text) > room:
        foot = CUT
        text = text[:room]
        text = text[: text.rfind("\n") + 1] or text
    if text.count("```") % 2:
        text += "\n```"
    left = text.count("<details>") - text.count("</details>")
    return text + "\n\n</details>" * min(left, DEEPEST) + foot
