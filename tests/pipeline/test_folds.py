"""No row of validation was predicted by a model that could have known its label, or anything later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.common import periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import FOLD, PREDICTION
from perenne.common.params import Train
from perenne.common.typed import parse
from perenne.pipeline import train
from perenne.pipeline.folds import Cuts, corrected, cuts, validation

LINEAR = Train(estimator="sklearn.linear_model.LogisticRegression", params={}, seed=0)


def contract(period: str = "month", delay: int = 0, *, block: bool = False, **more: Any) -> Contract:
    """Visits of people; `block`: a person's visits belong together."""
    columns = {
        "person": {"type": "integer", "role": ["entity", "block"] if block else "entity"},
        "seen": {"type": "datetime", "role": "time"},
        "size": {"type": "number", "role": "feature"},
        "won": {"type": "integer", "role": "target", "values": [0, 1]},
    }
    given = {"row": "a visit", "task": "binary", "period": period, "label_delay": delay, "columns": columns}
    return parse(Contract, given | more, "contract.yaml")


def visits(times: Any, each: int = 6) -> pd.DataFrame:
    """So many visits at each time, of which the larger half are won."""
    times = pd.DatetimeIndex(np.repeat(pd.DatetimeIndex(times).to_numpy(), each)).astype("datetime64[us]")
    size = np.resize(np.arange(each) / each, len(times))
    return pd.DataFrame(
        {"person": np.arange(len(times)) % 40, "seen": times, "size": size, "won": (size >= 0.5).astype(int)}
    )


def months(count: int, each: int = 6) -> pd.DataFrame:
    """Visits in the middle of so many months."""
    return visits(pd.date_range("2020-01-15", periods=count, freq="30D"), each)


def days(count: int) -> pd.DataFrame:
    """Visits at noon of so many days from the new year on."""
    return visits(pd.date_range("2021-01-01 12:00", periods=count))


def parts(cut: Cuts, rows: pd.DataFrame, unit: periods.Unit) -> list[tuple[str, str, str]]:
    """The last unit learned from, and the first and last predicted, of each fold."""
    of = periods.of(rows["seen"], unit)
    return [
        (str(of[f.learned].max()), str(of[f.predicted].min()), str(of[f.predicted].max())) for f in cut.folds
    ]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6), period=st.sampled_from(["day", "week", "month", "quarter"]),
    delay=st.integers(0, 2), count=st.integers(2, 6), length=st.integers(20, 400),
)  # fmt: skip
def test_models_learn_what_was_known_when_their_part_began(
    seed: int, period: str, delay: int, count: int, length: int
) -> None:
    """Whatever the order of the rows: no label that came later, no row twice, parts in the order of time."""
    rng = np.random.default_rng(seed)
    times = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.uniform(0, length, 300), unit="D")
    rows, rules = visits(times, each=1).assign(won=rng.integers(0, 2, 300)), contract(period, delay)
    cut = cuts(rows, rules, count)
    seen = np.zeros(len(rows), dtype=int)
    for fold in cut.folds:
        seen += fold.predicted
        assert set(rows["won"][fold.learned]) == {0, 1}
        if cut.between == "block":
            continue
        began = periods.of(rows["seen"], cut.between)[fold.predicted].min().start_time  # type: ignore[arg-type] # a mask of the rows
        of = periods.of(rows["seen"], rules.period)[fold.learned]
        assert rows["seen"][fold.learned].max() < began
        if cut.between == rules.period:
            assert ((of + delay).dt.end_time < began).all()
            continue
        late = rows["seen"][fold.learned] + ((of + delay).dt.start_time - of.dt.start_time)
        assert (late.dt.floor("h") < began).all()
    assert seen.max() == 1
    assert 2 <= len(cut.folds) <= count


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (0, [("2020-02", "2020-03", "2020-04"), ("2020-04", "2020-05", "2020-06")]),
        (1, [("2020-01", "2020-03", "2020-04"), ("2020-03", "2020-05", "2020-06")]),
    ],
)
def test_a_window_of_many_periods_is_cut_between_them(delay: int, expected: list[Any]) -> None:
    """The part before the first fold is as long as a fold; a late label is not known at once."""
    rows = months(6)
    cut = cuts(rows, contract(delay=delay), 2)
    assert cut.between == "month"
    assert parts(cut, rows, "month") == expected


def test_a_window_of_few_periods_is_cut_between_days() -> None:
    """Two months make four folds of some two weeks."""
    rows = days(59)
    cut = cuts(rows, contract(), 4)
    assert cut.between == "day"
    assert parts(cut, rows, "day") == [
        ("2021-01-12", "2021-01-13", "2021-01-23"),
        ("2021-01-23", "2021-01-24", "2021-02-04"),
        ("2021-02-04", "2021-02-05", "2021-02-16"),
        ("2021-02-16", "2021-02-17", "2021-02-28"),
    ]


def test_a_label_that_is_a_month_late_is_as_late_between_days() -> None:
    """From three months with labels, what was won on 5 January is known from 5 February on."""
    rows = days(90)
    cut = cuts(rows, contract(delay=1), 4)
    assert cut.between == "day"
    for last, first, _ in parts(cut, rows, "day"):
        assert pd.Timestamp(first) - pd.Timestamp(last) >= pd.Timedelta(days=28)


def test_days_are_those_of_the_contracts_clocks() -> None:
    """Half past eleven in the evening in UTC is the next day in Paris."""
    rows = visits(pd.date_range("2021-01-01 23:30", periods=59))
    there = cuts(rows, contract(zone="Europe/Paris"), 4)
    assert parts(there, rows.assign(seen=rows["seen"] + pd.Timedelta(hours=1)), "day")[0][0] == "2021-01-13"


