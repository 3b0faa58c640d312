"""A stranger's Markdown: its words are shown, and nothing else happens."""

from __future__ import annotations

import pytest

from perenne.actions import comment
from perenne.actions.neutral import CUT, GAP, line, neutral
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
        ("```math\nx\n```", "'''math\nx\n'''"),
        ("~~~\nx", "~~\nx"),
        ("$x$ \u202egnp.exe\r\nnext", "\uff04x\uff04 gnp.exe\nnext"),
        ("## ❌ a &lt; b \\| c | **d**\n> [!WARNING]", "## ❌ a &lt; b \\| c | **d**\n> [!WARNING]"),
        (
            "<details><summary>All</summary>\n\nx\n\n</details>",
            "<details><summary>All</summary>\n\nx\n\n</details>",
        ),
    ],
)
def test_what_a_text_would_do_is_taken_from_it(text: str, shown: str) -> None:
    """Nobody is called, nothing leads anywhere or is hidden; what a page needs stays."""
    assert neutral(text, MOST).replace(GAP, "~") == shown


def test_chart_of_ours_is_kept_to_the_letter() -> None:
    """Mermaid draws it."""
    assert neutral(f"before\n\n{CHART}\n\nafter", MOST) == f"before\n\n{CHART}\n\nafter"


@pytest.mark.parametrize("name", ["slice", HOSTILE, "a" * 300])
@pytest.mark.parametrize("slices", [2, 2000])
def test_page_that_a_review_writes_is_kept_to_the_letter(slices: int, name: str) -> None:
    """But for what cannot be seen, and also the longest: it does already what it takes to be harmless."""
    written = review.page(made(slices, name))
    shown = neutral(written, comment.MOST - comment.ROOM)
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
def test_chart_of_anybody_else_is_not_drawn(ours: str, theirs: str) -> None:
    """One that differs in a character is text."""
    assert CHART.count(ours) == 1
    assert "```" not in neutral(CHART.replace(ours, theirs), MOST)


@pytest.mark.parametrize("text", ["x\n" * MOST, "<" * MOST, CHART * 50, "<details>\n" * 4000, "@#1" * 4000])
def test_text_of_any_length_fits_and_leaves_nothing_open(text: str) -> None:
    """What is too long is cut, and it is said; whatever follows is not part of it."""
    shown = neutral(text, MOST)
    assert len(shown) <= MOST
    assert shown.endswith(CUT)
    assert shown.count("```") % 2 == 0


def test_what_is_left_folded_is_unfolded() -> None:
    """Else all that follows on the page would be hidden with it."""
    assert neutral("<details><summary>All</summary>\n\nx", MOST).endswith("x\n\n</details>")


def test_line_is_one_line_of_no_markdown() -> None:
    """A name of a file is nothing but a name."""
    assert line("a\n# b`c` [d](e) <f> **g**", 100).replace(GAP, "~") == (
        r"a # b\`c\` \[d\]~(e) &lt;f\> \*\*g\*\*"
    )
