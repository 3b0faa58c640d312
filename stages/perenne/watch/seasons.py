"""Which periods of the reference are like a period: the same time of the year, the same weekday and hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd


class Cycle(NamedTuple):
    """How periods of one length go round.

    `year` is how many make a year, `least` how many make a season that can be compared with, and `widest` how
    many steps (of a period; of a week, if that is longer) a season may reach to either side to have so many.
    """

    year: int
    least: int
    widest: int


CYCLES = {
    "Y-DEC": Cycle(1, least=1, widest=0),  # every year is like every other
    "Q-DEC": Cycle(4, least=2, widest=1),
    "M": Cycle(12, least=2, widest=1),
    "W-SUN": Cycle(52, least=6, widest=3),
    "D": Cycle(365, least=6, widest=3),
    "h": Cycle(8760, least=6, widest=3),
}
YEAR = 365.25  # days
DAYS, HOURS, WEEKS = 21, 96, 28 * 24  # of reference: as many tell weekdays, hours, and hours of the week
MOST = 60  # periods that are compared with those like them; of more, a sample in equal steps


class Seasons:
    """The periods of a reference, and which of them another period is to be compared with.

    With a year of reference or more these are the periods of the same season: the same month or quarter, or
    the weeks around the same day of the year. A season reaches to its neighbours where it would otherwise
    have too few periods, as with one year only. Days are compared with the same weekday and hours with the
    same hour, of the same weekday if the reference has four weeks; they need no year for that.

    Parameters
    ----------
    periods
        Of the reference, in any order; all of one length.
    span
        The periods of the whole reference, if `periods` are only those that have the column in question: it
        says whether there are seasons at all. None: the same.

    Examples
    --------
    >>> months = Seasons(pd.period_range("2020-01", "2022-12", freq="M"))
    >>> [str(month) for month in months.like(pd.Period("2023-02"))]
    ['2020-02', '2021-02', '2022-02']
    >>> year = Seasons(pd.period_range("2020-01", "2020-12", freq="M"))
    >>> [str(month) for month in year.like(pd.Period("2023-01"))]
    ['2020-01', '2020-02', '2020-12']

    """

    def __init__(self, periods: Iterable[pd.Period], span: Sequence[pd.Period] | None = None) -> None:
        self.periods = sorted(periods)
        whole = sorted(span or self.periods)
        self._unit = whole[0].freqstr
        self._cycle = CYCLES[self._unit]
        length = (whole[-1] - whole[0]).n + 1
        self.yearly = length >= self._cycle.year
        self._short = _short(self._unit, length)
        self._place = self._places(self.periods)
        self._names = _rounds(self.periods, self._short)
        self._reach = 0
        while self.yearly and self._reach < self._cycle.widest and self._fewest() < self._cycle.least:
            self._reach += 1

    @property
    def seasonal(self) -> bool:
        """Whether periods are compared with some of the reference only."""
        return self.yearly or self._short is not None

    def like(self, period: pd.Period, *, but: pd.Period | None = None) -> list[pd.Period]:
        """The periods of the reference that `period` is compared with, without `but`; none is possible."""
        near = (self.periods[place] for place in np.flatnonzero(self._near(period)))
        return [one for one in near if one != but]

    def sizes(self, rows: Mapping[pd.Period, int]) -> list[int]:
        """How many rows the periods like each of the reference's have together, itself among them."""
        counts = np.array([rows[period] for period in self.periods])
        seasons = list(zip(self._names.tolist(), self._place.tolist(), strict=True))
        one_of = dict(zip(seasons, self.periods, strict=True))
        size = {season: int(counts[self._near(period)].sum()) for season, period in one_of.items()}
        return [size[season] for season in seasons]

    def lacks(self, period: pd.Period) -> str:
        """Return what season of a period the reference does not have, such as `December`; "" if it has it.

        >>> half = Seasons(pd.period_range("2020-01", "2020-06", freq="M"))
        >>> half.lacks(pd.Period("2020-12")), half.lacks(pd.Period("2021-02"))
        ('December', '')
        """
        whole, reach = self._round
        apart = np.abs(self._place - self._places([period])[0])
        if self.yearly or np.any(np.minimum(apart, whole - apart) <= reach + 0.5):
            return ""
        if self._unit in ("Q-DEC", "M"):
            return f"Q{period.quarter}" if self._unit == "Q-DEC" else str(period.strftime("%B"))
        return "such time of the year"

    @property
    def _round(self) -> tuple[float, int]:
        """A year, and how far a season reaches at the most, in what :meth:`_places` counts."""
        if self._unit in ("Q-DEC", "M"):
            return self._cycle.year, 0
        return YEAR / 7, self._cycle.widest

    @cached_property
    def folds(self) -> list[tuple[pd.Period, list[pd.Period]]]:
        """Each period of the reference with the others that are like it; at most `MOST` of them."""
        step = -(-len(self.periods) // MOST)
        pairs = [(one, self.like(one, but=one)) for one in self.periods[::step]]
        return [(one, others) for one, others in pairs if others]

    def degrees(self) -> float:
        """How many independent differences between like periods :attr:`folds` make."""
        return sum(len(others) / (len(others) + 1) for _, others in self.folds)

    def _fewest(self) -> int:
        step = -(-len(self.periods) // MOST)
        return min(int(self._near(one).sum()) for one in self.periods[::step])

    def _near(self, period: pd.Period) -> npt.NDArray[np.bool_]:
        near = np.ones(len(self.periods), dtype=bool)
        if self._short is not None:
            near &= self._names == _rounds([period], self._short)[0]
        if self.yearly:
            whole, _ = self._round
            apart = np.abs(self._place - self._places([period])[0])
            near &= np.minimum(apart, whole - apart) <= self._reach + 0.5
        return near

    def _places(self, periods: Sequence[pd.Period]) -> npt.NDArray[np.float64]:
        """Return the place in the year: the number of a quarter or month, else weeks with a fraction."""
        match self._unit:
            case "Q-DEC":
                places = [float(period.quarter) for period in periods]
            case "M":
                places = [float(period.month) for period in periods]
            case _:
                places = [(p.start_time + (p.end_time - p.start_time) / 2).dayofyear / 7 for p in periods]
        return np.array(places, dtype=np.float64)


def _short(unit: str, length: int) -> str | None:
    """Return by what days or hours repeat within the year, None if a reference of this length cannot tell."""
    if unit == "D" and length >= DAYS:
        return "%w"
    if unit == "h" and length >= HOURS:
        return "%w %H" if length >= WEEKS else "%H"
    return None


def _rounds(periods: Sequence[pd.Period], short: str | None) -> npt.NDArray[np.str_]:
    return np.array([period.strftime(short) if short else "" for period in periods], dtype=np.str_)
