"""A verdict on the terminal and in Markdown."""

from __future__ import annotations

import math
import re
from typing import Any, get_args

from perenne.documents.verdict import (
    AlphaSpent,
    Holdout,
    Intent,
    ModelFile,
    PolicyRecord,
    RuleAnswer,
    RuleFinding,
    Verdict,
    VerdictAnswer,
)
from perenne.pages.verdict import INTENT, MARKS, markdown, text

USUAL = RuleFinding(
    rule="improvement",
    against="v1.0.0 in prod",
    answer="pass",
    value=0.0123456,
    low=0.001,
    high=0.02,
    needed="> 0",
)
HELD = Holdout(md5="5" * 32, batches={}, first="2025-09", last="2025-12", rows=12345, blocks=120)


def finding(**changes: Any) -> RuleFinding:
    """Return a finding that differs from a usual one."""
    return RuleFinding.model_validate(dict(USUAL) | changes)


def verdict(*rules: RuleFinding) -> Verdict:
    """Return a verdict with some findings."""
    return Verdict(
        case="rain",
        challenger=ModelFile(sha256="a" * 64, size=1),
        champion="v1.0.0",
        base=None,
        intent="better",
        change=None,
        policy=PolicyRecord(intent="auto", alpha=0.05, metric="rmse", rules={}),
        policy_from=None,
        holdout=HELD,
        answer="undecided",
        why="slices against v1.0.0 in prod",
        rules=rules,
        alpha=AlphaSpent(look=2, spent=0.0073, left=0.0092, total=0.05),
    )


def test_text_has_the_line_the_rules_and_what_is_left() -> None:
    """One line a rule, with its numbers, under one line for all."""
    lines = text(verdict(finding())).splitlines()
    assert lines[0] == "rain: undecided: slices against v1.0.0 in prod"
    assert re.split(r" {2,}", lines[3]) == [
        *("improvement", "v1.0.0 in prod", "pass", "0.01235", "[0.001, 0.02]", "> 0")
    ]
    assert lines[-2] == "alpha: look 2 at this holdout spends 0.0073; of 0.05, 0.0092 is left"


def test_page_says_whether_the_holdout_is_open() -> None:
    """Sealed, there are no figures; open, nothing can be proven on it any more."""
    assert "sealed" in text(verdict(finding())).splitlines()[-1]
    shown = text(verdict(finding()).model_copy(update={"opened": True}))
    assert "the holdout is open: no other model can be proven on it" in shown


def test_sealed_rule_says_what_a_right_model_would_need() -> None:
    """Nothing, so many blocks, or that no number of them would do."""
    for more, says in (
        (0.0, "would pass,"),
        (1234.6, "with 1,235 more blocks,"),
        (math.inf, "would not pass,"),
    ):
        sealed = finding(answer="sealed", value=None, low=None, high=None, more_blocks=more)
        assert f"{says} were its scores right" in text(verdict(sealed))


def test_undecided_says_what_would_decide() -> None:
    """So many blocks, or that no number of them would."""
    assert "1,235 more blocks would decide" in text(verdict(finding(answer="undecided", more_blocks=1234.6)))
    never = finding(answer="undecided", more_blocks=math.inf)
    assert "no number of blocks would decide" in text(verdict(never))


def test_markdown_folds_the_slices() -> None:
    """All slices are there, behind a line to click on."""
    part = finding(against="site=Lyon", answer="fail")
    page = markdown(verdict(finding(rule="slices", parts=(part,))))
    assert "<details><summary>All slices against v1.0.0 in prod</summary>\n\n|" in page
    of_classes = markdown(verdict(finding(rule="calibration", against="observed / expected", parts=(part,))))
    assert "<summary>All classes against observed / expected</summary>" in of_classes
    assert "❌ fail" in page.split("<details>")[1]


def test_names_from_data_are_only_text() -> None:
    """A slice can be called anything: it closes no tag, opens no link, and ends no cell."""
    hostile = "site=</details><img src=x>|[a](b)`\n@everyone"
    page = markdown(verdict(finding(rule="slices", parts=(finding(against=hostile),))))
    assert page.count("</details>") == 1
    assert "<img" not in page
    assert "\\[a\\](b)" in page
    assert "@everyone" not in page
    row = next(line for line in page.splitlines() if "everyone" in line)
    assert row.replace("\\|", "").count("|") == 8


def test_every_answer_has_a_mark() -> None:
    """A new answer or intent must be given its own."""
    assert set(MARKS) == {*get_args(RuleAnswer), *get_args(VerdictAnswer)}
    assert set(INTENT) == set(get_args(Intent))
