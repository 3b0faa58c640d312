"""Where history is cut: which periods the model learns from, which measure it, and which it meets later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, Self

import pandas as pd

from perenne.common import periods
from perenne.common.contract import Contract
from perenne.common.names import PARAMS
from perenne.common.params import Split

Part = Literal["train", "holdout"]


class Cut(NamedTuple):
    """Where history is cut: `window` periods to learn from, then `holdout` periods up to `as_of`."""

    as_of: pd.Period
    window: int
    holdout: int
    label_delay: int

    @classmethod
    def of(cls, split: Split, contract: Contract, name: str = str(PARAMS)) -> Self:
        """The cut that the section `split` of a params.yaml describes; errors call that file `name`.

        Raises
        ------
        PerenneError
            If `split.as_of` is not a period of the contract.

        """
        as_of = periods.parse(split.as_of, contract.period, f"{name}: split.as_of")
        return cls(as_of, split.window, split.holdout, contract.label_delay)

    @property
    def known(self) -> pd.Period:
        """The last period of which anything may reach the training rows: the holdout begins after it."""
        return self.as_of - self.holdout

    @property
    def first(self) -> pd.Period:
        """The first period of the window."""
        return self.known - self.window + 1

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
        if self.first <= period and labelled <= self.known:
            return "train"
        if self.known < period and labelled <= self.as_of:
            return "holdout"
        return None

    def fits(self, history: Iterable[pd.Period]) -> bool:
        """Whether both parts have a batch: a period may have none, as on a day when the shop is closed.

        >>> cut = Cut(pd.Period("2019Q4"), window=2, holdout=1, label_delay=0)
        >>> cut.fits([pd.Period("2019Q2"), pd.Period("2019Q4")]), cut.fits([pd.Period("2019Q3")])
        (True, False)
        """
        return {"train", "holdout"} <= {self.part(period) for period in history}

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
