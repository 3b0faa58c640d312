"""The microsimulation: the rules of the pension, the figures it is calibrated to, and the bytes it yields."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score

from perenne.cases import retirement
from perenne.cases.retirement import best_gain, rate, rate_under_law, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDS = [0, 1, 2, 3]


def quarter(text: str) -> pd.Period:
    """Read a quarter such as 2021Q1."""
    return pd.Period(text, freq="Q-DEC")


FIRST, LAST = quarter("2013Q1"), quarter("2025Q4")


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed{seed}")
def history(request: pytest.FixtureRequest) -> pd.DataFrame:
    """Thirteen years of rows whose label is known, with the quarter they belong to."""
    frames = [rows.assign(quarter=str(when)) for when, rows in simulate(FIRST, LAST, seed=request.param)]
    return pd.concat(frames[:-1]).astype({"retires": int})


@pytest.fixture(scope="module")
def before(history: pd.DataFrame) -> pd.DataFrame:
    """The rows whose label was decided before the law."""
    return history[history["quarter"] < "2020Q4"]


@pytest.fixture(scope="module")
def after(history: pd.DataFrame) -> pd.DataFrame:
    """The rows whose label was decided under the law."""
    return history[history["quarter"] >= "2020Q4"]


@pytest.fixture(scope="module")
def small() -> dict[str, pd.DataFrame]:
    """A company of 950, in the quarters around the law."""
    return run("2020Q1", "2021Q4")


def run(
    start: str, through: str, *, scale: float = 0.1, law: pd.Period | None = retirement.LAW
) -> dict[str, pd.DataFrame]:
    """Simulate a small company: the rows of each quarter."""
    quarters = simulate(quarter(start), quarter(through), scale=scale, law=law)
    return {str(when): rows for when, rows in quarters}


def full_rate_at_62_to_64(rows: pd.DataFrame) -> pd.DataFrame:
    """Select whoever is 62 to 64 and would have the full rate under the old rules."""
    full = rate(rows["quarters"].to_numpy(), rows["age"].to_numpy()) >= retirement.FULL_RATE
    return rows[full & rows["age"].between(62, 65, inclusive="left")]


def mean_age_of_leavers(rows: pd.DataFrame) -> float:
    """Average the age in the last row at work."""
    return float(rows.loc[rows["retires"] == 1, "age"].mean())


class TestRules:
    """What a pension is, and what waiting brings."""

    @pytest.mark.parametrize(
        ("quarters", "age", "percent"),
        [
            (167, 62, 50),
            (166, 62, 49.375),
            (147, 62, 37.5),
            (120, 62, 37.5),
            (120, 60, 37.5),  # 28 quarters short of 67, of which 20 count
            (120, 66, 47.5),  # four quarters short of 67, where nothing is missing
            (120, 67, 50),
            (171, 63, 52.5),
            (171, 61, 50),  # before the legal age no quarter is beyond
        ],
    )
    def test_before_the_law(self, quarters: int, age: float, percent: float) -> None:
        """The rate falls with missing quarters, is full at 167 or at 67, and rises with quarters beyond."""
        assert rate(np.array([quarters]), np.array([age])) == percent

    @pytest.mark.parametrize(
        ("quarters", "age", "percent"), [(120, 62, 40), (180, 64.75, 40), (120, 65, 50), (171, 65, 52.5)]
    )
    def test_under_the_law(self, quarters: int, age: float, percent: float) -> None:
        """Before 65 everybody gets 40 %, from 65 on the full rate or more."""
        assert rate_under_law(np.array([quarters]), np.array([age])) == percent

    @pytest.mark.parametrize("rule", [rate, rate_under_law])
    def test_waiting_never_costs(self, rule: retirement.Rule) -> None:
        """No wait within the horizon beats the longest, so that looking at the longest is enough."""
        quarters, age = (axis.ravel() for axis in np.meshgrid(np.arange(100, 200), np.arange(60, 70, 0.25)))
        longest = best_gain(rule, quarters, age)
        for wait in range(retirement.HORIZON + 1):
            shorter = np.minimum(wait, 4 * (70 - age))
            there, here = rule(quarters + shorter, age + shorter / 4), rule(quarters, age)
            assert (retirement.worth(there) - retirement.worth(here) <= longest).all()

    def test_the_law_turns_the_gain_around(self) -> None:
        """Whoever has the full rate at 62 gains most by waiting under the law; at 60, 65 is out of sight."""
        quarters, age = np.array([167, 160]), np.array([62, 60])
        old, new = best_gain(rate, quarters, age), best_gain(rate_under_law, quarters, age)
        assert old[0] < 2 < 10 < new[0]
        assert old[1] > 4 > 0 == new[1]


class TestCalibration:
    """The figures that the simulation was set to, on several seeds."""

    def test_staff(self, before: pd.DataFrame) -> None:
        """Before the law, 9,000 to 10,000 employees are at work in every quarter, from the first one on."""
        assert before.groupby("quarter").size().between(9_000, 10_000).all()

    def test_departures(self, before: pd.DataFrame) -> None:
        """Before the law, some 900 leave in a quarter."""
        assert 870 <= before.groupby("quarter")["retires"].sum().mean() <= 990

    def test_stationary(self, before: pd.DataFrame) -> None:
        """Before the law, the first year is like the last: the company did not begin in 2013."""
        size = before.groupby("quarter").size()
        assert size.iloc[:4].mean() == pytest.approx(size.iloc[-4:].mean(), rel=0.03)

    def test_age_at_departure(self, before: pd.DataFrame) -> None:
        """Before the law, people leave at 62.0 +- 0.3 on average."""
        assert mean_age_of_leavers(before) == pytest.approx(62.0, abs=0.3)

    def test_legal_age(self, history: pd.DataFrame) -> None:
        """Hardly anybody leaves before the legal age: 62, or 60 after a long career."""
        early = history[(history["age"] < 62) & ~history["long_career"]]
        assert 0 < early["retires"].mean() < 0.004

    def test_nobody_works_past_70(self, history: pd.DataFrame) -> None:
        """Whoever would turn 70 in the next quarter leaves in it."""
        assert history["age"].between(60, 69.75).all()
        assert history.loc[history["age"] == 69.75, "retires"].all()

    def test_hazard_falls(self, before: pd.DataFrame, after: pd.DataFrame) -> None:
        """At 62 to 64 the hazard of those who had the full rate falls by 60 % or more, at once, for good."""
        usual = full_rate_at_62_to_64(before)["retires"].mean()
        at_once = after[after["quarter"] == "2020Q4"]
        assert full_rate_at_62_to_64(after)["retires"].mean() < 0.4 * usual
        assert full_rate_at_62_to_64(at_once)["retires"].mean() < 0.4 * usual

    def test_leavers_mislead(self, before: pd.DataFrame, after: pd.DataFrame) -> None:
        """The mean age of those seen leaving first falls, though most wait longer, then rises for years."""
        left = after.groupby(
            after["date"].dt.year + (after["date"].dt.quarter == 4)
        )  # they left a quarter later
        ages = [mean_age_of_leavers(rows) for _, rows in left]  # 2021 to 2025
        assert ages[0] < mean_age_of_leavers(before) - 0.5
        assert ages == sorted(ages)
        assert ages[-1] > mean_age_of_leavers(before) + 0.5

    def test_size(self, history: pd.DataFrame) -> None:
        """Thirteen years are about half a million rows."""
        assert 450_000 < len(history) < 600_000

    def test_traits_differ(self, before: pd.DataFrame) -> None:
        """Hardship makes people leave earlier, a high salary later."""
        free = full_rate_at_62_to_64(before)
        manual = free[free["category"] == "manual"]
        executive = free[free["category"] == "executive"]
        rich = executive["salary"] > executive["salary"].median()
        hazards = manual.groupby("hardship")["retires"].mean()
        assert hazards[True] > hazards[False] + 0.05
        assert executive[rich]["retires"].mean() < executive[~rich]["retires"].mean()


def test_a_model_is_surprised(history: pd.DataFrame) -> None:
    """A model of five years before the law ranks worse under it, loses more and expects too many to go."""
    features = ["age", "quarters", "long_career", "hardship", "salary"]
    model = HistGradientBoostingClassifier(max_iter=40, random_state=0)
    known = history[history["quarter"].between("2014Q4", "2019Q3")]
    model.fit(known[features], known["retires"])

    def measure(first: str, last: str) -> tuple[float, float, float]:
        rows = history[history["quarter"].between(first, last)]
        chance, came = model.predict_proba(rows[features])[:, 1], rows["retires"]
        return log_loss(came, chance), roc_auc_score(came, chance), chance.sum() / came.sum()

    loss, auc, ratio = measure("2019Q4", "2020Q3")
    assert loss == pytest.approx(0.235, abs=0.015)
    assert auc == pytest.approx(0.87, abs=0.02)
    assert ratio == pytest.approx(1, abs=0.05)
    loss_under_law, auc_under_law, ratio_under_law = measure("2020Q4", "2020Q4")
    assert loss_under_law > loss + 0.02
    assert auc_under_law < 0.78
    assert ratio_under_law > 1.2
    assert measure("2021Q4", "2021Q4")[2] > 2  # a year later it is wrong twice over


class TestRows:
    """What a row holds."""

    def test_schema(self, small: dict[str, pd.DataFrame]) -> None:
        """Every quarter has the same columns in the same plain types, and none of them is the taste."""
        expected = {
            "employee": "int64", "age": "float64", "quarters": "int64", "long_career": "bool",
            "hardship": "bool", "category": "str", "salary": "int64", "part_time": "bool",
            "seniority": "float64", "sex": "str", "site": "str", "absence_days": "float64",
            "date": "datetime64[us]", "retires": "Int8",
        }  # fmt: skip
        for rows in small.values():
            assert {name: str(kind) for name, kind in rows.dtypes.items()} == expected

    def test_one_row_per_employee(self, small: dict[str, pd.DataFrame]) -> None:
        """An employee has one row a quarter, dated on its last day."""
        for when, rows in small.items():
            assert rows["employee"].is_unique
            assert (rows["date"] == quarter(when).end_time.normalize()).all()

    def test_retires_says_who_is_gone(self, small: dict[str, pd.DataFrame]) -> None:
        """Whoever retires is not seen in the next quarter; all others are, a quarter older."""
        for now, later in zip(list(small.values())[:-1], list(small.values())[1:], strict=True):
            stayed = now[now["retires"] == 0].set_index("employee")
            again = later[later["age"] > 60].set_index("employee")
            assert set(stayed.index) == set(again.index)
            assert (again["age"] - stayed["age"] == 0.25).all()
            assert (again["quarters"] - stayed["quarters"] == 1).all()
            assert (again["salary"] == stayed["salary"]).all()

    def test_label_delay(self, small: dict[str, pd.DataFrame]) -> None:
        """In the last quarter no label is known, in every other all are, and are 0 or 1."""
        *labelled, last = small.values()
        assert last["retires"].isna().all()
        for rows in labelled:
            assert set(rows["retires"]) == {0, 1}

    def test_some_absences_are_not_recorded(self, small: dict[str, pd.DataFrame]) -> None:
        """Only absence days are missing, for a few, and they are whole days."""
        rows = pd.concat(small.values()).drop(columns="retires")
        assert rows.columns[rows.isna().any()].tolist() == ["absence_days"]
        assert 0.02 < rows["absence_days"].isna().mean() < 0.06
        assert (rows["absence_days"].dropna() % 1 == 0).all()


class TestReproducible:
    """The same bytes, whatever is asked for around them and wherever they are made."""

    def test_same_bytes_whatever_the_end(self, small: dict[str, pd.DataFrame]) -> None:
        """A quarter does not change when more quarters come, once its labels are there."""
        *labelled, _ = run("2020Q1", "2021Q2").items()
        for when, rows in labelled:
            pd.testing.assert_frame_equal(rows, small[when])

    def test_labels_are_all_that_comes(self, small: dict[str, pd.DataFrame]) -> None:
        """The quarter whose labels are missing gets nothing else when they come."""
        last = run("2020Q4", "2020Q4")["2020Q4"].drop(columns="retires")
        pd.testing.assert_frame_equal(last, small["2020Q4"].drop(columns="retires"))

    def test_same_bytes_whatever_the_start(self, small: dict[str, pd.DataFrame]) -> None:
        """A quarter is the same wherever one starts to look."""
        for when, rows in run("2021Q1", "2021Q4").items():
            pd.testing.assert_frame_equal(rows, small[when])

    def test_first_labels_under_the_law(self, small: dict[str, pd.DataFrame]) -> None:
        """The law first changes the labels of the quarter before it: they are departures under the law."""
        without = run("2020Q1", "2021Q4", law=None)
        pd.testing.assert_frame_equal(small["2020Q3"], without["2020Q3"])
        rows, rows_without = (x["2020Q4"].drop(columns="retires") for x in (small, without))
        pd.testing.assert_frame_equal(rows, rows_without)
        assert (small["2020Q4"]["retires"] != without["2020Q4"]["retires"]).any()
        assert len(small["2021Q4"]) > len(without["2021Q4"])

    def test_law_at_another_time(self) -> None:
        """The law takes effect when it is told to."""
        later, never = (run("2021Q1", "2021Q3", law=law) for law in (quarter("2021Q3"), None))
        pd.testing.assert_frame_equal(later["2021Q1"], never["2021Q1"])
        assert (later["2021Q2"]["retires"] != never["2021Q2"]["retires"]).any()

    def test_seeds_differ(self) -> None:
        """Another seed is another company."""
        one, other = (next(simulate(FIRST, FIRST, seed=seed, scale=0.1))[1] for seed in (0, 1))
        assert one["salary"].head(50).tolist() != other["salary"].head(50).tolist()

    def test_pinned(self, small: dict[str, pd.DataFrame]) -> None:
        """The values are those of every other machine."""
        assert digest(small) == "ed7ea8b3985770bb6d914ff551c784eee4a05f510192e9fcfc6a3ecfe96e6c56"

    def test_same_bytes_on_another_cpu(self, small: dict[str, pd.DataFrame]) -> None:
        """Neither the vector width nor the number of threads changes a bit."""
        simd = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
        environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(simd), "OMP_NUM_THREADS": "1"}
        code = "import tests.cases.test_retirement as t; print(t.digest(t.run('2020Q1', '2021Q4')))"
        command = [sys.executable, "-c", code]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == digest(small)


def digest(quarters: dict[str, pd.DataFrame]) -> str:
    """Hash every value of every row."""
    return hashlib.sha256("".join(rows.to_csv() for rows in quarters.values()).encode()).hexdigest()


class TestScale:
    """Any size of company, in the memory of a few quarters."""

    @pytest.mark.parametrize("scale", [0.02, 0.5, 2])
    def test_staff_is_in_proportion(self, scale: float) -> None:
        """The staff is 9,500 times the scale."""
        staff = len(run("2016Q1", "2016Q1", scale=scale)["2016Q1"])
        assert staff == pytest.approx(9_550 * scale, rel=0.1)

    @pytest.mark.parametrize("scale", [0, -1, 0.0001])
    def test_nobody_left(self, scale: float) -> None:
        """A scale that leaves nobody is refused."""
        with pytest.raises(ValueError, match=r"leaves nobody: expected 0\.001 or more"):
            run("2016Q1", "2016Q1", scale=scale)

    def test_memory_does_not_grow(self) -> None:
        """Ten more years take no more memory."""
        assert peak("2013Q1", "2023Q4") < 1.2 * peak("2013Q1", "2013Q4")

    def test_fast(self) -> None:
        """Thirteen years take at most 3 seconds."""
        began = time.perf_counter()
        drain(simulate(FIRST, LAST))
        assert time.perf_counter() - began < 3


def peak(start: str, through: str) -> int:
    """Measure the most bytes allocated at once; without the law, so that the staff stays as it is."""
    tracemalloc.start()
    drain(simulate(quarter(start), quarter(through), scale=0.2, law=None))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def drain(quarters: Iterator[tuple[pd.Period, pd.DataFrame]]) -> None:
    """Look at one quarter after the other and keep none."""
    for _ in quarters:
        pass
