"""What a verdict tells of the labels of a holdout: whether all rules pass."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import special

from perenne.common.block import Block
from perenne.common.names import PREDICTION
from perenne.common.task import TASKS
from perenne.documents.verdict import RuleFinding
from perenne.gate import judge, sealed, worlds
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.finding import Finding
from perenne.gate.policy import Policy
from perenne.gate.rules import Improvement, Latency, Rules, Size
from perenne.gate.sealed import Foresight
from perenne.gate.worlds import Array, Scatter
from tests import tiny

POLICY = Policy(
    metric="log_loss",
    rules=Rules(improvement=Improvement(min_gain=0), latency=Latency(max_ratio=2), size=Size(max_ratio=3)),
)
NONE = Scatter(0.0, np.array([]))


def judged(y: Array, new: Array, old: Array, alpha: float = 0.025) -> tuple[Finding, ...]:
    """Judge scores by the rules that need labels."""
    evidence = Evidence(
        TASKS["binary"],
        y,
        np.arange(len(y)),
        Contender("new", new),
        (Contender("old", old),),
        champion=True,
        mean=0.3,
        slices={},
        metric="log_loss",
        tolerance=POLICY.tolerance,
        alpha=alpha,
    )
    return judge.judge(evidence, sealed.split(POLICY)[1], "better").findings


def foreseen(new: Array, old: Array, count: int = sealed.WORLDS) -> Foresight:
    """Return what the rules say where the new scores are right."""
    rng = np.random.default_rng(1)
    drawn = (worlds.outcomes(TASKS["binary"], new, np.arange(len(new)), NONE, rng) for _ in range(count))
    return sealed.foreseen(
        (pd.DataFrame({"y": y}) for y in drawn), lambda rows: judged(rows["y"].to_numpy(), new, old)
    )


def scores(rows: int, apart: float) -> tuple[Array, Array]:
    """Return the scores of two models whose logits are apart, with this standard deviation."""
    rng = np.random.default_rng(3)
    logit = rng.normal(-1, 1, rows)
    return special.expit(logit), special.expit(logit + apart * rng.normal(size=rows))


def test_rules_that_need_no_labels_are_named() -> None:
    """Every other rule is sealed, a new one as well."""
    unsealed, by_labels = sealed.split(POLICY)
    assert {rule.name for rule in unsealed.rules.configured} == {"latency", "size"} == set(sealed.OPEN)
    assert {rule.name for rule in by_labels.rules.configured} == {"improvement"}
    assert set(sealed.OPEN) < set(Rules.model_fields)


def test_model_that_would_pass_if_it_were_right_is_rejected() -> None:
    """It promises much, there are rows enough to see it, and it is not seen."""
    foresight = foreseen(*scores(5_000, 0.6))
    assert foresight.passes > 0.9
    said = sealed.answered(foresight, 5_000)
    assert (said.answer, said.more_blocks) == ("rejected", 0)


def test_holdout_that_is_too_short_to_tell_leaves_it_undecided() -> None:
    """With the number of blocks that would do; with so many more, most right models pass."""
    foresight = foreseen(*scores(500, 0.4))
    said = sealed.answered(foresight, 500)
    assert said.answer == "undecided"
    assert f"{said.more_blocks:,.0f} more blocks" in said.why
    enough = foreseen(*scores(500 + round(said.more_blocks), 0.4))
    assert enough.passes >= sealed.ENOUGH - 0.2


@pytest.mark.parametrize(
    ("more", "answer"),
    [(0.0, "rejected"), (900.0, "undecided"), (1_001.0, "rejected"), (math.inf, "rejected")],
)
def test_nobody_waits_for_ten_holdouts(more: float, answer: str) -> None:
    """What cannot be shown in a time that anybody has is rejected."""
    said = sealed.answered(Foresight(0.5, more, ()), 100)
    assert said.answer == answer
    assert ("could not pass either" in said.why) == (more > 1_000)


def test_models_that_differ_by_nothing_are_rejected() -> None:
    """The same scores: no number of blocks shows a gain."""
    new, _ = scores(1_000, 0.5)
    assert sealed.answered(foreseen(new, new), 1_000).answer == "rejected"


def test_findings_show_nothing_but_names_and_settings() -> None:
    """Not even against what a rule has decided, if it has several ways to pass."""
    found = [
        (Finding("improvement", against, "undecided", 0.1, 0.1, 0.2, "> 2 % of 0.456", "0.789", more),)
        for against, more in (("old", 9.0), ("by itself", 7.0))
    ]
    worlds_of = (pd.DataFrame({"world": [place]}) for place in range(len(found)))
    foresight = sealed.foreseen(worlds_of, lambda rows: found[rows["world"][0]])
    (shown,) = sealed.findings(foresight, POLICY.record(), eligible=False)
    assert shown == RuleFinding(
        rule="improvement",
        against="by itself or old",
        answer="sealed",
        value=None,
        low=None,
        high=None,
        needed="min_gain 0.0",
        more_blocks=9.0,
    )
    (passed,) = sealed.findings(foresight, POLICY.record(), eligible=True)
    assert (passed.answer, passed.more_blocks, passed.value) == ("pass", 0, None)


REGRESSION = tiny.CONTRACT.replace("task: binary", "task: regression").replace(
    "won: {type: integer, role: target, values: [0, 1]}", "won: {type: number, role: target}"
)


@pytest.mark.parametrize("text", [tiny.CONTRACT, REGRESSION], ids=["binary", "regression"])
@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_what_blocks_share_is_measured_and_drawn_again(shared: float, text: str) -> None:
    """Outcomes with such an effect of 400 blocks; a regression keeps the tails of its residuals."""
    contract = tiny.contract(text=text)
    rng = np.random.default_rng(5)
    score, labels = rng.uniform(0.1, 0.9, 40_000), np.arange(40_000) % 400
    alone = np.array([]) if contract.classes else rng.standard_t(5, 1_000)
    y = worlds.outcomes(contract.task, score, labels, Scatter(shared, alone), rng)
    measured = worlds.scatter(
        pd.DataFrame({"id": labels, "won": y, PREDICTION: score}), contract, Block(columns=("id",))
    )
    assert measured.shared == pytest.approx(shared, abs=0.12)  # to first order
    assert y.mean() == pytest.approx(score.mean(), abs=0.015 if contract.classes else 0.1)
    if contract.classes:
        assert set(y) == {0, 1}
        assert not len(measured.alone)
    else:
        assert measured.alone.std() == pytest.approx(alone.std(), rel=0.05)


def test_worlds_of_one_commit_are_the_same() -> None:
    """They are drawn with a fixed seed, and no label of the holdout goes in."""
    contract = tiny.contract()
    score = np.linspace(0.1, 0.9, 50)
    one, other = (
        [
            rows["won"].tolist()
            for rows in sealed.drawn(pd.DataFrame({"won": y}), score, contract, Block(), NONE)
        ]
        for y in (np.zeros(50), np.ones(50))
    )
    assert one == other
    assert len(one) == sealed.WORLDS
    many = pd.DataFrame({"won": np.zeros(sealed.MOST_ROWS)})
    few = sealed.drawn(many, np.full(len(many), 0.5), contract, Block(), NONE)
    assert sum(1 for _ in few) == sealed.LEAST_WORLDS


def test_block_without_another_row_shares_nothing() -> None:
    """Nor do scores of 0 and 1, whose outcomes cannot vary."""
    contract = tiny.contract()
    rows = pd.DataFrame({"won": [0.0, 1.0], PREDICTION: [0.3, 0.4]})
    assert worlds.scatter(rows, contract, Block()).shared == 0
    certain = np.array([0.0, 1.0])
    rng = np.random.default_rng(0)
    drawn = worlds.outcomes(contract.task, certain, np.array([0, 0]), Scatter(0.5, np.array([])), rng)
    assert drawn.tolist() == [0, 1]
