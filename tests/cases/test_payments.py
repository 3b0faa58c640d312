"""The payments: how many and when, how much fraud, what the attack changes, and the bytes it yields."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import OrdinalEncoder

from perenne.cases import payments
from perenne.cases.payments import ATTACK, Payments, picked, simulate
from perenne.common.contract import read_contract
from perenne.common.errors import PerenneError
from perenne.pipeline import ingest, validate
from tests.project import ROOT

if TYPE_CHECKING:
    from perenne.common.contract import Contract

LABEL = "fraud"


def hour(text: str) -> pd.Period:
    """Read an hour such as 2026-03-02 14:00."""
    return pd.Period(text, freq="h")


FIRST, LAST = hour("2026-03-02 00:00"), ATTACK + 47  # ten days before the attack, two after it
KNOWN = LAST + payments.SETTLED


def run(
    start: pd.Period,
    through: pd.Period,
    *,
    seed: int = 0,
    scale: float = 0.05,
    attack: pd.Period | None = ATTACK,
) -> dict[pd.Period, pd.DataFrame]:
    """Simulate a small bank: the payments of each hour."""
    return dict(simulate(start, through, seed=seed, scale=scale, attack=attack))


@pytest.fixture(scope="module", params=[0, 1], ids=lambda seed: f"seed{seed}")
def history(request: pytest.FixtureRequest) -> pd.DataFrame:
    """Twelve days of settled payments at half the size."""
    found = simulate(FIRST, KNOWN, seed=request.param, scale=0.5)
    frames = [rows for when, rows in found if when <= LAST]
    return pd.concat(frames, ignore_index=True).astype({LABEL: int})


@pytest.fixture(scope="module")
def before(history: pd.DataFrame) -> pd.DataFrame:
    """The payments before the attack."""
    return history[history["time"] < ATTACK.start_time]


@pytest.fixture(scope="module")
def after(history: pd.DataFrame) -> pd.DataFrame:
    """The payments since the attack."""
    return history[history["time"] >= ATTACK.start_time]


@pytest.fixture(scope="module")
def contract() -> Contract:
    """The contract of the case."""
    here = os.getcwd()  # noqa: PTH109 -- pytest's own way back needs a fixture of one test
    os.chdir(ROOT)
    try:
        return read_contract("payments")
    finally:
        os.chdir(here)


class TestFraud:
    """How much there is, and who is hit."""

    def test_rate(self, before: pd.DataFrame, after: pd.DataFrame) -> None:
        """Before and after the attack 0.2 to 1 % of the payments are fraud."""
        assert 0.002 < before[LABEL].mean() < 0.01
        assert 0.002 < after[LABEL].mean() < 0.01

    def test_rhythm(self, before: pd.DataFrame) -> None:
        """Payments follow the day and the week; fraud follows less, so its share is highest at night."""
        whole = before[before["time"] < "2026-03-09"]
        by_hour = whole.groupby("hour").size()
        assert by_hour[18] > 8 * by_hour[3]
        days = whole.groupby(whole["time"].dt.dayofweek).size()
        assert days.idxmax() == 5
        assert days.idxmin() == 6
        night = whole["hour"].between(1, 5)
        assert whole[night][LABEL].mean() > 2 * whole[~night][LABEL].mean()

    def test_cards_are_hit_in_bursts(self, before: pd.DataFrame) -> None:
        """A stolen card is used again: frauds of a card are not independent."""
        stolen = before[before[LABEL] == 1]
        assert len(stolen) > 1.5 * stolen["card"].nunique()

    def test_a_model_is_surprised_and_can_learn(self, before: pd.DataFrame, after: pd.DataFrame) -> None:
        """The model of before ranks the new frauds last; one of the first day of the attack finds them."""
        week = before[before["time"] < "2026-03-09"]
        model = learned(week)
        loss, auc, ratio = measured(model, before[before["time"] >= "2026-03-09"])
        assert loss < 0.8
        assert auc > 0.93
        assert ratio == pytest.approx(1, abs=0.2)
        day = after["time"] < (ATTACK + 24).start_time
        loss, auc, ratio = measured(model, after[~day])
        assert loss > 1.2
        assert auc < 0.7
        assert ratio > 1.1
        loss, auc, _ = measured(learned(after[day]), after[~day])
        assert loss < 0.9
        assert auc > 0.85


def inputs(rows: pd.DataFrame) -> pd.DataFrame:
    """What a model sees, as numbers."""
    names = ["amount", "times_usual", "card_present", "abroad", "account_days", "recent", "hour"]
    coded = OrdinalEncoder(categories=[[*payments.MERCHANTS.index], payments.CHANNELS])
    codes = coded.fit_transform(rows[["merchant", "channel"]])
    return rows[names].astype(float).assign(merchant=codes[:, 0], channel=codes[:, 1])


def learned(rows: pd.DataFrame) -> HistGradientBoostingClassifier:
    """A model of some payments."""
    spec = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=10, l2_regularization=1, early_stopping=False, random_state=0
    )
    return spec.fit(inputs(rows), rows[LABEL])


def measured(model: HistGradientBoostingClassifier, rows: pd.DataFrame) -> tuple[float, float, float]:
    """The log loss beside a dummy's, the AUC, and observed by expected."""
    chance, came = model.predict_proba(inputs(rows))[:, 1], rows[LABEL]
    dummy = log_loss(came, np.full(len(came), came.mean()))
    return log_loss(came, chance) / dummy, roc_auc_score(came, chance), came.sum() / chance.sum()


