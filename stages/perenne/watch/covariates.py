"""Do the rows still look like those that the model was trained on? One family of tests for every batch.

Features, scores, joint shifts, row counts and missing labels are corrected for together: the false discovery
rate holds for all tests of a batch, not for each kind of test.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common import model
from perenne.common.contract import Contract
from perenne.common.names import FEATURES, LABELS, ROWS
from perenne.stats.between import Between, allowing, between
from perenne.stats.counts import Volume, scatter, volume
from perenne.stats.joint import joint
from perenne.stats.multiplicity import LEVEL
from perenne.stats.tally import Numbers, Tally
from perenne.stats.two_sample import Test, compare
from perenne.watch.baseline import Baseline, BlockNumbers, days, size
from perenne.watch.feature_sample import told_apart
from perenne.watch.seasons import Seasons

Key = tuple[str, str]  # a column (or one of the names of ours, which no column has), and the kind of test
Tests = dict[Key, Test]

OVERLAP = 0.05  # of a batch's rows whose blocks the batch before had: more, and the two are not independent


class TestKind(NamedTuple):
    """One kind of test, and the reason it gives when it has raised an alarm: of a column and an effect."""

    name: str
    sentence: str


TestKind.__test__ = False  # type: ignore[attr-defined]  # its name does not make it a test for pytest

KINDS = {
    kind.name: kind
    for kind in (
        TestKind("distribution", "{column} has moved (effect {effect:.2f})"),
        TestKind("missing", "{column}: {effect:+.1%} missing values"),
        TestKind("unseen", "{column}: {effect:.1%} of the rows have a value never seen before"),
        TestKind("joint", "{column} together have moved (effect {effect:.2f})"),
        TestKind("volume", "{column}: {effect:+.0%} compared with the expected number"),
        TestKind("missing labels", "{column}: {effect:+.0%} missing compared with the expected number"),
    )
}


def columnwise(before: Baseline, now: Mapping[str, Tally], *periods: pd.Period) -> Tests:
    """The tests of each single column: its distribution, missing values, unseen categories.

    Each is against the periods of the reference that are like the batch's, and allows for how far those lie
    apart: a column that moves as it does each year has not moved.

    Parameters
    ----------
    before
        The reference.
    now
        The tallies of a batch, or of several.
    periods
        The period of each batch.

    Returns
    -------
    The tests that can be made: none of a column that has no rows in any period like these.

    """
    return {
        (name, test.name): test
        for name in before.tallies
        for test in _against(before, name, now[name], periods)
    }


def _against(before: Baseline, name: str, now: Tally, periods: Iterable[pd.Period]) -> list[Test]:
    seasons = before.seasons_of(name)
    # Of several batches each counts with its own season: the mix of seasons is then the same on both sides.
    times = Counter(like for period in periods for like in seasons.like(period))
    fewest = min(times.values(), default=1)
    like = [one for one, n in sorted(times.items()) for _ in range(n // fewest)]
    if not like:
        return []
    reference = before.tallies[name].total(like)
    tests = list(compare(reference, now))
    # Spread only ever raises a p-value: it need not be measured for one that is high already.
    if any(test.pvalue <= LEVEL for test in tests):
        spread = before.spread(name)
        tests = [allowing(test, spread.get(test.name), size(reference, now)) for test in tests]
    return tests


def together(
    before: Baseline, period: pd.Period, batch: pd.DataFrame, contract: Contract, *, seed: int
) -> Tests:
    """The joint test of all features: whether a classifier can tell the batch from periods like it.

    Parameters
    ----------
    before
        The reference.
    period
        The period of the batch.
    batch
        Rows of the contract.
    contract
        Says which columns are features and which one is the block.
    seed
        Decides the random choices of the test.

    Returns
    -------
    One test, under the key `("all features", "joint")`; none without a period like the batch's, or where no
    feature varies within periods.

    """
    like = before.seasons.like(period)
    n, m = len(batch), sum(before.rows[one] for one in like)
    if not m or not before.varying:
        return {}
    numbers = BlockNumbers(batch, before.by_day, before.registry, contract).any()
    test = _joint(before, like, model.inputs(batch, contract), numbers, seed)
    if test.pvalue <= LEVEL:
        test = allowing(test, _joint_spread(before, seed), n * m / (n + m))
    return {(FEATURES, "joint"): test}


def _joint(
    before: Baseline, like: Iterable[pd.Period], features: pd.DataFrame, numbers: Numbers | None, seed: int
) -> Test:
    sample, names = before.sample, before.varying
    places = sample.places(like)
    sides = None if sample.blocks is None or numbers is None else (sample.blocks[places], numbers)
    return joint(sample.features[names].iloc[places], features[names], sides, seed=seed)


def _joint_spread(before: Baseline, seed: int) -> Between | None:
    """Return how well some of the reference's periods can be told from those like them; measured once."""
    if FEATURES not in before.spreads:
        sample, some = before.sample, told_apart(before.seasons)
        tests, sizes = [], []
        for period, others in some:
            own = sample.places([period])
            numbers = None if sample.blocks is None else sample.blocks[own]
            tests.append(_joint(before, others, sample.features.iloc[own], numbers, seed))
            sizes.append(1.0)
        degrees = before.seasons.degrees() * len(some) / max(len(before.seasons.folds), 1)
        before.spreads[FEATURES] = {"joint": between(tests, sizes, degrees)}
    return before.spreads[FEATURES]["joint"]


