"""What is a block in the gate: the contract's answer, or what validation shows, and never the holdout."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perenne.common.block import Block
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.params import Tolerance
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.holdout_block import block_of
from perenne.gate.judge import evidence
from perenne.gate.policy import Policy
from perenne.gate.rules import Improvement, Rules
from tests import tiny
from tests.stats.test_memory import remembering

REGRESSION = tiny.contract(
    "won: {type: integer, role: target, values: [0, 1]}",
    "won: {type: number, role: target}",
    tiny.CONTRACT.replace("task: binary", "task: regression").replace(
        "role: [feature, slice]", "role: feature"
    ),
)
ALPHA = 0.025


def visits(rng: np.random.Generator, days: int, root: float, share: float) -> pd.DataFrame:
    """Return thirty visits a day; of their variance days share a part, and remember some of it."""
    when = pd.Timestamp("2021-01-01") + pd.to_timedelta(np.repeat(np.arange(days), 30), unit="D")
    shocks = np.repeat(remembering(rng, root, days), 30)
    won = math.sqrt(share) * shocks + math.sqrt(1 - share) * rng.normal(size=len(when))
    return pd.DataFrame({"id": np.arange(len(when)), "seen": when, "won": won, PREDICTION: 0.1})


@pytest.mark.parametrize(
    ("contract", "block"),
    [
        (tiny.contract("role: entity", "role: [entity, block]"), ("id",)),
        (tiny.contract("label_delay: 0", "label_delay: 0\nblock: none"), ()),
    ],
)
def test_the_contract_answers_first(contract: Contract, block: tuple[str, ...]) -> None:
    """Whatever predictions say: nobody can loosen such a gate by another file."""
    rows = visits(np.random.default_rng(1), 90, 0.5, 0.2)
    found = block_of(contract, rows, rows)
    assert (found.columns, found.part) == (block, None)
    assert block_of(contract, rows, None) == found


def test_the_labels_of_the_holdout_are_not_read() -> None:
    """Days of validation share something: single ones are blocks, however long they remember it."""
    rng = np.random.default_rng(2)
    validated, holdout = visits(rng, 90, 0.7, 0.3), visits(rng, 30, 0.0, 0.0).drop(columns=["won"])
    found = block_of(REGRESSION, holdout, validated)
    assert (found.part, found.span) == ("day", 1)
    assert found.why.startswith("neighbouring days resemble each other: each is a block")
    calm = visits(rng, 90, 0.0, 0.0)
    assert block_of(REGRESSION, holdout, calm).kind == "row"


def test_without_validation_days_are_blocks_where_a_period_has_several() -> None:
    """A project may leave out the stage; the verdict says so."""
    rows = visits(np.random.default_rng(3), 30, 0.0, 0.0)
    missing = "nothing was measured, for lack of predictions on validation: "
    assert block_of(REGRESSION, rows, None) == Block(part="day", why=f"{missing}each day is a block")
    monthly = rows.assign(seen=pd.Timestamp("2021-01-31"))
    assert block_of(REGRESSION, monthly, None) == Block(why=f"{missing}each row counts by itself")


@pytest.mark.parametrize("root", [0.3, 0.7])
def test_equal_models_seldom_seem_better_on_days_that_share_something(root: float) -> None:
    """At a nominal 2.5 %; with rows for blocks it is one in five."""
    rng, runs, hits = np.random.default_rng(4), 200, {"measured": 0, "rows": 0}
    policy = Policy(metric="mae", rules=Rules(improvement=Improvement()), tolerance=Tolerance(loss=0))
    for _ in range(runs):
        whole = visits(rng, 190, root, 0.1)
        validated, holdout = whole[:2700], whole[2700:].reset_index(drop=True)
        blocks = {"measured": block_of(REGRESSION, holdout, validated), "rows": Block()}
        sides = [Contender(str(by), np.full(len(holdout), by)) for by in (0.1, -0.1)]
        for name, block in blocks.items():
            seen = evidence(
                holdout,
                REGRESSION,
                block,
                sides[0],
                sides[1:],
                champion=True,
                mean=0.0,
                policy=policy,
                alpha=ALPHA,
            )
            hits[name] += seen.gain(sides[1]).bounds(ALPHA)[0] > 0
    assert hits["measured"] <= stats.binom.ppf(0.99, runs, 0.04 if root < 0.5 else 0.07)
    assert hits["rows"] > 0.1 * runs


def months(rng: np.random.Generator, count: int, shock: float) -> pd.DataFrame:
    """Return 560 visits a month, on 28 days; rows of a month share a shock."""
    when = pd.period_range("2021-01", periods=count, freq="M").repeat(560).to_timestamp()
    when += pd.to_timedelta(np.tile(np.arange(560) % 28, count), unit="D")
    won = np.repeat(shock * rng.normal(size=count), 560) + rng.normal(size=len(when))
    return pd.DataFrame({"id": np.arange(len(when)), "seen": when, "won": won, PREDICTION: 0.1})


def halves(whole: pd.DataFrame, edge: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of the first months, and the others."""
    return whole[: 560 * edge], whole[560 * edge :].reset_index(drop=True)