def test_a_shorter_window_has_fewer_folds() -> None:
    """Three quarters whose rows have one date each, with labels at once, make two."""
    rows = visits(["2020-03-31", "2020-06-30", "2020-09-30"])
    cut = cuts(rows, contract("quarter"), 4)
    assert (cut.between, len(cut.folds)) == ("quarter", 2)


def test_where_time_does_not_allow_it_blocks_are_dealt() -> None:
    """Of one quarter with one date, each person is in one fold, and no model knew that person."""
    rows = visits(["2020-03-31"], each=120)
    cut = cuts(rows, contract("quarter", block=True), 4)
    assert (cut.between, len(cut.folds)) == ("block", 4)
    for fold in cut.folds:
        assert not set(rows["person"][fold.predicted]) & set(rows["person"][fold.learned])
    assert sum(fold.predicted.sum() for fold in cut.folds) == len(rows)


def test_models_wait_for_a_row_of_each_class() -> None:
    """Where nobody won in the first months, the first model begins after the first who did."""
    rows = months(10)
    rows.loc[rows["seen"] < "2020-05-01", "won"] = 0
    cut = cuts(rows, contract(), 4)
    assert cut.between == "month"
    assert parts(cut, rows, "month")[0][0] >= "2020-05"


@pytest.mark.parametrize(
    ("rows", "rules"),
    [
        (visits(["2020-03-31"], each=1), contract("quarter", delay=1)),
        (visits(["2020-03-31"], each=10).assign(person=7), contract("quarter", delay=1, block=True)),
        (visits(["2020-03-31"], each=40).assign(won=[1] + [0] * 39), contract("quarter", delay=1)),
    ],
    ids=["one row", "one block", "one who won"],
)
def test_a_window_without_two_folds_is_one_line(rows: pd.DataFrame, rules: Contract) -> None:
    """It says what would do."""
    with pytest.raises(PerenneError) as error:
        cuts(rows, rules, 4)
    assert str(error.value) == (
        f"params.yaml: split.window: too short to evaluate: its {len(rows)} rows with labels do not give "
        "2 folds, each with rows of every class to learn from; 5 quarters would do"
    )


def test_scores_are_those_of_a_model_of_the_rows_before() -> None:
    """The same function, params and seed as for the model that is released; the dummy knew the same rows."""
    rows, rules = months(10, each=60), contract(delay=1)
    rows["won"] = (np.random.default_rng(0).random(len(rows)) < rows["size"]).astype(int)
    held = validation(rows, LINEAR, rules, 4)
    assert list(held.rows) == [*rows.columns, PREDICTION, FOLD]
    assert held.rows["seen"].is_monotonic_increasing
    for number, fold in enumerate(cuts(rows, rules, 4).folds, start=1):
        mine = held.rows[FOLD] == number
        again = train.train(rows[fold.learned], LINEAR, rules)
        expected = again.predict_proba(rows[fold.predicted][["size"]].astype(float))[:, 1]
        assert held.rows[PREDICTION][mine].to_numpy() == pytest.approx(expected, abs=1e-9)
        assert set(held.dummies[mine]) == {rows["won"][fold.learned].mean()}


def test_shuffled_labels_of_a_fold_do_not_change_its_scores() -> None:
    """Nor those of any fold before it: what it is measured by, it did not know."""
    rows, rules = months(10, each=60), contract()
    last = validation(rows, LINEAR, rules, 4).rows[FOLD] == 4
    changed = rows.copy()
    changed.loc[rows["seen"] >= rows["seen"].unique()[8], "won"] ^= 1
    before, after = (validation(each, LINEAR, rules, 4).rows for each in (rows, changed))
    assert (before["won"] != after["won"])[last].all()
    assert before[PREDICTION].equals(after[PREDICTION])


def test_a_fold_that_cannot_be_fitted_is_named() -> None:
    """As is the param that does not fit so few rows."""
    spec = Train(estimator="sklearn.neighbors.KNeighborsClassifier", params={"n_neighbors": 20}, seed=0)
    with pytest.raises(PerenneError, match=r"^evaluate: fold 1: its model cannot predict: .*n_neighbors"):
        validation(months(10), spec, contract(), 4)


def test_rows_that_correct_a_model_are_predicted_without_themselves() -> None:
    """Whatever a fold's own labels are, its scores are corrected by those of the others."""
    rules = contract(block=True)
    older = train.train(months(4, each=40), LINEAR, rules)
    rows = months(3, each=40)
    found = corrected(older, rows, rules, 4)
    assert (len(found.rows), found.between) == (len(rows), "block")
    assert found.rows[[*rows]].equals(rows), "in the order that they had"
    one = (found.rows[FOLD] == 1).to_numpy()
    assert set(found.rows["person"][one]).isdisjoint(found.rows["person"][~one])
    turned = rows.assign(won=np.where(one, 1 - rows["won"], rows["won"]))
    again = corrected(older, turned, rules, 4)
    assert again.rows[PREDICTION][one].tolist() == found.rows[PREDICTION][one].tolist()
    assert again.rows[PREDICTION][~one].tolist() != found.rows[PREDICTION][~one].tolist()


def test_too_few_rows_to_correct_a_model_are_one_line() -> None:
    """It names the key that asks for it."""
    rules = contract()
    older = train.train(months(4), LINEAR, rules)
    with pytest.raises(PerenneError, match=r"split.recalibrated: 6 rows with labels do not give 2 folds"):
        corrected(older, months(1).assign(won=0), rules, 4)
