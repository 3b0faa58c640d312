"""Columns that move with the calendar, and columns in which rows of a day resemble each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from perenne.common import model
from perenne.common.contract import Contract
from perenne.stats.crossed import by_block
from perenne.stats.metrics import Array
from perenne.stats.tallies import Tallies
from perenne.stats.tally import numbers
from perenne.watch.reference import only
from perenne.watch.seasons import Seasons

ALPHA = 0.05  # of all statements together that a column moves with the calendar (Bonferroni)
LEAST = 0.1  # standard deviations of a column by which it has to move to be named
COMMONEST = 3  # categories of a column that are looked at
DESIGN = 1.2  # how many times the variance of independent rows makes days the blocks of a column


def design(by_day: Tallies[pd.Period]) -> float:
    """How many times the variance of independent rows a column's distribution has, as its days differ.

    Parameters
    ----------
    by_day
        The column counted with days as blocks.

    Returns
    -------
    The design effect of the Anderson-Darling statistic, or of Pearson's; 1 if nothing can be told.

    References
    ----------
    Kish 1965, Survey Sampling, section 8.2.

    """
    whole = by_day.total(by_day)
    counts = whole.counts[1:].astype(np.float64)
    total = counts.sum()
    used = 1 + np.flatnonzero(counts)
    if whole.labels is not None:
        used = 1 + np.argsort(-counts, kind="stable")[: np.sum(counts > 0)][:20]
    days = by_block(whole.members or (), len(whole.counts))
    if len(used) < 2 or days.shape[0] < 2:
        return 1.0
    each = days[:, used].toarray().astype(np.float64)
    size = np.asarray(days[:, 1:].sum(axis=1), dtype=np.float64)
    share = counts[used - 1] / total
    apart = each - np.outer(size, share)
    weights, variance = 1 / share, share * (1 - share)
    if whole.labels is None:
        apart, below = np.cumsum(apart, axis=1)[:, :-1], np.cumsum(share)[:-1]
        variance = below * (1 - below)
        weights = (share[:-1] + share[1:]) / 2 / variance
    return float(np.sum(apart**2 @ weights) / (total * np.sum(weights * variance)))


def calendar(reference: Mapping[pd.Period, pd.DataFrame], contract: Contract, seasons: Seasons) -> str:
    """One sentence that names the features which move with the calendar within less than a year; or "".

    With a year or more nothing needs to be said: batches are compared with their season. The unit of the
    tests are days, or hours of a day, so rows of a day may resemble each other.

    Parameters
    ----------
    reference
        The rows of each period.
    contract
        What the rows are.
    seasons
        Of the reference.

    """
    if seasons.yearly:
        return ""
    times = [only(reference, period, [contract.time])[contract.time] for period in reference]
    of = np.repeat(np.arange(len(reference)), [len(each) for each in times])
    factors = _factors(_clock(pd.concat(times, ignore_index=True), contract), of, contract)
    tests = [
        (name, factor, *_moves(values, unit, level))
        for name in contract.features
        for values in _values(_column(reference, name, contract))
        for factor, (unit, level) in factors.items()
    ]
    moving: dict[str, dict[str, None]] = {}
    for name, factor, pvalue, effect in tests:
        if pvalue * len(tests) <= ALPHA and effect > LEAST:
            moving.setdefault(name, {})[factor] = None
    if not moving:
        return ""
    named = ", ".join(f"{name} ({', '.join(by)})" for name, by in moving.items())
    return (
        "less than a year of reference cannot tell a season from drift; "
        f"columns that move with the calendar within it: {named}"
    )


def _column(reference: Mapping[pd.Period, pd.DataFrame], name: str, contract: Contract) -> pd.Series:
    """Return a feature of all rows; nothing else is held."""
    some = (only(reference, period, [contract.time, name]) for period in reference)
    return pd.concat([model.feature(rows, name, contract) for rows in some], ignore_index=True)


def _clock(times: pd.Series, contract: Contract) -> pd.Series:
    if contract.zone is not None:
        times = times.dt.tz_localize("UTC").dt.tz_convert(contract.zone).dt.tz_localize(None)
    return times


def _factors(
    clock: pd.Series, of: npt.NDArray[np.intp], contract: Contract
) -> dict[str, tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Return by name the unit and the level of each row, for all parts of the calendar that can be told."""
    day = (clock.dt.floor("D") - clock.min().floor("D")).dt.days.to_numpy()
    hour = clock.dt.hour.to_numpy()
    found: dict[str, tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]] = {}
    if contract.period in ("month", "quarter", "week"):
        found[contract.period] = (day, of)
        found["weekday"] = (day, clock.dt.dayofweek.to_numpy())
    if contract.period != "hour":
        found["hour"] = (24 * day + hour, hour)
    return {name: (unit, level) for name, (unit, level) in found.items() if len(np.unique(level)) > 1}


def _values(column: pd.Series) -> Iterator[Array]:
    """Yield an ordered column as ranks, a category as whether a row has each of the commonest."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        yield np.asarray(pd.Series(numbers(column)).rank(pct=True), dtype=np.float64)
        return
    for value in column.value_counts().index[:COMMONEST]:
        yield (column == value).to_numpy(dtype=np.float64, na_value=np.nan)


def _moves(values: Array, unit: npt.NDArray[np.intp], level: npt.NDArray[np.intp]) -> tuple[float, float]:
    """Return the p-value of an F test of units' means by level, and the deviation of the levels' means."""
    there = ~np.isnan(values)
    frame = pd.DataFrame({"value": values[there], "unit": unit[there], "level": level[there]})
    means = frame.groupby(["level", "unit"])["value"].mean()
    groups = [group.to_numpy() for _, group in means.groupby(level="level") if len(group) > 1]
    deviation = float(frame["value"].std())
    if len(groups) < 2 or not deviation > 0 or not np.ptp(means.to_numpy()) > 0:
        return 1.0, 0.0
    centres = np.repeat([group.mean() for group in groups], [len(group) for group in groups])
    return float(stats.f_oneway(*groups).pvalue), float(centres.std() / deviation)