def test_months_that_share_something_are_blocks_where_a_holdout_has_enough() -> None:
    """Of fewer than eleven, rows are blocks, and what whole months share is added."""
    rng = np.random.default_rng(5)
    validated, holdout = halves(months(rng, 35, 0.3), 24)
    assert block_of(REGRESSION, holdout, validated).part == "month"
    few = block_of(REGRESSION, holdout[: 560 * 10], validated)
    assert (few.kind, few.beside) == ("row", "month")
    assert few.why == (
        "each row counts by itself; what whole months share is measured on validation, and added"
    )
    calm, _ = halves(months(rng, 35, 0.0), 24)
    assert block_of(REGRESSION, holdout, calm).beside is None


def test_equal_models_seldom_seem_better_by_three_months() -> None:
    """At a nominal 2.5 %; by their days alone it is one in seven."""
    rng, runs, hits = np.random.default_rng(6), 200, {"ours": 0, "days": 0}
    for _ in range(runs):
        validated, holdout = halves(months(rng, 15, 0.1), 12)
        block = block_of(REGRESSION, holdout, validated)
        before = seen_by(validated, block, None) if block.beside else None
        hits["ours"] += better(seen_by(holdout, block, before))
        hits["days"] += better(seen_by(holdout, Block(part="day"), None))
    assert hits["ours"] <= stats.binom.ppf(0.99, runs, 0.05)
    assert hits["days"] > 0.1 * runs


def seen_by(rows: pd.DataFrame, block: Block, before: Evidence | None) -> Evidence:
    """Return two models, too high and too low by as much, of which a good month prefers one."""
    policy = Policy(metric="mse", rules=Rules(improvement=Improvement()), tolerance=Tolerance(loss=0))
    sides = [Contender(str(by), np.full(len(rows), by)) for by in (0.1, -0.1)]
    return evidence(
        rows,
        REGRESSION,
        block,
        sides[0],
        sides[1:],
        champion=True,
        mean=0.0,
        policy=policy,
        alpha=ALPHA,
        before=before,
    )


def better(seen: Evidence) -> bool:
    """Return whether the first model is found better than the other."""
    return seen.gain(seen.opponents[0]).bounds(ALPHA)[0] > 0


def test_what_months_share_is_added_to_whatever_is_measured() -> None:
    """Gains, of slices too, levels, and how these compare; not to a model that has not scored validation."""
    validated, holdout = halves(months(np.random.default_rng(7), 27, 0.3), 24)
    block = block_of(REGRESSION, holdout, validated)
    plain, wide = (seen_by(holdout, block, each) for each in (None, seen_by(validated, block, None)))
    old, some = plain.opponents[0], np.arange(len(holdout) // 2)
    pairs = [
        [
            seen.gain(old, some, part="unknown"),
            seen.calibrated(),
            *seen.nearer(old),
            seen.compared("mse", old),
        ]
        for seen in (plain, wide)
    ]
    for one, other in zip(*pairs, strict=True):
        assert other.value == one.value
        assert other.error > 1.5 * one.error
    stranger = Contender("a stranger", old.scores)
    assert wide.gain(stranger) == plain.gain(old)


def test_what_people_and_days_share_is_added_up() -> None:
    """Both on the holdout itself; a slice of it too."""
    rng, days = np.random.default_rng(8), 60
    who, day = np.tile(np.arange(40), days), np.repeat(np.arange(days), 40)
    won = 0.6 * rng.normal(size=40)[who] + 0.6 * rng.normal(size=days)[day] + rng.normal(size=len(who))
    when = pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D")
    rows = pd.DataFrame({"id": who, "seen": when, "won": won, PREDICTION: 0.1})
    block = block_of(REGRESSION, rows, rows)
    assert block.also is not None
    seen = seen_by(rows, block, None)
    alone = [seen_by(rows, one, None) for one in (block.also, block.model_copy(update={"also": None}))]
    for places in (None, np.arange(len(rows) // 2)):
        errors = [each.gain(each.opponents[0], places).error for each in (seen, *alone)]
        assert errors[0] > max(errors[1:])
        assert errors[0] == pytest.approx(math.hypot(*errors[1:]), rel=0.1)
