"""The reference, counted once: what later batches are compared with, season by season."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import model, predicted
from perenne.common.contract import Contract
from perenne.stats.between import Between, between
from perenne.stats.metrics import Array
from perenne.stats.tally import Tally, cut, tally, total
from perenne.stats.two_sample import compare
from perenne.watch import rhythm
from perenne.watch.seasons import Seasons

LONGER = ("week", "month", "quarter", "year")  # than a day
SPARSE = 2.0  # rows a day below which days need not be looked at
FEWEST_DAYS = 5  # in a period, for days to be blocks of its rows


@dataclass(frozen=True)
class Baseline:
    """The reference, counted once; each batch is compared with the periods of it that are like the batch's.

    `edges` and `tallies` are by column; `by_day` are the columns in which rows of a day resemble each other,
    where the contract has no block: days are then their blocks. `features` are the model's inputs, shape
    (rows, features), in the order of `rows`, and `blocks` the block of each. `seasons` are those of the
    reference, `scored` those of its periods with scores. `rows`, `unlabelled` (rows without a label) and
    `days` are by period. `scores` is the mean of each column of predictions. `calendar` names columns that
    move with the calendar.
    """

    edges: Mapping[str, Array | None]
    tallies: Mapping[str, Mapping[pd.Period, Tally]]
    by_day: frozenset[str]
    features: pd.DataFrame
    blocks: npt.NDArray[np.object_] | None
    seasons: Seasons
    scored: Seasons
    rows: Mapping[pd.Period, int]
    unlabelled: Mapping[pd.Period, int]
    days: Mapping[pd.Period, float]
    scores: Mapping[str, float]
    calendar: str
    spreads: dict[str, dict[str, Between | None]] = field(default_factory=dict, repr=False, compare=False)

    def seasons_of(self, name: str) -> Seasons:
        """The periods that a column can be compared with; for scores, those that have some."""
        return self.scored if name in self.scores else self.seasons

    @cached_property
    def varying(self) -> list[str]:
        """The features that vary within most periods.

        One that does not, such as the weekday of an hour, tells any period from others by itself: whether it
        has moved is for its own test, which knows how far periods lie apart.
        """
        several = [period for period, rows in self.rows.items() if rows > 1]
        return [
            name
            for name in map(str, self.features)
            if 2 * sum(_cells(self.tallies[name][period]) > 1 for period in several) >= len(several)
        ]

    @cached_property
    def compared(self) -> float:
        """With how many rows of the reference a batch is compared, on average."""
        return float(np.mean(self.seasons.sizes(self.rows)))

    def rows_of(self, periods: Iterable[pd.Period]) -> npt.NDArray[np.intp]:
        """The places of some periods' rows among the features, in order."""
        spans = sorted(self._spans[period] for period in periods)
        return np.concatenate([np.arange(*span) for span in spans] or [np.arange(0)])

    @cached_property
    def _spans(self) -> dict[pd.Period, tuple[int, int]]:
        return _spans(self.rows)

    def spread(self, name: str) -> dict[str, Between | None]:
        """How far a column's counts in like periods lie apart, by kind of test; measured once."""
        if name not in self.spreads:
            self.spreads[name] = _spread(self.tallies[name], self.seasons_of(name))
        return self.spreads[name]


def _spans(rows: Mapping[pd.Period, int]) -> dict[pd.Period, tuple[int, int]]:
    """Where the rows of each period begin and end, one period after the other."""
    ends = np.cumsum(list(rows.values())).tolist()
    return dict(zip(rows, zip([0, *ends], ends, strict=False), strict=True))


def _cells(tally: Tally) -> int:
    """How many cells have rows."""
    return len(np.unique(tally.counts.indices[tally.counts.data > 0]))