def arrivals(
    before: Baseline, period: pd.Period, batch: pd.DataFrame, contract: Contract, *, matured: bool
) -> dict[Key, Volume]:
    """The number of rows, and the number of matured labels that are missing, against the same season.

    Parameters
    ----------
    before
        The reference.
    period
        The period of the batch; its length in days is the exposure of the number of rows.
    batch
        All rows of the period.
    contract
        Says which column is the target.
    matured
        The labels are known by now; only then are missing ones counted.

    Returns
    -------
    `("rows", "volume")`, and, if labels are counted, `("labels", "missing labels")`.

    """
    volumes = {
        (ROWS, "volume"): _arrived(len(batch), days(period), before.rows, before.days, before.seasons, period)
    }
    rows = {period: n for period, n in before.rows.items() if n}
    missing = {period: before.unlabelled[period] for period in rows}
    gone = int(batch[contract.target].isna().sum())
    if matured and missing and (gone or (len(batch) and sum(missing.values()))):
        seasons = Seasons(rows, before.seasons.periods)
        volumes[LABELS, "missing labels"] = _arrived(gone, len(batch), missing, rows, seasons, period)
    return volumes


def _arrived(
    count: int,
    exposure: float,
    counts: Mapping[pd.Period, int],
    exposures: Mapping[pd.Period, float],
    seasons: Seasons,
    period: pd.Period,
) -> Volume:
    """Return the volume against the periods like the batch's, by the spread among all like periods."""
    like = seasons.like(period)
    spread = None
    if seasons.seasonal and (folds := seasons.folds):
        squares = [
            scatter(
                counts[one],
                [counts[other] for other in others],
                exposure=exposures[one],
                exposures=[exposures[other] for other in others],
            )
            for one, others in folds
        ]
        spread = (float(np.mean(squares)), seasons.degrees())
    return volume(
        count,
        [counts[one] for one in like],
        exposure=exposure,
        exposures=[exposures[one] for one in like],
        spread=spread,
    )


def in_common(before: Baseline, last: pd.DataFrame | None, batch: pd.DataFrame, contract: Contract) -> float:
    """How far two consecutive batches differ from the reference by the same luck, as a correlation.

    They share the reference. If they share blocks too, such as employees who stay, the second one is no
    independent confirmation of the first.

    Parameters
    ----------
    before
        The reference.
    last, batch
        The rows of both; None if there was none before.
    contract
        Says which column is the block.

    Returns
    -------
    n / (n + m) for a batch of n rows and m rows of the reference to compare it with, or 1.

    """
    if last is None or batch.empty or last.empty:
        return 1.0
    if contract.block and batch[contract.block].isin(last[contract.block]).mean() > OVERLAP:
        return 1.0
    return len(batch) / (len(batch) + min(before.compared, sum(before.rows.values())))


def as_tests(volumes: Mapping[Key, Volume]) -> Tests:
    """Volumes as tests; the effect is the relative difference from the expected number.

    It is infinite where none was expected and some were observed.

    Returns
    -------
    A test for each volume; one where nothing was expected and nothing was observed is left out.

    """
    shares = {key: v.observed / v.expected if v.expected else math.inf for key, v in volumes.items()}
    return {
        key: Test(key[1], shares[key], v.p_value, shares[key] - 1, v.degrees)
        for key, v in volumes.items()
        if v.expected or v.observed
    }


def sentence(key: Key, effect: float) -> str:
    """The reason that a test gives when it has raised an alarm.

    >>> sentence(("age", "distribution"), 0.3)
    'age has moved (effect 0.30)'
    """
    column, kind = key
    if math.isinf(effect):
        return f"{column}: some are missing; in the reference none were"
    return KINDS[kind].sentence.format(column=column, effect=effect)
