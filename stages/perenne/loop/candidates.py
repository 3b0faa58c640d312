"""Which models a retraining offers to the gate. No I/O: `perenne retrain` and `perenne replay` ask the same.

The window of params.yaml is one. Where a change was dated, it still holds the old world for as long as it is
long, so the window that begins with the change is another, and the first to be judged. What is offered has
learned from the new world more than from the old: a model of the old one, newly trained, is no remedy, and
each look at a holdout leaves less of its alpha to those that are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from perenne.common.cut import Cut

MOST_MEASURED = 0.75  # of what is labelled since the change; one period teaches more than one measures
LEAST_MEASURED = 0.25  # of the periods that the holdout of params.yaml measures on


class Candidate(NamedTuple):
    """A model to be trained: where history is cut for it, and why there."""

    cut: Cut
    name: str


def candidates(now: Cut, since: pd.Period | None = None, oldest: pd.Period | None = None) -> list[Candidate]:
    """The candidates of an `as_of`, the most promising first; none where it is too early for any.

    Parameters
    ----------
    now
        The cut of params.yaml with `as_of` moved.
    since
        The first period of the new world, where a decision names one.
    oldest
        The first period that the champion learned from: if it began with a change, no window goes back
        before that, but grows from there to its full length.

    Examples
    --------
    >>> now = Cut(pd.Period("2021Q4"), window=20, holdout=4, label_delay=1)
    >>> [(c.cut.window, c.cut.holdout, c.name) for c in candidates(now, pd.Period("2020Q4"))]
    [(2, 3, 'since 2020Q4')]
    >>> [(c.cut.window, c.cut.holdout, c.name) for c in candidates(now)]
    [(20, 4, 'the window')]

    """
    return list(_candidates(now, since, oldest))


def _candidates(now: Cut, since: pd.Period | None, oldest: pd.Period | None) -> Iterator[Candidate]:
    whole = now
    if oldest is not None:
        whole = now._replace(window=min(now.window, (now.known - oldest).n + 1))
    if since is not None:
        cut = from_change(now, since)
        if cut and cut.window < whole.window:
            yield Candidate(cut, f"since {since}")
    last = now.known - now.label_delay
    new = whole.window if since is None else min((last - since).n + 1, whole.window)
    if whole.window > now.label_delay and new > (whole.window - now.label_delay) / 2:
        yield Candidate(whole, "the window")


def from_change(now: Cut, since: pd.Period) -> Cut | None:
    """The cut whose window begins with the change; None while there are too few labels since then.

    What there is is shared out so that the most measures, up to the holdout of params.yaml: a model that
    learned little and is good can be proven so, one that cannot be measured is not released. Less than a
    quarter of that holdout proves hardly anything, and a look at it would be wasted.
    """
    delay = now.label_delay
    labelled = (now.as_of - delay - since).n + 1
    if labelled < least_labelled(now):
        return None
    holdout = min(int(MOST_MEASURED * (labelled - delay)), now.holdout - delay) + delay
    return Cut(now.as_of, (now.as_of - holdout - since).n + 1, holdout, delay)


def least_labelled(now: Cut) -> int:
    """Labelled periods since a change that it takes to train a model and to measure it."""
    least = math.ceil(LEAST_MEASURED * (now.holdout - now.label_delay))
    return now.label_delay + max(math.ceil(least / MOST_MEASURED), least + 1)


def first_as_of(now: Cut, since: pd.Period) -> pd.Period:
    """The first `as_of` at which a model that begins with the change can be both trained and measured."""
    return since + now.label_delay + least_labelled(now) - 1