def baseline(reference: Mapping[pd.Period, pd.DataFrame], contract: Contract) -> Baseline:
    """Count the reference: the periods that the model was trained on, and those that measured it.

    Only the latter have scores: scores of training rows say nothing about new rows.

    Parameters
    ----------
    reference
        The rows of each period with their predictions, which are missing for rows without one.
    contract
        What the rows are.

    """
    whole = pd.concat(reference.values(), ignore_index=True)
    names = predicted.columns(contract)
    X = model.inputs(whole, contract)
    edges: dict[str, Array | None] = {
        name: None if contract.columns[name].type == "category" else cut(X[name])
        for name in contract.features
    }
    edges |= {name: cut(whole[name]) for name in names}
    by_day = _by_day(X.assign(**{n: whole[n] for n in names}), edges, whole, contract, len(reference))
    seasons = Seasons(reference)
    scored = {period: rows[predicted.scored(rows, contract)] for period, rows in reference.items()}
    scored = {period: rows for period, rows in scored.items() if len(rows)}
    tallies: dict[str, dict[pd.Period, Tally]] = {name: {} for name in edges}
    spans = _spans({period: len(rows) for period, rows in reference.items()})
    for period, rows in reference.items():
        for name, column in X.iloc[slice(*spans[period])].items():
            tallies[str(name)][period] = tally(
                column, edges[str(name)], blocks(str(name), rows, by_day, contract)
            )
    for period, rows in scored.items():
        for name in names:
            tallies[name][period] = tally(rows[name], edges[name], blocks(name, rows, by_day, contract))
    return Baseline(
        edges,
        tallies,
        by_day,
        X,
        _whole_blocks(whole, by_day, contract),
        seasons,
        Seasons(scored, seasons.periods) if scored else seasons,
        {period: len(rows) for period, rows in reference.items()},
        {period: int(rows[contract.target].isna().sum()) for period, rows in reference.items()},
        {period: days(period) for period in reference},
        {name: float(whole[name].mean()) for name in names},
        rhythm.calendar(reference, contract, seasons),
    )


def tallied(batch: pd.DataFrame, before: Baseline, contract: Contract) -> dict[str, Tally]:
    """Count a batch in the reference's cells, by column; counts of several batches can be added.

    Parameters
    ----------
    batch
        Rows of the contract with their predictions.
    before
        The reference; its edges define the cells.
    contract
        What the rows are.

    Returns
    -------
    A tally for each feature, and for each column of predictions.

    """
    scores = {name: batch[name].to_numpy() for name in predicted.columns(contract)}
    X = model.inputs(batch, contract).assign(**scores)
    return {
        name: tally(X[name], edges, blocks(name, batch, before.by_day, contract))
        for name, edges in before.edges.items()
    }


def pooled(sofar: Mapping[str, Tally], more: Mapping[str, Tally]) -> dict[str, Tally]:
    """The counts of earlier and further batches together, by column."""
    return {name: sofar[name] + counted if name in sofar else counted for name, counted in more.items()}


def blocks(name: str, batch: pd.DataFrame, by_day: frozenset[str], contract: Contract) -> pd.Series | None:
    """The block of each row for a column's tests; None if its rows are independent."""
    if contract.block:
        return batch[contract.block]
    return rhythm.days(batch, contract) if name in by_day else None


def days(period: pd.Period) -> float:
    """The length of a period in days: a February has fewer flights than a March."""
    length: pd.Timedelta = period.end_time - period.start_time
    return length / pd.Timedelta(days=1)


def size(first: Tally, second: Tally) -> float:
    """The effective size of a comparison, 1 / (1/n + 1/m); 0 if a side is empty."""
    n, m = float(first.counts.sum()), float(second.counts.sum())
    return n * m / (n + m) if n + m else 0.0


def _by_day(
    X: pd.DataFrame,
    edges: Mapping[str, Array | None],
    whole: pd.DataFrame,
    contract: Contract,
    count: int,
) -> frozenset[str]:
    if contract.block or contract.period not in LONGER or whole.empty:
        return frozenset()
    day = rhythm.days(whole, contract)
    # Where all rows of a month have one date, days are months: a batch would be a single block.
    if day.nunique() < FEWEST_DAYS * count or len(whole) < SPARSE * day.nunique():
        return frozenset()
    return frozenset(
        name for name in edges if rhythm.design(tally(X[name], edges[name], day)) > rhythm.DESIGN
    )


def _whole_blocks(
    whole: pd.DataFrame, by_day: frozenset[str], contract: Contract
) -> npt.NDArray[np.object_] | None:
    """Return the blocks of a test of all columns together: days as soon as one column needs them."""
    labels = blocks(next(iter(by_day), ""), whole, by_day, contract)
    return None if labels is None else labels.to_numpy()


def _spread(tallies: Mapping[pd.Period, Tally], seasons: Seasons) -> dict[str, Between | None]:
    folds = [(tallies[one], total([tallies[other] for other in others])) for one, others in seasons.folds]
    tests = [compare(others, one) for one, others in folds]
    sizes = [size(*fold) for fold in folds]
    return {kind[0].name: between(kind, sizes, seasons.degrees()) for kind in zip(*tests, strict=True)}
