"""Which models a retraining offers to the gate. No I/O: `perenne retrain` and `perenne replay` both use it.

One candidate has the window of params.yaml. If a change was dated, that window contains data from before the
change for a long time, so another candidate begins with the change, and is judged first. A candidate is only
offered if most of its training data are from after the change: a new model of the old data does not help,
and each look at a holdout uses up some of its alpha.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import NamedTuple

import pandas as pd

from perenne.common.cut import Cut

MOST_MEASURED = 0.75  # of the labelled periods since the change; the window gets the rest
LEAST_MEASURED = 0.25  # of the periods that the holdout of params.yaml measures on


class Candidate(NamedTuple):
    """A model to be trained: where history is cut for it, and a name that says why."""

    cut: Cut
    name: str


def candidates(
    now: Cut,
    since: pd.Period | None = None,
    oldest: pd.Period | None = None,
    history: Collection[pd.Period] | None = None,
) -> list[Candidate]:
    """The candidates of an `as_of`, the most promising first; none if it is too early for any.

    Parameters
    ----------
    now
        The cut of params.yaml with `as_of` moved.
    since
        The first period after the change, if the decision has one.
    oldest
        The first period of the champion's window. No window begins before it: after a change, windows grow
        from there to their full length.
    history
        The periods that have a batch; None: all. No candidate is without any to learn from or to be measured
        on.

    Examples
    --------
    >>> now = Cut(pd.Period("2021Q4"), window=20, holdout=4, label_delay=1)
    >>> [(c.cut.window, c.cut.holdout, c.name) for c in candidates(now, pd.Period("2020Q4"))]
    [(2, 3, 'since 2020Q4')]
    >>> [(c.cut.window, c.cut.holdout, c.name) for c in candidates(now)]
    [(20, 4, 'the window')]

    """
    offered = _candidates(now, since, oldest)
    return [candidate for candidate in offered if history is None or candidate.cut.fits(history)]


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

    Most of the labelled periods go to the holdout, up to its length in params.yaml: a good model that was
    trained on little data can be shown to be good, but one that cannot be measured is not released. With less
    than a quarter of that holdout hardly anything can be shown, and the look would be wasted.
    """
    delay = now.label_delay
    labelled = (now.as_of - delay - since).n + 1
    if labelled < least_labelled(now):
        return None
    holdout = min(int(MOST_MEASURED * (labelled - delay)), now.holdout - delay) + delay
    return Cut(now.as_of, (now.as_of - holdout - since).n + 1, holdout, delay)


def least_labelled(now: Cut) -> int:
    """How many labelled periods since a change are needed to train a model and to measure it."""
    least = math.ceil(LEAST_MEASURED * (now.holdout - now.label_delay))
    return now.label_delay + max(math.ceil(least / MOST_MEASURED), least + 1)


def first_as_of(now: Cut, since: pd.Period) -> pd.Period:
    """The earliest `as_of` at which a model that begins with the change can be trained and measured."""
    return since + now.label_delay + least_labelled(now) - 1