class TestAttack:
    """What changes at the hour of the attack, and what does not."""

    def test_nothing_changes_before_it(self) -> None:
        """Neither rows nor labels of the hours before know of it."""
        span = ATTACK - 30, ATTACK - 1
        told, never = run(*span), run(*span, attack=None)
        for when, rows in told.items():
            pd.testing.assert_frame_equal(rows, never[when])

    def test_only_frauds_change(self) -> None:
        """Good payments are the same with and without it, but for how often their card was used."""
        with_it, without = (
            pd.concat(run(ATTACK, ATTACK + 40, attack=attack).values()) for attack in (ATTACK, None)
        )
        good = set(with_it["payment"]) & set(without["payment"])
        one, other = (
            rows[rows["payment"].isin(good)].drop(columns="recent").set_index("payment").sort_index()
            for rows in (with_it, without)
        )
        pd.testing.assert_frame_equal(one, other)
        others = len(with_it) + len(without) - 2 * len(good)
        assert 0 < others < 0.03 * len(with_it)

    def test_columns_hardly_move(self, before: pd.DataFrame, after: pd.DataFrame) -> None:
        """Between equal hours of the week no merchant's or channel's share moves by 1 %."""
        day = after[after["time"] < (ATTACK + 24).start_time]
        week = before["time"].between((ATTACK - 168).start_time, (ATTACK - 144).start_time, "left")
        for name in ("merchant", "channel", "abroad", "card_present"):
            now, then = (rows[name].value_counts(normalize=True) for rows in (day, before[week]))
            assert now.sub(then, fill_value=0).abs().max() < 0.012

    def test_old_accounts_are_hit_with_small_amounts(self, before: pd.DataFrame, after: pd.DataFrame) -> None:
        """Where the new frauds are there were hardly any before; the known way fades to a sixth."""

        def share(rows: pd.DataFrame) -> float:
            new = (rows["account_days"] >= payments.LONG_AGO) & (rows["channel"] == "app") & ~rows["abroad"]
            return float((rows[LABEL] * (new & (rows["merchant"] == "digital"))).mean())

        late = after[after["time"] >= (ATTACK + 24).start_time]
        assert share(after) > 20 * share(before)
        known = [float((rows[LABEL] * (rows["amount"] > 40)).mean()) for rows in (before, late)]
        assert known[1] < 0.35 * known[0]

    def test_another_hour(self) -> None:
        """It takes place when it is told to."""
        span = ATTACK, ATTACK + 9
        later, never = (run(*span, scale=0.3, attack=attack) for attack in (ATTACK + 5, None))
        pd.testing.assert_frame_equal(later[ATTACK + 4], never[ATTACK + 4])
        assert any(len(later[ATTACK + n]) != len(never[ATTACK + n]) for n in range(5, 10))


class TestLabels:
    """What is known of a payment, hour by hour."""

    def test_early_labels_are_frauds(self) -> None:
        """Until a payment is settled it is known as fraud, or it is not known; then all are known."""
        through = FIRST + 40
        for when, rows in run(FIRST, through, scale=0.3).items():
            assert set(rows[LABEL].dropna()) <= ({0, 1} if when + payments.SETTLED <= through else {1})
            assert rows[LABEL].notna().all() == (when + payments.SETTLED <= through)

    def test_disputes_arrive_for_a_day(self) -> None:
        """More is known from hour to hour; what is disputed after a day changes nothing."""

        def known(hours: int) -> int:
            """The frauds of a day that are known some hours after its end."""
            found = simulate(FIRST, FIRST + 23 + hours, scale=0.5)
            return sum(int((rows[LABEL] == 1).sum()) for when, rows in found if when < FIRST + 24)

        counts = [known(hours) for hours in (0, 12, 24, 36)]
        assert 0 < counts[0] < counts[1] < counts[2] == counts[3]

    def test_labels_are_all_that_comes(self) -> None:
        """Later an hour has the same rows; a label that was there stays."""
        early, late = run(FIRST, FIRST + 12), run(FIRST, FIRST + 30)
        for when, rows in early.items():
            pd.testing.assert_frame_equal(rows.drop(columns=LABEL), late[when].drop(columns=LABEL))
            was = rows[LABEL].notna()
            assert rows[LABEL][was].eq(late[when][LABEL][was]).all()


