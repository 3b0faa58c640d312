"""The verdict as JSON: what is written can be read, by this version and of earlier ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.documents.verdict import RuleFinding, Verdict
from tests.documents.verdicts import FIRST_VERSION, WITHOUT_LOOK


def test_a_verdict_equals_the_one_that_is_read_back(tmp_path: Path) -> None:
    """With and without a comparison; the keys of a comparison are absent where there was none."""
    compared = Verdict.from_json(FIRST_VERSION, "a note")
    for verdict in (WITHOUT_LOOK, compared):
        verdict.write(tmp_path / "verdict.json")
        assert Verdict.load(tmp_path / "verdict.json") == verdict
    assert not {"alpha", "against", "metrics", "opponents"} & WITHOUT_LOOK.to_json().keys()
    assert WITHOUT_LOOK.to_json()["holdout"]["from"] == "2021-03"


def test_a_verdict_of_the_first_version_is_read_and_kept() -> None:
    """Nothing in it is lost, and its keys stay."""
    content = Verdict.from_json(FIRST_VERSION, "a note").to_json()
    policy = FIRST_VERSION["policy"] | {"tolerance": {}}
    later: dict[str, object] = {
        "schema": 2,
        "opened": True,
        "more_blocks": None,
        "against": [],
        "opponents": [],
    }
    holdout = FIRST_VERSION["holdout"] | {
        "block": "",
        "view": None,
        "grouping": None,
        "sketch": None,
        "shown": {},
    }
    assert content == FIRST_VERSION | later | {"holdout": holdout, "policy": policy}
    assert json.dumps(content["policy"]) == json.dumps(policy), "an integer stays one"


def test_what_is_not_a_number_is_null() -> None:
    """Nor is infinity: no number of blocks would decide."""
    finding = RuleFinding(
        rule="floor",
        against="the mean",
        answer="undecided",
        value=math.nan,
        low=math.nan,
        high=math.nan,
        needed="> 0",
        more_blocks=math.inf,
    )
    assert (finding.value, finding.low, finding.more_blocks) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"schema": 3}, "a note: schema: found 3, this version reads 2"),
        (
            {"answer": "maybe"},
            "a note: answer: found 'maybe', must be 'eligible', 'rejected', 'undecided' or 'unchanged'",
        ),
        ({"anwser": "eligible"}, "a note: anwser: unknown key; did you mean 'answer'?"),
    ],
)
def test_what_no_gate_writes_is_refused(changes: dict[str, object], line: str) -> None:
    """By file, key and value."""
    with pytest.raises(PerenneError) as caught:
        Verdict.from_json(FIRST_VERSION | changes, "a note")
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("rules", "more"),
    [
        ([], 0.0),
        ([("pass", 0.0)], 0.0),
        ([("undecided", 12.0), ("undecided", 7.0)], 12.0),
        ([("undecided", 12.0), ("undecided", None)], None),
    ],
)
def test_verdict_of_the_first_version_says_what_it_waits_for(
    rules: list[tuple[str, float | None]], more: float | None
) -> None:
    """Each rule said so for itself."""
    one = FIRST_VERSION["rules"][0]
    content = FIRST_VERSION | {"rules": [one | {"answer": a, "more_blocks": m} for a, m in rules]}
    assert Verdict.from_json(content, "a note").more_blocks == more


def test_figures_of_a_holdout_that_is_not_open_are_not_written() -> None:
    """Not even as empty keys."""
    verdict = Verdict.from_json(FIRST_VERSION, "a note").model_copy(update={"opened": False})
    assert not {"metrics", "opponents"} & verdict.to_json().keys()
    assert {"against", "alpha"} < verdict.to_json().keys()
