"""The reference, counted once: what later batches are compared with, season by season."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common import model, predicted
from perenne.common.block import moments
from perenne.common.contract import Contract
from perenne.stats.between import Between, between
from perenne.stats.metrics import Array
from perenne.stats.tallies import Tallies
from perenne.stats.tally import BlockRegistry, Numbers, Tally, block_numbers, cut, numbers, tally
from perenne.stats.two_sample import compare
from perenne.watch import rhythm
from perenne.watch.feature_sample import FeatureSample, Sampled, most, sampled
from perenne.watch.reference import only
from perenne.watch.seasons import Seasons

LONGER = ("week", "month", "quarter", "year")  # than a day
SPARSE = 2.0  # rows a day below which days need not be looked at
FEWEST_DAYS = 5  # in a period, for days to be blocks of its rows

Spreads = dict[str, dict[str, Between | None]]  # by column, and by kind of test

AT_ONCE = 2**24  # values of columns that are put in order in one pass over the reference


@dataclass(frozen=True)
class Baseline:
    """The reference, counted once; each batch is compared with the periods of it that are like the batch's.

    `edges` and `tallies` are by column; `by_day` are the columns in which rows of a day resemble each other,
    where the contract has no block: days are then their blocks. `sample` has rows with their features.
    `seasons` are those of the reference, `scored` those of its periods with scores. `rows`, `unlabelled`
    (rows without a label) and `days` are by period. `scores` is the mean of each column of predictions.
    `calendar` names columns that move with the calendar. `registry` numbers the contract's blocks.
    """

    edges: Mapping[str, Array | None]
    tallies: Mapping[str, Tallies[pd.Period]]
    by_day: frozenset[str]
    sample: FeatureSample
    seasons: Seasons
    scored: Seasons
    rows: Mapping[pd.Period, int]
    unlabelled: Mapping[pd.Period, int]
    days: Mapping[pd.Period, float]
    scores: Mapping[str, float]
    calendar: str
    registry: BlockRegistry | None
    spreads: Spreads = field(default_factory=dict, repr=False, compare=False)

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
        cells = {name: self.tallies[name].cells() for name in map(str, self.sample.features)}
        return [
            name
            for name, used in cells.items()
            if 2 * sum(used[period] > 1 for period in several) >= len(several)
        ]

    @cached_property
    def compared(self) -> float:
        """With how many rows of the reference a batch is compared, on average."""
        return float(np.mean(self.seasons.sizes(self.rows)))

    def spread(self, name: str) -> dict[str, Between | None]:
        """How far a column's counts in like periods lie apart, by kind of test; measured once."""
        if name not in self.spreads:
            self.spreads[name] = _spread(self.tallies[name], self.seasons_of(name))
        return self.spreads[name]


class _Survey(NamedTuple):
    """What is known of the reference before its columns are counted; the figures of each period.

    `scores` are those of the rows that have one, by column; `by_day` says whether days may be blocks, and
    `registry` numbers the contract's blocks.
    """

    rows: dict[pd.Period, int]
    unlabelled: dict[pd.Period, int]
    scores: dict[str, dict[pd.Period, Array]]
    by_day: bool = False
    registry: BlockRegistry | None = None


def baseline(reference: Mapping[pd.Period, pd.DataFrame], contract: Contract, *, seed: int = 0) -> Baseline:
    """Count the reference: the periods that the model was trained on, and those that measured it.

    Only the latter have scores: scores of training rows say nothing about new rows. The reference is read
    three times or more, one period, or some columns, at a time: memory holds counts, and a sample of rows.

    Parameters
    ----------
    reference
        The rows of each period with their predictions, which are missing for rows without one.
    contract
        What the rows are.
    seed
        Decides which rows are kept for the joint test.

    """
    survey = _surveyed(reference, contract)
    edges = _edges(reference, sum(survey.rows.values()), contract)
    edges |= {name: cut(_joined(scores)) for name, scores in survey.scores.items()}
    seasons = Seasons(reference)
    tallies: dict[str, Tallies[pd.Period]] = {name: Tallies() for name in edges}
    every = frozenset(edges) if survey.by_day else frozenset[str]()
    kept: dict[pd.Period, Sampled] = {}
    counts = most(survey.rows, seasons)
    for period, rows in reference.items():
        number = BlockNumbers(rows, every, survey.registry, contract)
        X = model.inputs(rows, contract)
        for name, column in X.items():
            tallies[str(name)].add(period, tally(column, edges[str(name)], number.of(str(name))))
        has_score = predicted.scored(rows, contract)
        if has_score.any():
            for name in survey.scores:
                blocks = number.of(name)
                values = rows[name].to_numpy(dtype=np.float64)[has_score]
                own = None if blocks is None else blocks[has_score]
                tallies[name].add(period, tally(values, edges[name], own))
        kept[period] = sampled(X, number.any(), period, counts[period], seed)
    by_day = frozenset(name for name in every if rhythm.design(tallies[name]) > rhythm.DESIGN)
    for name in every - by_day:
        tallies[name] = tallies[name].without_blocks()
    if every and not by_day:
        kept = {period: each._replace(blocks=None) for period, each in kept.items()}
    scored = next(iter(survey.scores.values()))
    return Baseline(
        edges,
        tallies,
        by_day,
        FeatureSample(kept),
        seasons,
        Seasons(scored, seasons.periods) if scored else seasons,
        survey.rows,
        survey.unlabelled,
        {period: days(period) for period in reference},
        {name: float(np.mean(_joined(each))) if each else math.nan for name, each in survey.scores.items()},
        rhythm.calendar(reference, contract, seasons),
        survey.registry,
    )


