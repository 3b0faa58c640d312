"""A verdict on the terminal and in Markdown."""

from __future__ import annotations

import math
import re
from typing import Any

from perenne.common.batches import canonical
from perenne.gate.rules import Finding
from perenne.gate.show import markdown, text


def finding(**changes: Any) -> dict[str, Any]:
    """Return one finding as a verdict has it."""
    usual = Finding("improvement", "v1.0.0 in prod", "pass", 0.0123456, 0.001, 0.02, "> 0")
    return usual._replace(**changes)._asdict()


def verdict(*rules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a verdict with some findings, as JSON would hold it."""
    made = {
        "case": "rain",
        "answer": "undecided",
        "why": "slices against v1.0.0 in prod",
        "champion": "v1.0.0",
        "intent": "better",
        "policy": {"metric": "rmse"},
        "policy_from": None,
        "holdout": {"from": "2025-09", "to": "2025-12", "rows": 12345, "blocks": 120},
        "alpha": {"look": 2, "spent": 0.0073, "left": 0.0092, "total": 0.05},
        "rules": list(rules),
    }
    found: dict[str, Any] = canonical(made | changes)
    return found


def test_text_has_the_line_the_rules_and_what_is_left() -> None:
    """One line a rule, with its numbers, under one line for all."""
    lines = text(verdict(finding())).splitlines()
    assert lines[0] == "rain: undecided: slices against v1.0.0 in prod"
    assert re.split(r" {2,}", lines[3]) == [
        *("improvement", "v1.0.0 in prod", "pass", "0.01235", "[0.001, 0.02]", "> 0")
    ]
    assert lines[-1] == "alpha: look 2 at this holdout spends 0.0073; of 0.05, 0.0092 is left"


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
