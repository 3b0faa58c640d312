"""What the rules judge by: both models' scores on the same rows.

Gains have no unit: they are shares of the dummy's own loss, that is of how far a prediction of nothing but
the mean misses the metric's best value on the same rows. So one policy suits dollars, nats and events as rare
as .2 %, and a share of 1 is all that any model can gain. The dummy's loss is the unit and not the champion's:
a champion that is nearly perfect has hardly any, and no equal model could then be proven equal to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from perenne.common.params import Tolerance
from perenne.common.predicted import Mean, one_class, repeated
from perenne.common.task import Task
from perenne.stats import paired
from perenne.stats.influence import INFLUENCE, Influence
from perenne.stats.metrics import METRICS
from perenne.stats.paired import Estimate, Nearer
from perenne.stats.sharing import coded

Array = npt.NDArray[np.float64]
Gain = Estimate | Nearer
Places = npt.NDArray[np.intp]

RANKING = "roc_auc"  # the metric of which the tolerance speaks by itself
FEWEST = 20  # rows of a class, expected or there: with fewer, no bound on their ratio holds


class Contender(NamedTuple):
    """A model, or the dummy, as the rules see it.

    `scores` has shape (rows,), or (rows, classes) where there are several; `size` is that of the model file
    in bytes; `score_one` scores a single row.
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
        The outcomes, shape (rows,): of several classes their places.
    blocks
        The label of each row's block, shape (rows,).
    challenger, opponents
        The champion, where there is one, is the first of the opponents if `champion`.
    mean
        The dummy's prediction: the mean target of the challenger's training rows, or the share of each class.
    slices
        Name -> positions of its rows. A slice without rows is kept, so that it is reported.
    metric
        The main metric, one of `perenne.stats.influence.INFLUENCE`, with a better direction.
    tolerance
        How wrong a model may be and still be right.
    alpha
        Of every one-sided bound: the alpha of this look.
    ordered
        Whether blocks follow each other in time, in the order of their labels: neighbours may resemble each
        other.
    classes
        The names of several classes, in the order of the scores; none if there is one prediction a row.
    anchor
        The last version that was proven better, where only fresher ones have followed it: see `Improvement`.

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
        mean: Mean,
        slices: Mapping[str, Places],
        metric: str,
        tolerance: Tolerance,
        alpha: float,
        ordered: bool = False,
        classes: tuple[str, ...] = (),
        anchor: Contender | None = None,
    ) -> None:
        self.classes = classes
        self.task, self.y = task, y
        self.codes, self.count = coded(blocks, ordered=ordered)
        self.ordered = ordered
        self.challenger, self.opponents = challenger, opponents
        self.champion, self.anchor = opponents[0] if champion else None, anchor
        self.dummy = Contender("the mean", repeated(mean, len(y)))
        self.slices = slices
        self.metric, self.tolerance, self.alpha = metric, tolerance, alpha

    @property
    def tolerated(self) -> float:
        """By how much the main metric may be worse, as a share of the dummy's loss."""
        if self.metric == RANKING:
            return self.tolerance.ranking / self._dummys_loss.value
        return self.tolerance.loss

    @property
    def calibration_unit(self) -> float:
        """What the task's calibration is measured in: 1, or the standard deviation of the outcomes."""
        return float(np.std(self.y)) if self.task.calibration_in_sd else 1.0

    def gain(self, opponent: Contender, places: Places | None = None) -> Estimate:
        """Return the gain in the main metric over the opponent, on all rows or those at some positions.

        The dummy's loss is as uncertain as the models' and moves with theirs: the error is that of the ratio.

        Parameters
        ----------
        opponent
            A model with scores on the same rows.
        places
            Positions of rows, shape (n,); None: all rows.

        Returns
        -------
        Estimate
            As a share of the dummy's loss on the same rows; above 0 if the challenger is better. NaN if the
            dummy has no loss.

        """
        if places is None:
            codes, new, dummy = self.codes, self._challengers_loss, self._dummys_loss
        else:
            codes = self.codes[places]
            new, dummy = self._loss(self.challenger, places), self._loss(self.dummy, places)
        old = dummy if opponent is self.dummy else self._loss(opponent, places)
        unit = dummy.value or math.nan
        share = (old.value - new.value) / unit
        return paired.estimate(
            Influence(share, (old.rows - new.rows - share * dummy.rows) / unit),
            codes,
            self.count,
            ordered=self.ordered,
        )

    def reachable(self, opponent: Contender) -> float:
        """Return what a perfect model would gain over the opponent, as a share of the dummy's loss."""
        return self._loss(opponent).value / (self._dummys_loss.value or math.nan)

    @cached_property
    def _challengers_loss(self) -> Influence:
        return self._loss(self.challenger)

    @cached_property
    def _dummys_loss(self) -> Influence:
        return self._loss(self.dummy)

    def _loss(self, who: Contender, places: Places | None = None) -> Influence:
        """How far the main metric misses its best value; less is better, whichever the metric."""
        y, scores = (self.y, who.scores) if places is None else (self.y[places], who.scores[places])
        value, rows = INFLUENCE[self.metric](y, scores)
        better, best = METRICS[self.metric].goal
        return Influence(value - best, rows) if better == "lower" else Influence(best - value, -rows)

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

    def calibrated(self, who: Contender | None = None, place: int | None = None) -> Estimate:
        """Return how right in the large a model is, by the task's calibration.

        Parameters
        ----------
        who
            The model; None: the challenger.
        place
            Of one of several classes; None: of the only prediction.

        """
        influence = self._calibration(who or self.challenger, place)
        return paired.estimate(influence, self.codes, self.count, ordered=self.ordered)

    def nearer(self, opponent: Contender, place: int | None = None) -> Nearer:
        """Return how much nearer than the opponent the challenger is to being right in the large.

        Parameters
        ----------
        opponent
            A model with scores on the same rows.
        place
            As for `calibrated`.

        """
        new, old = (self._calibration(who, place) for who in (self.challenger, opponent))
        compared = self._compared(self.task.calibration, new, old)
        if not isinstance(compared, Nearer):
            raise TypeError(f"{self.task.calibration} has a better direction: it cannot say who is right")
        return compared

    def few(self, place: int) -> bool:
        """Whether a class has too few rows to tell anything of it: in what came, and in what was expected.

        A model that expects hardly any is judged all the same where they came.
        """
        came, expected = one_class(self.y, self.challenger.scores, place)
        return max(float(came.sum()), float(expected.sum())) < FEWEST

    def _calibration(self, who: Contender, place: int | None) -> Influence:
        y, scores = (self.y, who.scores) if place is None else one_class(self.y, who.scores, place)
        return INFLUENCE[self.task.calibration](y, scores)

    def compared(self, metric: str, opponent: Contender) -> Gain:
        """Return how much nearer its best value a metric is than the opponent's, for the report.

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
        return self._compared(metric, new, old)

    def _compared(self, metric: str, new: Influence, old: Influence) -> Gain:
        return paired.gain(metric, new, old, self.codes, self.count, ordered=self.ordered)