def bank(**change: Any) -> Payments:
    """The source with some keys of its own."""
    keys = {"source": "payments", "start": "2026-03-02T00", "through": "2026-03-02T05", "attack": None}
    return Payments.model_validate({**keys, "seed": 3, "scale": 0.2, **change})


class TestRows:
    """What a row holds."""

    def test_contract_keeps_every_row(self, contract: Contract) -> None:
        """No row of the simulation breaks the contract, with labels or without."""
        through = ATTACK + 30
        source = bank(start=str(ATTACK - 12), through=str(through), attack=str(ATTACK))
        for period, frame in ingest.ingest(source, contract):
            raw = ingest.table(frame, contract).to_pandas()
            matured = period + contract.label_delay <= through
            checked = validate.validate(raw, period, contract, matured=matured)
            assert checked.quarantined.empty, checked.broken

    def test_recent_counts_the_day_before(self) -> None:
        """Counted again by hand from the rows of two days."""
        rows = pd.concat(run(FIRST, FIRST + 30, scale=0.1), names=["period"]).reset_index("period")
        last = rows[rows["period"] == FIRST + 30]
        for row in last.sample(20, random_state=0).itertuples():
            mine = rows[rows["card"] == row.card]
            earlier = mine["time"] < row.time
            since = mine["period"] >= FIRST + 6
            same_second = (mine["time"] == row.time) & (mine["payment"] < row.payment)
            assert row.recent == int(((earlier | same_second) & since).sum())

    def test_account_grows_older(self) -> None:
        """A card keeps the day it was opened on; it is used for four years."""
        rows = pd.concat(run(FIRST, FIRST + 49).values())
        opened = rows["time"].dt.floor("D") - pd.to_timedelta(rows["account_days"], unit="D")
        assert (opened.groupby(rows["card"]).nunique() == 1).all()
        assert rows["account_days"].between(0, payments.LIFE - 1).all()
        assert rows["account_days"].max() > payments.LIFE - 20


class TestReproducible:
    """The same bytes, whatever is asked for around them and wherever they are made."""

    def test_same_bytes_whatever_the_start(self) -> None:
        """An hour is the same wherever one starts to look, past midnight as well."""
        through = ATTACK + 17
        long, short = run(ATTACK - 20, through), run(ATTACK + 10, through)
        for when, rows in short.items():
            pd.testing.assert_frame_equal(rows, long[when])

    def test_seeds_differ(self) -> None:
        """Another seed is another bank."""
        one, other = (run(FIRST, FIRST, seed=seed)[FIRST] for seed in (0, 1))
        assert set(one["payment"]).isdisjoint(other["payment"])

    def test_pinned(self) -> None:
        """The values are those of every other machine."""
        assert digest() == "65197608a8796db1d6d25786f4ce7959ff0356a1d805752a63a4b0de66503099"

    def test_same_bytes_on_another_cpu(self) -> None:
        """Neither the vector width nor the number of threads changes a bit."""
        simd = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
        environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(simd), "OMP_NUM_THREADS": "1"}
        code = "import tests.cases.test_payments as t; print(t.digest())"
        command = [sys.executable, "-c", code]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == digest()


def digest() -> str:
    """Hash every value of every row of the hours around the attack."""
    hours = run(ATTACK - 12, ATTACK + 30)
    return hashlib.sha256("".join(rows.to_csv() for rows in hours.values()).encode()).hexdigest()


def test_scale() -> None:
    """Payments are in proportion."""
    sizes = [sum(map(len, run(FIRST, FIRST + 23, scale=scale).values())) for scale in (0.05, 0.5)]
    assert sizes[1] == pytest.approx(10 * sizes[0], rel=0.1)


def test_picked_by_share() -> None:
    """A draw at the edge belongs to the next share; a share of nothing is never picked."""
    draws = np.array([0.0, 0.19, 0.2, 0.7, 0.999])
    assert picked(np.array([0.2, 0.0, 0.5, 0.3]), draws).tolist() == [0, 0, 2, 3, 3]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"start": "2026-03-02"}, "params.yaml: ingest.start: '2026-03-02' is not an hour; write it like"),
        ({"attack": "noon"}, "params.yaml: ingest.attack: 'noon' is not an hour; write it like"),
        ({"through": "2026-03-01T23"}, "params.yaml: ingest.start: 2026-03-02 00:00 comes after"),
    ],
)
def test_mistake_is_one_line(change: dict[str, str], line: str, contract: Contract) -> None:
    """The line names the key, the value, and what would do."""
    with pytest.raises(PerenneError) as caught:
        list(bank(**change).batches(contract))
    assert str(caught.value).startswith(line)


def test_only_by_the_hour(contract: Contract) -> None:
    """A contract of days would cut them wrongly."""
    with pytest.raises(PerenneError, match="payments are by the hour, not day"):
        list(bank().batches(contract.model_copy(update={"period": "day"})))
