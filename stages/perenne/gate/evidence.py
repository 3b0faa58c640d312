"""What the rules judge by: both models' scores on the same rows, and the cost of a score."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from perenne.common.task import Task
from perenne.stats import paired
from perenne.stats.influence import INFLUENCE, Influence
from perenne.stats.paired import Estimate, Nearer

Array = npt.NDArray[np.float64]
Gain = Estimate | Nearer
Places = npt.NDArray[np.intp]

RACES = 41  # latencies of one row, taken in turns: enough for a ratio within some 5 %
WARM_UP = 3


class Contender(NamedTuple):
    """A model, or the dummy, as the rules see it.

    `scores` has shape (rows,); `size` is that of the model file in bytes; `score_one` scores a single row.
    """

    name: str
    scores: Array
    size: int = 0
    score_one: Callable[[], object] | None = None


class Evidence:
    """The challenger beside its opponents on the rows of its holdout.

    Parameters
    ----------
    task
        What the models predict; it says by which metric they are right in the large.
    y
        The outcomes, shape (rows,).
    blocks
        The label of each row's block, shape (rows,).
    challenger, opponents
        The champion, where there is one, is the first of the opponents if `champion`.
    mean
        The dummy's prediction: the mean target of the challenger's training rows.
    slices
        Name -> positions of its rows. A slice without rows is kept, so that it is reported.
    metric
        The main metric, one of `perenne.stats.influence.INFLUENCE`.
    alpha
        Of every one-sided bound: the alpha of this look.
    ordered
        Whether blocks follow each other in time, in the order of their labels: neighbours may resemble each
        other.

    """

    def __init__(
        self,
        task: Task,
        y: Array,
        blocks: npt.NDArray[Any],
        challenger: Contender,
        opponents: tuple[Contender, ...],
        *,
        champion: bool,
        mean: float,
        slices: Mapping[str, Places],
        metric: str,
        alpha: float,
        ordered: bool = False,
    ) -> None:
        self.task, self.y = task, y
        self.codes, self.count = paired.blocks(blocks, ordered=ordered)
        self.ordered = ordered
        self.challenger, self.opponents = challenger, opponents
        self.champion = opponents[0] if champion else None
        self.dummy = Contender("the mean", np.full(len(y), mean))
        self.slices = slices
        self.metric, self.alpha = metric, alpha

    @cached_property
    def _new(self) -> Influence:
        return INFLUENCE[self.metric](self.y, self.challenger.scores)

    def gain(self, opponent: Contender, places: Places | None = None) -> Gain:
        """Return the gain in the main metric over the opponent, on all rows or those at some positions.

        Parameters
        ----------
        opponent
            A model with scores on the same rows.
        places
            Positions of rows, shape (n,); None: all rows.

        Returns
        -------
        Estimate or Nearer
            Above 0 if the challenger is better.

        """
        if places is None:
            old = INFLUENCE[self.metric](self.y, opponent.scores)
            return paired.gain(self.metric, self._new, old, self.codes, self.count, ordered=self.ordered)
        y = self.y[places]
        new, old = (INFLUENCE[self.metric](y, who.scores[places]) for who in (self.challenger, opponent))
        return paired.gain(self.metric, new, old, self.codes[places], self.count, ordered=self.ordered)

    def measured(self, metric: str, who: Contender | None = None) -> Estimate:
        """Return a metric on all rows, of the challenger (None) or another model.

        Parameters
        ----------
        metric
            A name in `perenne.stats.influence.INFLUENCE`.
        who
            The model; None: the challenger.

        """
        scores = (who or self.challenger).scores
        influence = INFLUENCE[metric](self.y, scores)
        return paired.estimate(influence, self.codes, self.count, ordered=self.ordered)

    def compared(self, metric: str, opponent: Contender) -> Gain:
        """Return how much nearer its best value a metric is than the opponent's, for the report only.

        Parameters
        ----------
        metric
            A name in `perenne.stats.influence.INFLUENCE`.
        opponent
            A model with scores on the same rows.

        Returns
        -------
        Estimate or Nearer
            Above 0 if the challenger's metric is nearer.

        """
        new, old = (INFLUENCE[metric](self.y, who.scores) for who in (self.challenger, opponent))
        return paired.gain(metric, new, old, self.codes, self.count, ordered=self.ordered)

    def race(self, opponent: Contender) -> Array:
        """Return the challenger's latency for one row divided by the opponent's, shape (races,).

        The two take turns, so that other work of the machine slows both. Empty if one cannot be timed.
        """
        if self.challenger.score_one is None or opponent.score_one is None:
            return np.array([])
        runners = self.challenger.score_one, opponent.score_one
        for runner in runners * WARM_UP:
            runner()
        new, old = np.array([[_seconds(runner) for runner in runners] for _ in range(RACES)]).T
        ratios: Array = new / old
        return ratios


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
