"""How history is cut: which period a batch is of, when labels come, and what is trained and judged on."""

from __future__ import annotations

import math
from typing import NamedTuple, get_args

import pandas as pd

from perenne.common import periods
from perenne.common.errors import PerenneError
from perenne.common.periods import Unit

LEAST_BATCHES = 12  # of the longest unit that would do
ROWS, EVENTS = 24, 10  # of a batch, at the least: fewer are too few to tell. A day has as many hours
CURRENT, HOLDOUT = 0.2, 0.2  # of the batches
LEAST = 4  # batches: two to learn from and to measure by, one to judge on, one that is new
ORDERED = 20  # batches of rows without a time
EMPTY = 0.5  # of a late batch's labels are missing, beyond what is usual


class Batching(NamedTuple):
    """What a unit would give: how many batches, and the median of their rows and of the rarer class.

    `span` is how many periods there are from the first batch to the last.
    """

    unit: Unit
    batches: int
    rows: float
    events: float | None
    span: int = 0

    @property
    def enough(self) -> bool:
        """Whether a batch can tell anything."""
        return self.rows >= ROWS and (self.events is None or self.events >= EVENTS)


class Cutting(NamedTuple):
    """How history is cut, in periods, and what that leaves.

    `learned` and `judged` are the rows with labels in window and holdout, `events` those of the rarer class
    among the latter; None for a quantity. Of several `classes`, `fewest` rows are learned from at least.
    """

    as_of: pd.Period
    through: pd.Period
    window: int
    holdout: int
    label_delay: int
    learned: int
    judged: int
    events: int | None
    classes: int = 0
    fewest: int = 0

    def parts(self, of: pd.Series, labelled: pd.Series) -> tuple[pd.Series, pd.Series]:
        """Which rows are learned from, and which are judged on; shape (n,) each.

        Parameters
        ----------
        of, labelled
            The period of a row, and whether it has a label, shape (n,).

        """
        begins, ends = self.as_of - self.holdout, self.as_of - self.label_delay
        return labelled & (of <= begins - self.label_delay), labelled & (of > begins) & (of <= ends)


class Wanted(NamedTuple):
    """What a history may be cut by.

    The units that its rows allow, that which the user names, whose clocks count, and what errors call it.
    """

    among: tuple[Unit, ...]
    unit: Unit | None
    zone: str | None
    name: str


class History(NamedTuple):
    """The units that were weighed, the one that was chosen, and how history is cut by it."""

    units: list[Batching]
    chosen: Batching
    cut: Cutting


def history(
    times: pd.Series, y: pd.Series, rare: pd.Series | None, wanted: Wanted, *, several: bool = False
) -> History:
    """Choose a unit of time, and cut history by it.

    Parameters
    ----------
    times, rare
        As for `batchings`.
    y
        The target, shape (n,).
    wanted
        By what it may be cut.
    several
        Whether there are more than two classes: then `classes.cut` looks for each of them in the parts.

    Raises
    ------
    PerenneError
        If the history is too short.

    """
    units = [one for one in batchings(times, rare, wanted.zone) if one.unit in wanted.among]
    one = chosen(units, wanted.unit, wanted.name)
    cut = cutting(times, y.notna(), None if several else rare, one.unit, wanted.zone)
    return History(units, one, cut)


def batchings(times: pd.Series, rare: pd.Series | None, zone: str | None) -> list[Batching]:
    """What each unit would give, the shortest first.

    Parameters
    ----------
    times
        Of rows, as `periods.times` returns them, shape (n,).
    rare
        Whether a row is of the rarer class, shape (n,); None for a quantity.
    zone
        Whose clocks cut time into periods.

    """
    found = []
    for unit in get_args(Unit):
        of = periods.of(times, unit, zone)
        rows = of.value_counts()
        events = None if rare is None else float(rare.groupby(of).sum().median())
        span = (rows.index.max() - rows.index.min()).n + 1
        found.append(Batching(unit, len(rows), float(rows.median()), events, span))
    return found


