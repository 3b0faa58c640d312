"""Rows of the reference to be told from those of a batch: of each period as many as may be looked at.

Each row has a random number, and of several periods those rows are taken whose numbers are the smallest. That
is a random sample of all of their rows, and only the smallest numbers of each period need to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.stats.joint import ROWS
from perenne.stats.metrics import Array
from perenne.stats.tally import Numbers
from perenne.watch.seasons import Seasons

MOST_JOINT = 12  # periods of the reference that a classifier tries to tell from those like them

Places = npt.NDArray[np.intp]


class Sampled(NamedTuple):
    """Some rows of one period: features, random numbers, and the block of each, if blocks count."""

    features: pd.DataFrame
    keys: Array
    blocks: Numbers | None


class FeatureSample:
    """The rows kept of each period, one period after the other.

    Attributes
    ----------
    features
        As `model.inputs` has them, shape (rows, features).
    blocks
        The number of each row's block; None if rows are independent.

    """

    def __init__(self, kept: Mapping[pd.Period, Sampled]) -> None:
        self.features = pd.concat([each.features for each in kept.values()], ignore_index=True)
        self._keys = np.concatenate([each.keys for each in kept.values()])
        ends = np.cumsum([len(each.keys) for each in kept.values()]).tolist()
        self._spans = dict(zip(kept, zip([0, *ends], ends, strict=False), strict=True))
        blocks = [each.blocks for each in kept.values() if each.blocks is not None]
        self.blocks = np.concatenate(blocks) if blocks else None

    def places(self, periods: Iterable[pd.Period]) -> Places:
        """The places of a random sample of the rows of some periods, in order; of few rows, of all."""
        spans = sorted(self._spans[period] for period in periods)
        places = np.concatenate([np.arange(*span) for span in spans] or [np.arange(0)])
        if len(places) <= ROWS:
            return places
        chosen = np.argpartition(self._keys[places], ROWS)[:ROWS]
        return np.sort(places[chosen])


def told_apart(seasons: Seasons) -> list[tuple[pd.Period, list[pd.Period]]]:
    """The periods of the reference that are to be told from those like them, and those."""
    return seasons.folds[:: -(-len(seasons.folds) // MOST_JOINT) or 1]


def most(rows: Mapping[pd.Period, int], seasons: Seasons) -> dict[pd.Period, int]:
    """How many rows to keep of each period.

    As many as are looked at of one that is told from others; else, of a sample of the periods like it, twice
    as many as are its share, and some more: a sample needs as many with a chance of one in a billion.

    Parameters
    ----------
    rows
        Of each period.
    seasons
        Of the same periods.

    """
    whole = {period for period, _ in told_apart(seasons)}
    sizes = dict(zip(seasons.periods, seasons.sizes(rows), strict=True))
    shares = {period: math.ceil(2 * ROWS * n / max(sizes[period], 1)) + 20 for period, n in rows.items()}
    return {period: min(n, ROWS, n if period in whole else shares[period]) for period, n in rows.items()}


def sampled(
    features: pd.DataFrame, blocks: Numbers | None, period: pd.Period, count: int, seed: int
) -> Sampled:
    """So many rows of a period, at random, in their order.

    Parameters
    ----------
    features
        Of all rows, shape (rows, features).
    blocks
        The number of each row's block, shape (rows,), if blocks count.
    period, seed
        Decide the rows.
    count
        How many; at most as many as there are.

    """
    keys = np.random.default_rng([seed, *map(ord, str(period))]).random(len(features))
    some = np.sort(np.argpartition(keys, count)[:count]) if count < len(keys) else np.arange(len(keys))
    return Sampled(features.iloc[some], keys[some], None if blocks is None else blocks[some])
