"""Which models a retraining offers to the gate. No I/O: `perenne retrain` and `perenne replay` both use it.

The repair ladder, cheapest first. If a change was dated:

- *recalibrated*: the champion as it is, its scores corrected by what came since the change;
- *since the change*: a model of what came since then alone. Both are measured on the same rows, by validation
  within what came since, and the second goes first if it is better there (`improves`).

Then the window of params.yaml, and all that came since the champion's own beginning, if that is longer. Both
contain data from before the change for a long time, so they are only offered if most of their training data
are from after it, or if they have at least twice as many periods as the champion learned from: a new model of
the same old data does not help, and each look at a holdout uses up some of its alpha. A champion that began
with an earlier change has learned from little, and more of the same world helps it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common import predicted
from perenne.common.block import Block, declared, labels_of
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.documents.decision import OfferedCut
from perenne.stats import paired
from perenne.stats.influence import INFLUENCE
from perenne.stats.sharing import coded

MOST = 3  # candidates: four would be as one more look for each of them
RICHER = 2  # times what the champion learned from: then more data of its own world are a remedy, too


class Candidate(NamedTuple):
    """A model to be trained: where history is cut for it, a name that says why, and its params.

    `rule` is the cut of its params without the change, `since` the first period after that.
    """

    cut: Cut
    name: str
    rule: Cut
    since: pd.Period | None = None

    @property
    def recalibrated(self) -> str | None:
        """The window of the older model whose scores are corrected, as params.yaml has it."""
        return f"{self.cut.first}..{self.cut.learned}" if self.cut.recalibrate else None


def candidates(
    now: Cut,
    since: pd.Period | None = None,
    champion: Cut | None = None,
    history: Collection[pd.Period] | None = None,
) -> list[Candidate]:
    """The candidates of an `as_of`, the cheapest first; none if it is too early for any.

    Parameters
    ----------
    now
        The cut of params.yaml as if there had been no change, with `as_of` moved.
    since
        The first period after the change, if the decision has one.
    champion
        The cut of the model in use. No window begins before its own, or before what it was recalibrated by:
        after a change, windows grow from there.
    history
        The periods that have a batch; None: all. No candidate is without any to learn from or to be measured
        on.

    Examples
    --------
    >>> now = Cut(pd.Period("2021Q4"), window=20, holdout=4, label_delay=1)
    >>> champion = Cut(pd.Period("2019Q4"), window=20, holdout=4, label_delay=1)
    >>> for c in candidates(now, pd.Period("2020Q4"), champion):
    ...     print(c.name, *c.cut[1:])
    recalibrated since 2020Q4 20 3 1 2 7
    since 2020Q4 2 3 1 0 0
    >>> [(c.cut.window, c.cut.holdout, c.name) for c in candidates(now)]
    [(20, 4, 'the window')]

    """
    offered = _candidates(now, since, champion)
    fitting = [candidate for candidate in offered if history is None or candidate.cut.fits(history)]
    return fitting[:MOST]


def _candidates(now: Cut, since: pd.Period | None, champion: Cut | None) -> Iterator[Candidate]:
    oldest = None if champion is None else began(champion)
    longest = now.window if oldest is None else (now.known - oldest).n + 1
    short = oldest is not None and longest < now.window
    whole = now.from_change(oldest) if short and oldest is not None else now
    most = now.window if whole is None else whole.window
    if since is not None:
        cut = now.from_change(since)
        if cut and champion and champion.learned < since:
            older = cut.recalibrating(champion.first, champion.learned)
            yield Candidate(older, f"recalibrated since {since}", now, since)
        if cut and cut.window < most:
            yield Candidate(cut, f"since {since}", now, since)
    if whole is None:
        return
    last = whole.known - now.label_delay
    new = most if since is None else min((last - since).n + 1, most)
    richer = champion is not None and not champion.recalibrate and most >= RICHER * champion.window
    if most > now.label_delay and (richer or new > (most - now.label_delay) / 2):
        yield Candidate(whole, "the window", now, oldest if short else None)
        if longest > now.window:
            everything = now._replace(window=longest)
            yield Candidate(everything, f"all since {oldest}", everything)


def began(champion: Cut) -> pd.Period:
    """The first period of what the champion rests on: of its window, or of what it was recalibrated by."""
    return champion.known - champion.recalibrate + 1 if champion.recalibrate else champion.first


def rivals(offered: Sequence[Candidate] | Sequence[OfferedCut]) -> bool:
    """Whether the first two candidates are measured on the same rows: a recalibration, and a new model."""
    if len(offered) < 2:
        return False
    first, second = offered[:2]
    return bool(first.recalibrated and not second.recalibrated and second.since == first.since)


def improves(first: pd.DataFrame, second: pd.DataFrame, contract: Contract) -> bool:
    """Whether a model is better than a cheaper one on validation, by more than one standard error.

    Parameters
    ----------
    first, second
        The validation of the cheaper one and of the other: labelled rows with their predictions, both of the
        same training rows in the same order; of the second the first of them may be missing.
    contract
        What the rows are.

    Returns
    -------
    bool
        False if they cannot be compared.

    """
    common = first[first[contract.time] >= second[contract.time].min()]
    y = predicted.outcomes(second, contract)
    if len(common) != len(second) or not np.array_equal(predicted.outcomes(common, contract), y):
        return False
    loss = contract.task.loss
    codes, count = coded(labels_of(second, contract, declared(contract) or Block()))
    mine, other = (INFLUENCE[loss](y, predicted.scores(rows, contract)) for rows in (second, common))
    gain = paired.gain(loss, mine, other, codes, count)
    return gain.value > gain.error