def chosen(found: list[Batching], wished: Unit | None, name: str) -> Batching:
    """The longest unit of which there are twelve batches or more, if a batch of it can tell something.

    If not, the shortest that can; as long as four batches are left.

    Parameters
    ----------
    found
        The units, the shortest first.
    wished
        What the user has said.
    name
        What an error calls the files.

    Raises
    ------
    PerenneError
        If the history is too short.

    """
    if wished is not None:
        found = [one for one in found if one.unit == wished]
    whole = [one for one in found if one.batches >= LEAST]
    if not whole:
        # Years are also that many hours: the longest unit says it best.
        most = [found[0], *(one for one in found if 1 < one.batches == found[0].batches)][-1]
        lie = f"its times lie in {most.batches} {most.unit}{'s' * (most.batches != 1)}"
        remedy = "give it a longer history" if wished is None else "a shorter period would do"
        raise PerenneError(f"{name}: {lie}; a history needs {LEAST} batches at least: {remedy}")
    # Rows of the first days of quarters are quarters, though there are as many hours.
    gapless = {one.batches: one for one in whole if one.span == one.batches}
    whole = [one for one in whole if gapless.get(one.batches, one) == one]
    many = [one for one in whole if one.batches >= LEAST_BATCHES]
    if many and many[-1].enough:
        return many[-1]
    enough = [one for one in whole if one.enough]
    return enough[0] if enough else many[-1] if many else whole[0]


def cutting(
    times: pd.Series, labelled: pd.Series, rare: pd.Series | None, unit: Unit, zone: str | None
) -> Cutting:
    """How the batches of a unit are cut.

    A fifth of them is new to the model, so that drift has something to say; a fifth is judged on.

    Parameters
    ----------
    times, rare, zone
        As for `batchings`.
    labelled
        Whether a row has a label, shape (n,).
    unit
        Of which a batch is.

    Raises
    ------
    PerenneError
        If labels come too late for so short a history, or a part of it has too few rows.

    """
    of = periods.of(times, unit, zone)
    last = of.max()
    delay = _delay(labelled.groupby(of).mean(), last)
    first = of[labelled].min()  # nothing is learned from what lies before the first label
    total = (last - first).n + 1
    known = total - delay
    holdout = max(1, round(HOLDOUT * known)) + delay
    new = min(max(1, round(CURRENT * known)), total - holdout - delay - 1)  # a window has labels, too
    if new < 0:
        raise PerenneError(
            f"labels of the last {delay} {unit}s are missing: a history of {total} is too short for that, "
            f"at least {2 * delay + 2} would do"
        )
    as_of = last - new
    cut = Cutting(as_of, last, total - new - holdout, holdout, delay, 0, 0, None)
    learned, judged = cut.parts(of, labelled)
    for part, what in ((learned, "learned from"), (judged, "judged on")):
        many, few = int(part.sum()), None if rare is None else int((rare & part).sum())
        if not many or few in (0, many):
            has = f"{many:,} rows with a label" + (
                f", {few:,} of them of the rarer class" if few is not None else ""
            )
            gaps = total - of.nunique()
            remedy = (
                _gaps(first, last, gaps) if gaps > total / 2 else "give it more rows, or another --period"
            )
            raise PerenneError(
                f"of its {total:,} {unit}s those to be {what} have {has}; both need some of each: {remedy}"
            )
    events = None if rare is None else int((rare & judged).sum())
    return cut._replace(learned=int(learned.sum()), judged=int(judged.sum()), events=events)


def _gaps(first: pd.Period, last: pd.Period, empty: int) -> str:
    """What to do where most of a history has no rows."""
    return (
        f"{empty:,} from {first} to {last} have no rows: leave out rows whose time cannot be right, or "
        "those before a long gap"
    )


def _delay(share: pd.Series, last: pd.Period) -> int:
    """In how many of the last periods most labels are missing that are there otherwise."""
    usual = float(share[: max(1, len(share) // 2)].median())
    late = 0
    while late < len(share) // 2 and share.get(last - late, usual) < EMPTY * usual:
        late += 1
    return late


def in_order(rows: int, events: int | None, *, several: bool = False) -> int:
    """How many rows without a time make a batch: a twentieth, and enough to tell something.

    Of several classes the rarest has not to be in each batch, where that would leave too few of them.

    >>> in_order(569, 212), in_order(100_000, 20), in_order(1000, 20, several=True)
    (29, 50000, 200)
    """
    share = 1.0 if events is None else max(events, 1) / rows
    wanted = 0 if events is None else EVENTS / share
    most = rows / (LEAST + 1) if several else math.inf
    return math.ceil(max(rows / ORDERED, ROWS, min(wanted, most)))