def _surveyed(reference: Mapping[pd.Period, pd.DataFrame], contract: Contract) -> _Survey:
    names = predicted.columns(contract)
    found = _Survey({}, {}, {name: {} for name in names})
    seen: list[Numbers] = []
    asked = not contract.block and contract.period in LONGER
    needed = [contract.time, contract.target, *names, *([contract.block] if contract.block else [])]
    for period in reference:
        rows = only(reference, period, needed)
        found.rows[period] = len(rows)
        found.unlabelled[period] = int(rows[contract.target].isna().sum())
        has_score = predicted.scored(rows, contract)
        if has_score.any():
            for name in names:
                found.scores[name][period] = rows[name].to_numpy(dtype=np.float64)[has_score]
        if contract.block:
            seen.append(pd.unique(block_numbers(rows[contract.block])))
        elif asked:
            seen.append(np.unique(moments(rows, contract, "day")))
    blocks = pd.unique(np.concatenate(seen)) if seen else np.zeros(0, np.int64)
    if contract.block:
        return found._replace(registry=BlockRegistry(blocks))
    # Where all rows of a month have one date, days are months: a batch would be a single block.
    enough = len(blocks) >= FEWEST_DAYS * len(reference)
    return found._replace(by_day=enough and sum(found.rows.values()) >= SPARSE * len(blocks) > 0)


def _edges(
    reference: Mapping[pd.Period, pd.DataFrame], count: int, contract: Contract
) -> dict[str, Array | None]:
    """The edges of each feature's cells; as many columns at once as memory should hold."""
    ordered = [name for name in contract.features if contract.columns[name].type != "category"]
    width = max(AT_ONCE // max(count, 1), 1)
    found: dict[str, Array | None] = dict.fromkeys(contract.features)
    for start in range(0, len(ordered), width):
        some = ordered[start : start + width]
        values = {name: np.empty(count) for name in some}
        end = 0
        for period in reference:
            rows = only(reference, period, [contract.time, *some])
            begin, end = end, end + len(rows)
            for name in some:
                values[name][begin:end] = numbers(model.feature(rows, name, contract))
        for name in some:
            found[name] = cut(values.pop(name))
    return found


def _joined(scores: Mapping[pd.Period, Array]) -> Array:
    return np.concatenate(list(scores.values()) or [np.zeros(0)])


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
    number = BlockNumbers(batch, before.by_day, before.registry, contract)
    return {name: tally(X[name], edges, number.of(name)) for name, edges in before.edges.items()}


def pooled(sofar: Mapping[str, Tally], more: Mapping[str, Tally]) -> dict[str, Tally]:
    """The counts of earlier and further batches together, by column."""
    return {name: sofar[name] + counted if name in sofar else counted for name, counted in more.items()}


class BlockNumbers:
    """The block of each row of a batch, for the tests of each column: one array for all columns."""

    def __init__(
        self,
        batch: pd.DataFrame,
        by_day: frozenset[str],
        registry: BlockRegistry | None,
        contract: Contract,
    ) -> None:
        self.by_day = by_day
        self.numbers: Numbers | None = None
        self.all = registry is not None
        if registry is not None:
            self.numbers = registry.of(block_numbers(batch[contract.block]))
        elif by_day:
            self.numbers = moments(batch, contract, "day")

    def of(self, name: str) -> Numbers | None:
        """Those of a column's rows, shape (rows,); None if they are independent."""
        return self.numbers if self.all or name in self.by_day else None

    def any(self) -> Numbers | None:
        """Those of a test of all columns together: days as soon as one column needs them."""
        return self.numbers


def days(period: pd.Period) -> float:
    """The length of a period in days: a February has fewer flights than a March."""
    length: pd.Timedelta = period.end_time - period.start_time
    return length / pd.Timedelta(days=1)


def size(first: Tally, second: Tally) -> float:
    """The effective size of a comparison, 1 / (1/n + 1/m); 0 if a side is empty."""
    n, m = float(first.counts.sum()), float(second.counts.sum())
    return n * m / (n + m) if n + m else 0.0


def _spread(tallies: Tallies[pd.Period], seasons: Seasons) -> dict[str, Between | None]:
    folds = [(tallies[one], tallies.total(others)) for one, others in seasons.folds]
    tests = [compare(others, one) for one, others in folds]
    sizes = [size(*fold) for fold in folds]
    return {kind[0].name: between(kind, sizes, seasons.degrees()) for kind in zip(*tests, strict=True)}
