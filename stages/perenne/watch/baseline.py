"""The reference, counted once: what later batches are compared with, season by season."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import model
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
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
    (rows, features), with the place of each row's period among those of `rows` in `of`, and its block in
    `blocks`. `seasons` are those of
    the reference, `scored` those of its periods with scores. `rows`, `unlabelled` (rows without a label) and
    `days` are by period. `score` is the mean score. `calendar` names columns that move with the calendar.
    """

    edges: Mapping[str, Array | None]
    tallies: Mapping[str, Mapping[pd.Period, Tally]]
    by_day: frozenset[str]
    features: pd.DataFrame
    of: npt.NDArray[np.intp]
    blocks: npt.NDArray[np.object_] | None
    seasons: Seasons
    scored: Seasons
    rows: Mapping[pd.Period, int]
    unlabelled: Mapping[pd.Period, int]
    days: Mapping[pd.Period, float]
    score: float
    calendar: str
    spreads: dict[str, dict[str, Between | None]] = field(default_factory=dict, repr=False, compare=False)

    def seasons_of(self, name: str) -> Seasons:
        """The periods that a column can be compared with; for scores, those that have some."""
        return self.scored if name == PREDICTION else self.seasons

    def rows_of(self, periods: Iterable[pd.Period]) -> npt.NDArray[np.bool_]:
        """Which of the features' rows are those of some periods, shape (rows,)."""
        places = {period: place for place, period in enumerate(self.rows)}
        return np.isin(self.of, [places[period] for period in periods])

    def spread(self, name: str) -> dict[str, Between | None]:
        """How far a column's counts in like periods lie apart, by kind of test; measured once."""
        if name not in self.spreads:
            self.spreads[name] = _spread(self.tallies[name], self.seasons_of(name))
        return self.spreads[name]


def baseline(reference: Mapping[pd.Period, pd.DataFrame], contract: Contract) -> Baseline:
    """Count the reference: the periods that the model was trained on, and those that measured it.

    Only the latter have scores: scores of training rows say nothing about new rows.

    Parameters
    ----------
    reference
        The rows of each period; the column `prediction` has scores, or is missing for rows without one.
    contract
        What the rows are.

    """
    whole = pd.concat(reference.values(), ignore_index=True)
    scores = whole[PREDICTION]
    X = model.inputs(whole, contract)
    edges: dict[str, Array | None] = {
        name: None if contract.columns[name].type == "category" else cut(X[name])
        for name in contract.features
    }
    edges[PREDICTION] = cut(scores)
    by_day = _by_day(X.assign(**{PREDICTION: scores}), edges, whole, contract, len(reference))
    seasons = Seasons(reference)
    scored = {
        p: rows[rows[PREDICTION].notna()] for p, rows in reference.items() if rows[PREDICTION].notna().any()
    }
    tallies: dict[str, dict[pd.Period, Tally]] = {name: {} for name in edges}
    for period, rows in reference.items():
        for name, column in model.inputs(rows, contract).items():
            tallies[str(name)][period] = tally(
                column, edges[str(name)], blocks(str(name), rows, by_day, contract)
            )
    for period, rows in scored.items():
        labels = blocks(PREDICTION, rows, by_day, contract)
        tallies[PREDICTION][period] = tally(rows[PREDICTION], edges[PREDICTION], labels)
    return Baseline(
        edges,
        tallies,
        by_day,
        X,
        np.repeat(np.arange(len(reference)), [len(rows) for rows in reference.values()]),
        _whole_blocks(whole, by_day, contract),
        seasons,
        Seasons(scored, seasons.periods) if scored else seasons,
        {period: len(rows) for period, rows in reference.items()},
        {period: int(rows[contract.target].isna().sum()) for period, rows in reference.items()},
        {period: days(period) for period in reference},
        float(scores.mean()),
        rhythm.calendar(reference, contract, seasons),
    )


def tallied(batch: pd.DataFrame, before: Baseline, contract: Contract) -> dict[str, Tally]:
    """Count a batch in the reference's cells, by column; counts of several batches can be added.

    Parameters
    ----------
    batch
        Rows of the contract with their scores in the column `prediction`.
    before
        The reference; its edges define the cells.
    contract
        What the rows are.

    Returns
    -------
    A tally for each feature, and one for `prediction`.

    """
    X = model.inputs(batch, contract).assign(**{PREDICTION: batch[PREDICTION].to_numpy()})
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
    folds = [(tallies[one], total([tallies[other] for other in others])) for one, others in seasons.folds()]
    tests = [compare(others, one) for one, others in folds]
    sizes = [size(*fold) for fold in folds]
    return {kind[0].name: between(kind, sizes, seasons.degrees()) for kind in zip(*tests, strict=True)}
