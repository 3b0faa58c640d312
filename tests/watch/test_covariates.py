"""Covariates: each column by its own test, whatever is in it, and what came or did not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.typed import parse
from perenne.stats.multiplicity import Looks
from perenne.watch import covariates
from perenne.watch.baseline import Baseline, baseline, pooled, tallied
from perenne.watch.covariates import Tests

TEXT = """\
row: one visit
task: binary
period: quarter
label_delay: 0
columns:
  id: {type: integer, role: entity}
  at: {type: datetime, role: time}
  age: {type: number, role: feature, missing: true}
  colour: {type: category, role: feature, missing: true}
  adult: {type: boolean, role: feature, missing: true}
  member: {type: datetime, role: feature, missing: true}
  y: {type: integer, role: target, values: [0, 1], missing: true}
"""
QUARTERS = pd.period_range("2019Q1", "2019Q4", freq="Q")
NEXT = pd.Period("2020Q1")


def contract(old: str = "", new: str = "") -> Contract:
    """Return the contract, with one piece of its text replaced."""
    assert old in TEXT, old
    return parse(Contract, strict_yaml.loads(TEXT.replace(old, new)), "contract.yaml")


CONTRACT = contract()


def rows(n: int = 400, *, seed: int, at: str = "2019-03-31", **columns: Any) -> pd.DataFrame:
    """Visits whose columns have nothing to do with each other; `columns` replace."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": np.arange(n),
            "at": pd.Series([pd.Timestamp(at)] * n, dtype="datetime64[us]"),
            "age": rng.normal(size=n),
            "colour": pd.Series(rng.choice(["red", "green", "blue"], n), dtype="str"),
            "adult": rng.random(n) < 0.5,
            "member": pd.Timestamp(at) - pd.to_timedelta(rng.integers(1, 1000, n), unit="D"),
            "y": (rng.random(n) < 0.3).astype(float),
            PREDICTION: rng.uniform(0.2, 0.4, n),
        }
    )
    return frame.assign(**columns)


REFERENCE = {quarter: rows(seed=seed) for seed, quarter in enumerate(QUARTERS)}
BEFORE = baseline(REFERENCE, CONTRACT)


def columnwise(batch: pd.DataFrame, before: Baseline = BEFORE, contract: Contract = CONTRACT) -> Tests:
    """Return the tests of every column of a batch."""
    return covariates.columnwise(before, tallied(batch, before, contract), NEXT)


