"""Where history is cut: which periods the model learns from, which measure it, and which it meets later."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple, Self

import numpy as np
import pandas as pd

from perenne.common import periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import PARAMS
from perenne.common.params import Split

Part = Literal["train", "holdout"]

MOST_MEASURED = 0.75  # of the labelled periods since a change; the window gets the rest
LEAST_MEASURED = 0.25  # of the periods that the holdout of params.yaml measures on


class Cut(NamedTuple):
    """Where history is cut: `window` periods to learn from, then `holdout` periods up to `as_of`.

    A model that is recalibrated learns nothing from the last `recalibrate` periods before the holdout: they
    correct its scores. The window ends before them, `gap` periods earlier, so the model can be an older one.
    """

    as_of: pd.Period
    window: int
    holdout: int
    label_delay: int
    recalibrate: int = 0
    gap: int = 0

    @classmethod
    def rule(cls, split: Split, contract: Contract, name: str = str(PARAMS)) -> Self:
        """The cut of the section `split` of a params.yaml as if there had been no change.

        Raises
        ------
        PerenneError
            If `split.as_of` is not a period of the contract; it calls the file `name`.

        """
        as_of = periods.parse(split.as_of, contract.period, f"{name}: split.as_of")
        return cls(as_of, split.window, split.holdout, contract.label_delay)

    @classmethod
    def of(cls, split: Split, contract: Contract, name: str = str(PARAMS)) -> Self:
        """The cut that the section `split` of a params.yaml describes; errors call that file `name`.

        Raises
        ------
        PerenneError
            If a period is none of the contract's, or there are too few after the change.

        """
        rule = cls.rule(split, contract, name)
        if split.since is None:
            return rule
        since = periods.parse(split.since, contract.period, f"{name}: split.since")
        cut = rule.from_change(since)
        if cut is None:
            raise PerenneError(
                f"{name}: split.since: {split.since} is too late for as_of {rule.as_of}; "
                f"{rule.first_as_of(since)} is the first with enough labels to learn from and to measure by"
            )
        if split.recalibrated is None:
            return cut if cut.window < rule.window else rule
        ends = split.recalibrated.split("..")
        first, last = (periods.parse(end, contract.period, f"{name}: split.recalibrated") for end in ends)
        if not first <= last < since:
            raise PerenneError(
                f"{name}: split.recalibrated: found {split.recalibrated}, must be two periods before "
                f"split.since ({since}), the first one first"
            )
        return cut.recalibrating(first, last)

    @classmethod
    def released(cls, split: Split, contract: Contract, name: str = str(PARAMS)) -> Self:
        """The cut of the model that a release puts to use: `refitted` if the section `split` says so.

        Raises
        ------
        PerenneError
            As `of`.

        """
        cut = cls.of(split, contract, name)
        return cut.refitted() if split.refit else cut

    def from_change(self, since: pd.Period) -> Self | None:
        """The cut whose window begins with a change; None while there are too few labels since then.

        Most of the labelled periods go to the holdout, up to its length here: a good model that was trained
        on little data can be shown to be good, but one that cannot be measured is not released. With less
        than a quarter of that holdout hardly anything can be shown, and the look would be wasted.

        Parameters
        ----------
        since
            The first period after the change.

        """
        delay = self.label_delay
        labelled = (self.as_of - delay - since).n + 1
        if labelled < self._least():
            return None
        holdout = min(int(MOST_MEASURED * (labelled - delay)), self.holdout - delay) + delay
        return type(self)(self.as_of, (self.as_of - holdout - since).n + 1, holdout, delay)

    def recalibrating(self, first: pd.Period, last: pd.Period) -> Self:
        """The cut of a model of an older window, `first` to `last`, corrected by the window of this one."""
        return self._replace(
            window=(last - first).n + 1, recalibrate=self.window, gap=(self.first - last).n - 1
        )

    def first_as_of(self, since: pd.Period) -> pd.Period:
        """The earliest `as_of` at which a model that begins with a change can be trained and measured."""
        return since + self.label_delay + self._least() - 1

    def refitted(self) -> Self:
        """The cut by which the same recipe is fitted on all that is known by `as_of`: it has no holdout.

        The window begins where it did, and goes on to `as_of`. A recalibrated model stays as old as it is,
        and is corrected by what is now known as well.

        Examples
        --------
        >>> cut = Cut(pd.Period("2019Q4"), window=20, holdout=4, label_delay=1)
        >>> refitted = cut.refitted()
        >>> str(cut.first), str(refitted.first)
        ('2014Q1', '2014Q1')
        >>> [refitted.part(pd.Period(q)) for q in ("2014Q1", "2019Q3", "2019Q4")]
        ['train', 'train', None]

        """
        if self.recalibrate:
            return self._replace(recalibrate=self.recalibrate + self.holdout, holdout=0)
        return self._replace(window=self.window + self.holdout, holdout=0)

    def _least(self) -> int:
        """How many labelled periods since a change are needed to train a model and to measure it."""
        least = math.ceil(LEAST_MEASURED * (self.holdout - self.label_delay))
        return self.label_delay + max(math.ceil(least / MOST_MEASURED), least + 1)

    @property
    def known(self) -> pd.Period:
        """The last period of which anything may reach the training rows: the holdout begins after it."""
        return self.as_of - self.holdout

    @property
    def learned(self) -> pd.Period:
        """The last period of the window, of which anything may reach the model before it is recalibrated."""
        return self.known - self.recalibrate - self.gap

    @property
    def first(self) -> pd.Period:
        """The first period of the window."""
        return self.learned - self.window + 1

    def recalibrates(self, period: pd.Period) -> bool:
        """Whether the labelled rows of a period correct the model's scores; else it may learn from them.

        >>> cut = Cut(pd.Period("2021Q4"), window=8, holdout=2, label_delay=1, recalibrate=3, gap=4)
        >>> str(cut.first), str(cut.learned), cut.recalibrates(pd.Period("2021Q1"))
        ('2017Q4', '2019Q3', True)
        """
        return bool(self.known - self.recalibrate < period and self.part(period) == "train")

    def parted(self, rows: pd.DataFrame, contract: Contract) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The training rows that the model learns from, and those that correct its scores.

        Parameters
        ----------
        rows
            Of the part `train`, in any order; each part keeps it.
        contract
            Names their time, and the length of a period.

        """
        if not self.recalibrate:
            return rows, rows[:0]
        of = pd.PeriodIndex(periods.of(rows[contract.time], contract.period, contract.zone))
        recent = np.asarray(of > self.known - self.recalibrate)
        return rows[~recent], rows[recent]

    def part(self, period: pd.Period) -> Part | None:
        """The part that the rows of a period belong to, None for neither.

        A label is known `label_delay` periods after its row. What is learned must be known before the
        holdout begins, label included: else the holdout's own events would teach the model that they
        test. What measures must be known by `as_of`. So each part loses its last `label_delay` periods.

        >>> cut = Cut(pd.Period("2019Q4"), window=20, holdout=4, label_delay=1)
        >>> [cut.part(pd.Period(q)) for q in ("2014Q1", "2018Q3", "2018Q4", "2019Q1", "2019Q3", "2019Q4")]
        ['train', 'train', None, 'holdout', 'holdout', None]
        """
        labelled = period + self.label_delay
        recent = self.known - self.recalibrate < period and labelled <= self.known
        if recent or (self.first <= period and labelled <= self.learned):
            return "train"
        if self.known < period and labelled <= self.as_of:
            return "holdout"
        return None

    def fits(self, history: Iterable[pd.Period]) -> bool:
        """Whether all parts have a batch: a period may have none, as on a day when the shop is closed.

        >>> cut = Cut(pd.Period("2019Q4"), window=2, holdout=1, label_delay=0)
        >>> cut.fits([pd.Period("2019Q2"), pd.Period("2019Q4")]), cut.fits([pd.Period("2019Q3")])
        (True, False)
        """
        found = {(self.part(period), self.recalibrates(period)) for period in history}
        recent = {("train", True)} if self.recalibrate else set()
        return {("train", False), ("holdout", False), *recent} <= found

    def reference(self, history: Iterable[pd.Period]) -> list[pd.Period]:
        """The periods that later ones are compared with: all that the model may know, in the given order."""
        return [period for period in history if self.first <= period <= self.as_of]

    @property
    def first_news(self) -> pd.Period:
        """The first period with anything that the model cannot know: as of that, only its labels."""
        return self.as_of - self.label_delay + 1

    def is_news(self, period: pd.Period) -> bool:
        """Whether anything of a period is new to the model: its rows, or only its labels.

        >>> cut = Cut(pd.Period("2019Q4"), window=20, holdout=4, label_delay=1)
        >>> [cut.is_news(pd.Period(q)) for q in ("2019Q3", "2019Q4", "2020Q1")]
        [False, True, True]
        """
        return bool(period >= self.first_news)

    def news(self, history: Iterable[pd.Period]) -> list[pd.Period]:
        """The periods that are news, in the given order; none before a batch after `as_of` is there."""
        later = [period for period in history if self.is_news(period)]
        return later if any(period > self.as_of for period in later) else []
