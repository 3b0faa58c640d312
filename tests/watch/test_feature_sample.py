"""Rows kept of the reference: a random sample of any periods' rows, from few rows of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perenne.watch import feature_sample
from perenne.watch.feature_sample import FeatureSample, most, sampled, told_apart
from perenne.watch.seasons import Seasons

DAYS = list(pd.period_range("2021-01-01", periods=200, freq="D"))


def kept(sizes: dict[pd.Period, int], counts: dict[pd.Period, int], seed: int = 0) -> FeatureSample:
    """Return the sample of periods whose rows have their period's number and their own."""
    return FeatureSample(
        {
            period: sampled(
                pd.DataFrame({"period": place, "row": np.arange(n)}),
                np.arange(n),
                period,
                counts[period],
                seed,
            )
            for place, (period, n) in enumerate(sizes.items())
        }
    )


def test_few_rows_are_all_kept_in_their_order() -> None:
    """Up to as many as are looked at."""
    sizes = {day: 3 + place for place, day in enumerate(DAYS[:4])}
    sample = kept(sizes, most(sizes, Seasons(sizes)))
    assert sample.features["row"].tolist() == [row for n in sizes.values() for row in range(n)]
    assert sample.blocks is not None
    assert sample.places([DAYS[2], DAYS[0]]).tolist() == [0, 1, 2, 7, 8, 9, 10, 11]


def test_sample_of_unlike_periods_is_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row of a large and of a small period has the same chance, whatever was not kept."""
    monkeypatch.setattr(feature_sample, "ROWS", 100)
    sizes = {DAYS[0]: 900, DAYS[1]: 100}
    counts = {DAYS[0]: 100, DAYS[1]: 60}
    small = 0
    for seed in range(200):
        sample = kept(sizes, counts, seed)
        places = sample.places(sizes)
        assert len(places) == 100
        small += int((sample.features["period"].iloc[places] == 1).sum())
    # A tenth of the rows, and so of 20,000 drawn; hypergeometric, 999 in 1,000.
    deviation = np.sqrt(200 * 100 * 0.1 * 0.9 * 900 / 999)
    assert abs(small - 2_000) < stats.norm.ppf(0.9995) * deviation


def test_memory_is_bounded_where_periods_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 days few rows each are kept, but of those that are told from others as many as are looked at."""
    monkeypatch.setattr(feature_sample, "ROWS", 50)
    sizes = dict.fromkeys(DAYS, 1_000)
    seasons = Seasons(DAYS)
    counts = most(sizes, seasons)
    whole = {period for period, _ in told_apart(seasons)}
    assert len(whole) <= feature_sample.MOST_JOINT
    like = len(seasons.like(DAYS[-1]))
    assert {counts[day] for day in DAYS if day in whole} == {50}
    assert max(counts[day] for day in DAYS if day not in whole) <= 2 * 50 / (like - 1) + 21
    sample = kept(sizes, counts)
    assert len(sample.places(seasons.like(DAYS[-1]))) == 50
    assert len(sample.places([told_apart(seasons)[0][0]])) == 50
