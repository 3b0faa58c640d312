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
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from perenne.common.params import Tolerance
from perenne.common.predicted import Mean, one_class, repeated
from perenne.common.task import Task
from perenne.stats import paired
from perenne.stats.influence import INFLUENCE, Influence
from perenne.stats.metrics import METRICS
from perenne.stats.paired import Estimate, Nearer
from perenne.stats.sharing import Codes, both, coded
from perenne.stats.shock import Shock, crossed, shock, shocked

Array = npt.NDArray[np.float64]
Gain = Estimate | Nearer
Places = npt.NDArray[np.intp]
AnyGain = TypeVar("AnyGain", Estimate, Nearer, Estimate | Nearer)
Question = tuple[str, str, str]
"""A kind of estimate, the name of the other model, and the part of the rows that it is of."""

RANKING = "roc_auc"  # the metric of which the tolerance speaks by itself
EVENTS = 10  # of the rarer outcome in a holdout: fewer tell nothing
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


class Labels(NamedTuple):
    """The number of each row's block, shape (rows,), how many there are, and whether they are in order."""

    codes: Codes
    number: int
    ordered: bool = False


Ask: TypeAlias = Callable[["Evidence", Contender, Labels], AnyGain]
"""An estimate of some rows about a model, over these labels."""


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
    periods
        The number of each row's period, shape (rows,), where whole periods share something that blocks do not
        show; None: they do not, or periods are the blocks.
    before
        The same models on rows of validation, with their periods: what these add to each error. None where
        nothing is added.
    crossed
        What else rows of different blocks have in common; None: nothing.
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
        periods: npt.NDArray[Any] | None = None,
        before: Evidence | None = None,
        crossed: Labels | None = None,
        anchor: Contender | None = None,
    ) -> None:
        self.classes = classes
        self.task, self.y = task, y
        self.blocks = Labels(*coded(blocks, ordered=ordered), ordered)
        self.periods = None if periods is None else Labels(*coded(periods, ordered=True), ordered=True)
        self.before, self.crossed = before, crossed
        self._cells = crossed and Labels(*coded(both(self.blocks.codes, crossed.codes)))
        self._shocks: dict[Question, tuple[Shock, ...]] = {}
        self.challenger, self.opponents = challenger, opponents
        self.champion, self.anchor = opponents[0] if champion else None, anchor
        self.dummy = Contender("the mean", repeated(mean, len(y)))
        self.slices = slices
        self.metric, self.tolerance, self.alpha = metric, tolerance, alpha

    @property
    def apart(self) -> Estimate:
        """A value of 0 on these blocks: how many there are and must be, which no label tells."""
        return self._estimate(Influence(0.0, np.zeros(len(self.y))), self.blocks)

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

    def gain(self, opponent: Contender, places: Places | None = None, *, part: str = "") -> Estimate:
        """Return the gain in the main metric over the opponent, on all rows or those at some positions.

        The dummy's loss is as uncertain as the models' and moves with theirs: the error is that of the ratio.

        Parameters
        ----------
        opponent
            A model with scores on the same rows.
        places
            Positions of rows, shape (n,); None: all rows.
        part
            The slice that these are.

        Returns
        -------
        Estimate
            As a share of the dummy's loss on the same rows; above 0 if the challenger is better. NaN if the
            dummy has no loss.

        """

        def asked(seen: Evidence, old: Contender, labels: Labels) -> Estimate:
            there = places if seen is self else seen.slices.get(part)
            if seen is not self and there is not None and not len(there):
                there = None  # a new slice: as all rows
            return seen._estimate(seen._gained(old, there), labels, there)

        return self._heeding(opponent, ("gain", opponent.name, part), asked, places)

    def _gained(self, opponent: Contender, places: Places | None) -> Influence:
        if places is None:
            new, dummy = self._challengers_loss, self._dummys_loss
        else:
            new, dummy = self._loss(self.challenger, places), self._loss(self.dummy, places)
        old = dummy if opponent is self.dummy else self._loss(opponent, places)
        unit = dummy.value or math.nan
        share = (old.value - new.value) / unit
        return Influence(share, (old.rows - new.rows - share * dummy.rows) / unit)

    @staticmethod
    def _estimate(influence: Influence, labels: Labels, places: Places | None = None) -> Estimate:
        codes = labels.codes if places is None else labels.codes[places]
        return paired.estimate(influence, codes, labels.number, ordered=labels.ordered)

    def _heeding(
        self, who: Contender, question: Question, ask: Ask[AnyGain], places: Places | None = None
    ) -> AnyGain:
        """Return an estimate over blocks, with what else makes it less sure.

        That is what rows of different blocks share, and what whole periods add, as validation shows it.

        Parameters
        ----------
        who
            The other model.
        question
            The kind of the estimate, the name of the other model, and of what part it is.
        ask
            Gives it, of these rows or those of validation.
        places
            Positions of the rows that it is of; None: all.

        """
        found = ask(self, who, self.blocks)
        parts = _parts(found)
        if self.crossed and self._cells:
            others = (_parts(ask(self, who, labels)) for labels in (self.crossed, self._cells))
            parts = tuple(map(crossed, parts, *others))
        shocks = self.before._shocks_of(question, ask) if self.before and self.periods else ()
        if self.periods and shocks:
            here = np.bincount(self.periods.codes if places is None else self.periods.codes[places])
            periods = float(here.sum()) ** 2 / max(float(np.sum(here.astype(np.float64) ** 2)), 1.0)
            parts = tuple(shocked(each, by, periods) for each, by in zip(parts, shocks, strict=True))
        if places is None:
            parts = tuple(one._replace(fewest=max(one.fewest, one.blocks * self._lacking)) for one in parts)
        return Nearer(*parts) if isinstance(found, Nearer) else parts[0]

    @cached_property
    def _lacking(self) -> float:
        """How many times as many blocks it takes for enough events; at most 1 if there are enough.

        Of no event at all a model that expects fewer of them seems better, whatever it knows.
        """
        if self.task.outcome == "quantity":
            return 0.0
        _, counts = np.unique(self.y, return_counts=True)
        return EVENTS / max(len(self.y) - int(counts.max(initial=0)), 0.5)

    def _shocks_of(self, question: Question, ask: Ask[AnyGain]) -> tuple[Shock, ...]:
        """Return what whole periods add here: none for a model that has not scored these rows."""
        if question not in self._shocks:
            known = {who.name: who for who in (self.challenger, self.dummy, *self.opponents)}
            who = known.get(question[1])
            if who is None or self.periods is None:
                return ()
            finest = self.crossed if self.crossed and self.crossed.ordered else self.blocks
            cells = Labels(*coded(both(self.periods.codes, finest.codes)))
            wide, fine = (_parts(ask(self, who, labels)) for labels in (self.periods, cells))
            self._shocks[question] = tuple(map(shock, wide, fine))
        return self._shocks[question]

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
        who = who or self.challenger

        def asked(seen: Evidence, one: Contender, labels: Labels) -> Estimate:
            return seen._estimate(INFLUENCE[metric](seen.y, one.scores), labels)

        return self._heeding(who, (metric, who.name, ""), asked)

    def calibrated(self, who: Contender | None = None, place: int | None = None) -> Estimate:
        """Return how right in the large a model is, by the task's calibration.

        Parameters
        ----------
        who
            The model; None: the challenger.
        place
            Of one of several classes; None: of the only prediction.

        """
        who = who or self.challenger

        def asked(seen: Evidence, one: Contender, labels: Labels) -> Estimate:
            return seen._estimate(seen._calibration(one, place), labels)

        return self._heeding(who, ("calibrated", who.name, str(place)), asked)

    def nearer(self, opponent: Contender, place: int | None = None) -> Nearer:
        """Return how much nearer than the opponent the challenger is to being right in the large.

        Parameters
        ----------
        opponent
            A model with scores on the same rows.
        place
            As for `calibrated`.

        """

        def asked(seen: Evidence, one: Contender, labels: Labels) -> Nearer:
            new, old = (seen._calibration(who, place) for who in (seen.challenger, one))
            found = paired.gain(seen.task.calibration, new, old, *labels[:2], ordered=labels.ordered)
            if not isinstance(found, Nearer):
                raise TypeError(f"{seen.task.calibration} has a better direction: it cannot say who is right")
            return found

        return self._heeding(opponent, ("nearer", opponent.name, str(place)), asked)

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

        def asked(seen: Evidence, one: Contender, labels: Labels) -> Gain:
            new, old = (INFLUENCE[metric](seen.y, who.scores) for who in (seen.challenger, one))
            return paired.gain(metric, new, old, *labels[:2], ordered=labels.ordered)

        return self._heeding(opponent, (f"gain {metric}", opponent.name, ""), asked)


def _parts(gain: Gain) -> tuple[Estimate, ...]:
    return (gain.apart, gain.both) if isinstance(gain, Nearer) else (gain,)