CALM = rows(seed=9)


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        (("age", "distribution"), {"age": CALM["age"] + 1}),
        (("age", "missing"), {"age": CALM["age"].where(CALM.index % 2 == 0)}),
        (("colour", "distribution"), {"colour": pd.Series(["red"] * 400, dtype="str")}),
        (("colour", "unseen"), {"colour": CALM["colour"].replace("red", "pink")}),
        (("colour", "missing"), {"colour": CALM["colour"].where(CALM.index % 2 == 0)}),
        (("adult", "distribution"), {"adult": CALM["adult"] | (CALM.index % 2 == 0)}),
        (("member", "distribution"), {"member": CALM["member"] - pd.Timedelta(days=400)}),
        ((PREDICTION, "distribution"), {PREDICTION: CALM[PREDICTION] + 0.1}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_moved_is_found_and_nothing_else(key: covariates.Key, changed: dict[str, Any]) -> None:
    """A change of any type of column shows in its own test, and leaves the other columns in peace."""
    found = columnwise(CALM.assign(**changed))
    assert found[key].pvalue < 1e-6
    assert {name for (name, _), test in found.items() if test.pvalue < 0.001} == {key[0]}


def test_calm_batch_shows_nothing() -> None:
    """Rows of the same kind leave every test far from certain, and every test is made that can be."""
    found = columnwise(CALM)
    names = ("age", "colour", "adult", "member", PREDICTION)
    each = {(name, kind) for name in names for kind in ("distribution", "missing")}
    assert set(found) == each | {("colour", "unseen")}
    assert all(not test.pvalue < 0.005 for test in found.values())


def test_dates_that_move_on_with_time_are_no_drift() -> None:
    """A date is compared by how long ago it was: a year later all are later, and nothing has changed."""
    later = rows(seed=9, at="2020-03-31")
    assert columnwise(later)["member", "distribution"] == columnwise(CALM)["member", "distribution"]


NOTHING: dict[str, Any] = {
    "age": math.nan,
    "colour": pd.Series([None] * 400, dtype="str"),
    "adult": pd.Series([None] * 400, dtype=object),
    "member": pd.Series([pd.NaT] * 400, dtype="datetime64[us]"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_column_missing_altogether(name: str) -> None:
    """Where nothing is left to compare the distribution has no answer, and the missing values have one."""
    found = columnwise(CALM.assign(**{name: NOTHING[name]}))
    assert math.isnan(found[name, "distribution"].pvalue)
    assert found[name, "missing"].pvalue < 1e-6
    assert found[name, "missing"].effect == 1.0


@pytest.mark.parametrize("name", NOTHING)
def test_column_missing_on_both_sides(name: str) -> None:
    """A column that never held anything says nothing, and no more does one that is filled from now on lie."""
    empty = {q: batch.assign(**{name: NOTHING[name]}) for q, batch in REFERENCE.items()}
    before = baseline(empty, CONTRACT)
    same = columnwise(CALM.assign(**{name: NOTHING[name]}), before)
    assert all(math.isnan(test.pvalue) for (n, _), test in same.items() if n == name)
    filled = columnwise(CALM, before)[name, "missing"]
    assert (filled.effect, filled.pvalue < 1e-6) == (-1.0, True)
    together = covariates.together(before, NEXT, CALM.assign(**{name: NOTHING[name]}), CONTRACT, seed=0)
    assert together["all features", "joint"].pvalue > 0.005


@pytest.mark.parametrize(
    ("name", "value"),
    [("age", 3.0), ("colour", "red"), ("adult", True), ("member", pd.Timestamp("2018-01-01"))],
)
def test_constant_column(name: str, value: Any) -> None:
    """A constant that stays is no test at all, one that changes is the greatest effect there is."""
    before = baseline({q: b.assign(**{name: value}) for q, b in REFERENCE.items()}, CONTRACT)
    assert math.isnan(columnwise(CALM.assign(**{name: value}), before)[name, "distribution"].pvalue)
    assert columnwise(CALM, before)[name, "distribution"].pvalue < 1e-6


@pytest.mark.parametrize("n", [0, 1])
def test_batch_of_no_row_or_one(n: int) -> None:
    """Too few rows to say anything: no test is sure of itself, and none fails."""
    batch = CALM[:n]
    found = columnwise(batch) | covariates.together(BEFORE, NEXT, batch, CONTRACT, seed=0)
    assert all(not test.pvalue < 0.001 for test in found.values())
    assert math.isnan(found["all features", "joint"].pvalue)


def test_hundred_thousand_categories() -> None:
    """A column with a name for every row is counted as fast as any, and has not moved by being long."""
    n = 100_000
    rng = np.random.default_rng(1)
    names = pd.Series(rng.integers(0, n, 2 * n).astype(str), dtype="str")
    before = baseline({QUARTERS[0]: rows(n, seed=1, colour=names[:n])}, CONTRACT)
    batch = rows(n, seed=2, colour=names[n:].to_numpy())
    found = columnwise(batch, before) | covariates.together(before, NEXT, batch, CONTRACT, seed=0)
    assert all(not test.pvalue < 0.001 for test in found.values())
    assert columnwise(batch.assign(colour="new"), before)["colour", "unseen"].pvalue < 1e-6


def test_counts_of_batches_add_up() -> None:
    """Two batches counted apart and added are the two counted as one."""
    batches = [rows(seed=7), rows(seed=8, colour="pink")]
    counted = [tallied(batch, BEFORE, CONTRACT) for batch in batches]
    both = pooled(pooled({}, counted[0]), counted[1])
    assert covariates.columnwise(BEFORE, both, NEXT) == columnwise(pd.concat(batches))


def test_correlation_that_no_column_shows() -> None:
    """Two columns that have become one are found together, and by neither of them."""
    sized = contract("  adult:", "  size: {type: number, role: feature}\n  adult:")
    rng = np.random.default_rng(3)
    reference = {q: b.assign(size=rng.normal(size=400)) for q, b in REFERENCE.items()}
    before = baseline(reference, sized)
    batch = CALM.assign(size=CALM["age"])
    assert covariates.together(before, NEXT, batch, sized, seed=0)["all features", "joint"].pvalue < 1e-6
    alone = columnwise(batch, before, sized)
    assert all(not test.pvalue < 0.005 for test in alone.values())


def test_a_weekday_does_not_tell_hours_apart() -> None:
    """What all rows of a period share is for its own test: by it a classifier would know every Friday."""
    text = TEXT.replace("period: quarter", "period: hour")
    text = text.replace("  adult:", "  weekday: {type: integer, role: feature}\n  adult:")
    hourly = parse(Contract, strict_yaml.loads(text), "contract.yaml")

    def of(hour: pd.Period) -> pd.DataFrame:
        return rows(100, seed=hour.ordinal, at=str(hour.start_time), weekday=hour.dayofweek)

    def told(hour: pd.Period, **columns: Any) -> float:
        batch = of(hour).assign(**columns)
        return covariates.together(before, hour, batch, hourly, seed=0)["all features", "joint"].pvalue

    friday = pd.Period("2021-03-05 00:00", "h")
    before = baseline({friday + i: of(friday + i) for i in range(168)}, hourly)
    assert before.varying == ["age", "colour", "adult", "member"]
    assert min(told(friday + i) for i in range(168, 180)) > 0.001
    assert told(friday + 168, age=lambda frame: frame["age"] + 2) < 1e-4


def test_rows_of_a_block_are_no_evidence_of_their_own() -> None:
    """Ten rows of one person are one: what rows alone would prove, ten people do not."""
    blocked = contract("  at:", "  person: {type: integer, role: block}\n  at:")

    def people(seed: int, *, first: int) -> pd.DataFrame:
        age = np.repeat(np.random.default_rng(seed).normal(size=40), 10)
        return rows(seed=seed, age=age, person=np.repeat(np.arange(first, first + 40), 10))

    reference, batch = {QUARTERS[0]: people(0, first=0)}, people(9, first=40)
    blocks = columnwise(batch, baseline(reference, blocked), blocked)
    naive = columnwise(batch, baseline(reference, CONTRACT))
    assert naive["age", "distribution"].pvalue < 1e-3 < 0.02 < blocks["age", "distribution"].pvalue


def arrived(batch: pd.DataFrame, *, matured: bool = True, period: pd.Period = NEXT) -> dict[Any, Any]:
    """Return how many rows and labels came."""
    return dict(covariates.arrivals(BEFORE, period, batch, CONTRACT, matured=matured))


def test_rows_are_expected_by_the_day() -> None:
    """A quarter of 91 days is expected to bring 91 days' rows."""
    found = arrived(CALM)["rows", "volume"]
    assert found.expected == pytest.approx(1200 / (90 + 91 + 92) * 91)  # its season: Q4, Q1 and Q2
    assert (found.law, found.p_value > 0.9) == ("Poisson", True)


@pytest.mark.parametrize(("n", "effect"), [(800, 1.0), (200, -0.5), (0, -1.0)])
def test_rows_that_are_too_many_or_too_few(n: int, effect: float) -> None:
    """Twice the rows, half of them or none at all are surprising, and the effect says by what share."""
    test = covariates.as_tests(arrived(rows(n, seed=3)))["rows", "volume"]
    assert test.pvalue < 1e-3
    assert test.effect == pytest.approx(effect, abs=0.01)


def test_labels_that_do_not_come() -> None:
    """Missing labels count where the reference shows how many are usual, once they are matured."""
    usual = {q: b.assign(y=b["y"].where(b.index % 20 > 0)) for q, b in REFERENCE.items()}
    before = baseline(usual, CONTRACT)
    half = CALM.assign(y=CALM["y"].where(CALM.index % 2 > 0))
    found = covariates.arrivals(before, NEXT, half, CONTRACT, matured=True)["labels", "missing labels"]
    assert (found.observed, found.expected) == (200, 20)
    assert found.p_value < 1e-6
    assert ("labels", "missing labels") not in covariates.arrivals(
        before, NEXT, half, CONTRACT, matured=False
    )


def test_labels_that_do_not_come_where_they_always_did() -> None:
    """A reference without one missing label expects none, and is not silent when half of them are."""
    half = CALM.assign(y=CALM["y"].where(CALM.index % 2 > 0))
    found = covariates.as_tests(arrived(half))["labels", "missing labels"]
    assert found.pvalue < 1e-6
    assert found.effect == math.inf
    assert ("labels", "missing labels") not in covariates.as_tests(arrived(CALM))


def test_every_kind_of_test_is_made_and_has_a_sentence() -> None:
    """`KINDS` lists all kinds of tests that a batch gets, and no other."""
    usual = {q: b.assign(y=b["y"].where(b.index % 20 > 0)) for q, b in REFERENCE.items()}
    before = baseline(usual, CONTRACT)
    made = covariates.columnwise(before, tallied(CALM, before, CONTRACT), NEXT)
    made |= covariates.as_tests(covariates.arrivals(before, NEXT, CALM, CONTRACT, matured=True))
    made |= covariates.together(before, NEXT, CALM, CONTRACT, seed=0)
    assert {kind for _, kind in made} == set(covariates.KINDS)
    sentences = {covariates.sentence(("age", kind), 0.5) for _, kind in made}
    assert len(sentences) == len(covariates.KINDS)
    assert all(sentence.startswith("age") for sentence in sentences)


def test_calm_batches_rarely_ask_for_a_look() -> None:
    """Of 100 references with two calm batches each, no more ask for a look than a rate of 5 % allows.

    The lower end of the 99 % interval (Clopper and Pearson 1934) must not lie above 5 %: of 100, at most 11.
    """
    looks = 0
    for seed in range(100):
        reference = {q: rows(300, seed=1000 * seed + i) for i, q in enumerate(QUARTERS[:2])}
        before = baseline(reference, CONTRACT)
        first, second = (columnwise(rows(300, seed=1000 * seed + i), before) for i in (10, 11))
        asked = Looks[covariates.Key](level=0.05, floor=0.05)
        asked.update(first, shared=1 / 3)
        looks += bool(asked.update(second, shared=1 / 3))
    assert stats.binomtest(looks, 100).proportion_ci(0.99).low <= 0.05
