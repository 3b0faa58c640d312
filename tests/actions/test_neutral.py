"""A stranger's Markdown: its words are shown, and have no other effect."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from perenne.actions import comment_job
from perenne.actions.neutral import CUT, GAP, line, neutral, visible
from perenne.forge.github import GitHub
from perenne.pages import charts, review
from tests.pages.test_review import HOSTILE, made

MOST = 10_000
CHART = charts.chart(
    "Loss: this change blue", ["a=1", "b"], "nats", [("bar", [0.5, 1e-05]), ("line", [1, 2])]
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ask @ada", "ask @~ada"),
        ("ask @\u200b\u200bada", "ask @~ada"),
        ("ask &#64;ada", "ask &amp;#~64;ada"),
        ("fixes #7, GH-7 and ada/perenne#7", "fixes #~7, GH-~7 and ada/perenne#~7"),
        ("<!-- perenne review -->", "&lt;!-- perenne review -->"),
        ("<img src=x onerror=y>", "&lt;img src=x onerror=y>"),
        ("<details open><summary class=x>", "&lt;details open>&lt;summary class=x>"),
        ("![it](x.png) [it](/ada) [it][a]", "![it]~(x.png) [it]~(/ada) [it]~[a]"),
        ("[a]: /ada", "[a]~: /ada"),
        ("https://evil.example www.evil.example", "https:~//evil.example www~.evil.example"),
        ("_www.evil.example_ a_WWW.evil.example _GH-7", "_www~.evil.example_ a_WWW~.evil.example _GH-~7"),
        ("```math\nx\n```", "'''math\nx\n'''"),
        ("~~~\nx", "~~\nx"),
        ("a\u00ad\u180e\u3164\u115f\u1160\ufe0f\U000e0041\U000e007f\U000e0100\u034f\u061c\u206ab", "ab"),
        ("@\u00adada \U000e0001#\u31647", "@~ada #~7"),
        ("$x$ \u202egnp.exe\r\nnext", "\uff04x\uff04 gnp.exe\nnext"),
        ("## ❌ a &lt; b \\| c | **d**\n> [!WARNING]", "## ❌ a &lt; b \\| c | **d**\n> [!WARNING]"),
        (
            "<details><summary>All</summary>\n\nx\n\n</details>",
            "<details><summary>All</summary>\n\nx\n\n</details>",
        ),
    ],
)
def test_effects_of_a_text_are_removed(text: str, shown: str) -> None:
    """It mentions nobody, links nowhere and hides nothing; what a page needs stays."""
    assert neutral(text, MOST).replace(GAP, "~") == shown


def test_chart_of_a_review_is_kept_unchanged() -> None:
    """Mermaid draws it."""
    assert neutral(f"before\n\n{CHART}\n\nafter", MOST) == f"before\n\n{CHART}\n\nafter"


@pytest.mark.parametrize("name", ["slice", HOSTILE, "a" * 300])
@pytest.mark.parametrize("slices", [2, 2000])
def test_page_of_a_review_is_kept_unchanged(slices: int, name: str) -> None:
    """Except for invisible characters, and also if it is the longest: a review's page is harmless."""
    written = review.page(made(slices, name))
    shown = neutral(written, GitHub.comment_limit - comment_job.HEADER_ROOM)
    assert shown.replace(GAP, "") == written.replace(GAP, "")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("    bar [", '    click A href "https://evil.example"\n    bar ['),
        ("xychart-beta", "flowchart TD"),
        (charts.COLOURS, '%%{init: {"securityLevel": "loose"}}%%'),
        ("a=1", "<img src=x>"),
        ("\n```", "\n\n```"),
    ],
)
def test_chart_of_somebody_else_is_not_drawn(ours: str, theirs: str) -> None:
    """One that differs in one character is text."""
    assert CHART.count(ours) == 1
    assert "```" not in neutral(CHART.replace(ours, theirs), MOST)


@pytest.mark.parametrize("text", ["x\n" * MOST, "<" * MOST, CHART * 50, "<details>\n" * 4000, "@#1" * 4000])
def test_text_of_any_length_fits_and_leaves_nothing_open(text: str) -> None:
    """A text that is too long is cut and says so; what follows it on the page is not part of it."""
    shown = neutral(text, MOST)
    assert len(shown) <= MOST
    assert shown.endswith(CUT)
    assert shown.count("```") % 2 == 0


def test_fold_that_is_left_open_is_closed() -> None:
    """Else the rest of the page would be hidden in it."""
    assert neutral("<details><summary>All</summary>\n\nx", MOST).endswith("x\n\n</details>")


def test_nothing_that_unicode_calls_ignorable_is_left() -> None:
    """Format characters (Cf) and the ranges of Default_Ignorable_Code_Point, by Unicode's own tables."""
    formats = {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) == "Cf"}
    assert visible("".join(sorted(formats | ignorable()))) == ""


def ignorable() -> set[str]:
    """Return the characters of DerivedCoreProperties.txt (Unicode 16): Default_Ignorable_Code_Point."""
    ranges = (
        "00AD 034F 061C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FE00-FE0F FEFF FFA0 "
        "FFF0-FFF8 1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
    )
    pairs = [part.partition("-") for part in ranges.split()]
    return {chr(c) for first, _, last in pairs for c in range(int(first, 16), int(last or first, 16) + 1)}


def test_line_is_one_line_without_markdown() -> None:
    """The name of a file is only a name."""
    assert line("a\n# b`c` [d](e) <f> **g**", 100).replace(GAP, "~") == (
        r"a # b\`c\` \[d\]~(e) &lt;f\> \*\*g\*\*"
    )
