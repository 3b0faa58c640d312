"""What the model did not expect, row by row: the streams that are watched on matured labels.

A right model has worse days, and on weekends more events. So no stream is a loss or a rate: each is what came
less what the model's own scores promised. For a classifier that is ``(y - score) * weight``, with a weight
that the scores alone decide: 1 for the events, the log odds for the loss (log loss less entropy), the row's
pull on the AUC for the ranking. With several classes it is the sum of that over them: each class has events
of its own, the weight for the loss is -log(score), and the ranking is that of each class against the rest, on
average. Ordinary life (weekdays, seasons, another mix of rows) cancels. For a regression it is the error
beside the size that errors of its kind had on validation.

References
----------
Cox 1958, Two further applications of a model for binary regression, Biometrika 45 (too many or too few;
slope). DeGroot & Fienberg 1983, The comparison and evaluation of forecasters, The Statistician 32 (log loss
and its expectation). DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44 (a row's pull on the AUC).

"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import predicted
from perenne.common.contract import Contract
from perenne.stats.deviation import Sums, pairs
from perenne.stats.metrics import Array, one_hot
from perenne.watch.error_scale import ErrorScale

Places = npt.NDArray[np.intp]

ENOUGH = 10  # events expected in a batch, or blocks of such: fewer tell nothing, and wait for the next one
SUREST = 0.001  # scores nearer to 0 or 1 weigh in the loss as this one: a single row must not decide


class Rows(NamedTuple):
    """What each row adds to a stream; all of shape (rows,).

    ``residuals`` over ``sizes``, both summed, is the deviation. ``variances`` and ``cubes`` are the central
    moments of the residuals if the model is right, ``events`` how many of the rarer outcome are expected.
    """

    residuals: Array
    sizes: Array
    variances: Array
    cubes: Array
    events: Array

    def sums(self, places: Places | None = None, blocks: Places | None = None) -> Sums:
        """The sums over all rows, or those at some positions; `blocks` are the numbers of all rows'."""
        own = self if places is None else Rows(*(each[places] for each in self))
        sums = Sums(*(float(each.sum()) for each in own))
        if blocks is None:
            return sums
        return sums._replace(pairs=pairs(own.variances, blocks if places is None else blocks[places]))


class Subject(NamedTuple):
    """What a stream is about: `bias`, `loss`, `ranking` or `tails`; and of several classes which one, if one.

    ``of_class`` is None for all of them together, and where there are not several.
    """

    rows: str
    of_class: str | None = None


def rows_of(rows: pd.DataFrame, contract: Contract, scale: ErrorScale | None) -> dict[Subject, Rows]:
    """What the labelled rows of a batch add to each stream of the task.

    Parameters
    ----------
    rows
        Rows of the contract, all with labels, with their predictions.
    contract
        What the rows are.
    scale
        Of the errors of a regression; None for a classifier.

    Returns
    -------
    `bias` (of each of several classes), `loss` and `ranking`, or `bias`, `loss` and `tails` for a regression.

    """
    if scale is not None:
        return {Subject(name): each for name, each in regressed(*scale.errors(rows), scale).items()}
    y, scores = predicted.outcomes(rows, contract), predicted.scores(rows, contract)
    if scores.ndim == 1:
        return {Subject(name): each for name, each in classified(y, scores).items()}
    return several(one_hot(y.astype(np.intp), scores.shape[1]), scores, contract.classes)


def classified(y: Array, score: Array) -> dict[str, Rows]:
    """What each row adds, of a classifier whose scores are probabilities.

    Parameters
    ----------
    y, score
        Outcomes, 0 or 1, and probabilities, shape (rows,).

    Returns
    -------
    `bias` in shares of the events expected, `loss` in shares of the dummy's, `ranking` in AUC.

    """
    n, expected = len(y), float(score.sum())
    events = np.minimum(score, 1 - score) if not n else _rarer(score)
    unexpected, variance = y - score, score * (1 - score)
    third = variance * (1 - 2 * score)

    def weighed(weight: Array | float, size: Array, more: float = 0.0) -> Rows:
        weight = np.broadcast_to(weight, (n,)).astype(np.float64)
        return Rows(unexpected * weight + more, size, variance * weight**2, third * weight**3, events)

    sure = score.clip(SUREST, 1 - SUREST)
    mean = expected / n if n else 0.5
    dummy = -(mean * math.log(mean) + (1 - mean) * math.log(1 - mean)) if 0 < mean < 1 else math.nan
    found = {"bias": weighed(1.0, score), "loss": weighed(-np.log(sure / (1 - sure)), np.full(n, dummy))}
    positives = float(y.sum())
    if 0 < positives < n and 0 < expected < n:
        pull, fall = _ranked(y, score)
        # To first order the fall is the sum of -(y - score) * pull; what is missing is spread over all rows.
        found["ranking"] = weighed(-pull, np.ones(n), fall + float(np.sum(unexpected * pull)) / n)
    else:
        found["ranking"] = weighed(0.0, np.zeros(n))
    return found


def several(
    came: Array, scores: Array, classes: Sequence[str | int], *, chances: Array | None = None
) -> dict[Subject, Rows]:
    """What each row adds, of a classifier of several classes.

    Parameters
    ----------
    came, scores
        What came, 1 or 0 for each class (or the chance of it), and probabilities, shape (rows, classes).
    classes
        Their names.
    chances
        By which the moments are, where they are not by the scores, shape (rows, classes).

    Returns
    -------
    `bias` of each class in shares of its expected rows, `loss` in shares of the dummy's, `ranking` in AUC,
    the mean over classes, each against the rest. If only two classes ever come, `loss` and `ranking` are
    those of :func:`classified`.

    """
    n, chances = len(came), scores if chances is None else chances
    unexpected = came - scores
    shares = scores.mean(axis=0)
    rarer = 1 - scores[:, np.argmax(shares)]

    def weighed(weights: Array, size: Array, more: float = 0.0) -> Rows:
        off = weights - np.sum(chances * weights, axis=1, keepdims=True)
        variances, cubes = (np.sum(chances * off**power, axis=1) for power in (2, 3))
        return Rows(np.sum(unexpected * weights, axis=1) + more, size, variances, cubes, rarer)

    found: dict[Subject, Rows] = {}
    for k, name in enumerate(classes):
        score, variance = scores[:, k], chances[:, k] * (1 - chances[:, k])
        third = variance * (1 - 2 * chances[:, k])
        found[Subject("bias", str(name))] = Rows(unexpected[:, k], score, variance, third, _rarer(score))
    dummy = -float(np.sum(shares * np.log(np.where(shares > 0, shares, 1.0))))
    found[Subject("loss")] = weighed(-np.log(scores.clip(SUREST, 1 - SUREST)), np.full(n, dummy))
    ranked = _ranking(scores)
    pulls, more = _average_ranking(came, scores, ranked)
    found[Subject("ranking")] = weighed(-pulls, np.full(n, float(len(ranked) > 0)), more)
    return found


def _ranking(scores: Array) -> list[int]:
    """The places of the classes whose ranking counts: of which the scores expect enough, or half of the most.

    The AUC of a class of two rows is luck, and would hide that of the others.
    """
    fewer = _fewer(scores)
    return [int(k) for k in np.flatnonzero((fewer > 0) & (fewer >= min(ENOUGH, fewer.max() / 2)))]


def _fewer(scores: Array) -> Array:
    """How many rows are expected of each class, or of the others if those are fewer."""
    expected = scores.sum(axis=0)
    return np.asarray(np.minimum(expected, len(scores) - expected))


def _average_ranking(came: Array, scores: Array, ranked: Sequence[int]) -> tuple[Array, float]:
    """Each row's pulls on the mean AUC of some classes, and what of its fall they miss.

    Of a class of few rows the first order counts alone, whose variance is known.
    """
    n, fewer, count = len(scores), _fewer(scores), max(len(ranked), 1)
    pulls, missed = np.zeros_like(scores), 0.0
    for k in ranked:
        pulls[:, k], fall = _ranked(came[:, k], scores[:, k])
        if fewer[k] >= ENOUGH and not math.isnan(fall):
            missed += fall + float(np.sum((came[:, k] - scores[:, k]) * pulls[:, k])) / n
    return pulls / count, missed / count


def _rarer(score: Array) -> Array:
    return score if score.mean() <= 0.5 else 1 - score


def _ranked(y: Array, score: Array) -> tuple[Array, float]:
    """Each row's pull on the AUC times the number of rows, and by how much the AUC is below its promise.

    The latter is NaN if one outcome did not come.
    """
    n = len(y)
    _, place = np.unique(score, return_inverse=True)

    def auc(positive: Array, negative: Array) -> tuple[float, Array, Array]:
        up, down = np.bincount(place, positive), np.bincount(place, negative)
        below, above = np.cumsum(down) - down / 2, np.cumsum(up) - up / 2
        p, q = float(up.sum()), float(down.sum())
        return float(np.sum(up * below)) / (p * q), below[place] / q, 1 - above[place] / p

    promised, as_positive, as_negative = auc(score, 1 - score)
    p, q = float(score.sum()), n - float(score.sum())
    pull: Array = n * ((as_positive - promised) / p - (as_negative - promised) / q)
    return pull, promised - auc(y, 1 - y)[0] if 0 < y.sum() < n else math.nan


def regressed(error: Array, size: Array, scale: ErrorScale) -> dict[str, Rows]:
    """What each row adds, of a regression.

    Parameters
    ----------
    error, size
        What came less what was predicted, and the size of such errors on validation, in the target's unit,
        shape (rows,).
    scale
        What validation says of the errors.

    Returns
    -------
    `bias` in standard deviations of the target, `loss` as the mean place among the errors of validation less
    one half, `tails` as the share of errors beyond the limit.

    """
    n = len(error)
    standard = np.abs(error) / size
    one = np.ones(n)
    cut = np.sign(error) * np.minimum(standard, scale.far) * size / scale.unit
    typical = float(np.mean(np.minimum(scale.standard, scale.far) ** 2))
    beyond = (standard > scale.tail).astype(np.float64)
    rare = scale.beyond(1.0)
    chance = rare * (1 - rare)
    return {
        "bias": Rows(cut, one, typical * (size / scale.unit) ** 2, np.zeros(n), one),
        "loss": Rows(scale.place(standard) - 0.5, one, np.full(n, 1 / 12), np.zeros(n), one),
        "tails": Rows(
            beyond - rare, one, np.full(n, chance), np.full(n, chance * (1 - 2 * rare)), np.full(n, rare)
        ),
    }


class StreamKind(NamedTuple):
    """One thing that can go wrong on matured labels, and in which direction.

    ``rows`` names the entry of :func:`rows_of`, ``sign`` the direction in which it is wrong, ``share`` its
    part of the false alarms.
    """

    name: str
    rows: str
    sign: int
    share: float


STREAMS: Mapping[str, StreamKind] = {
    kind.name: kind
    for kind in (
        StreamKind("above", "bias", 1, 1 / 4),
        StreamKind("below", "bias", -1, 1 / 4),
        StreamKind("loss", "loss", 1, 1 / 8),
        StreamKind("ranking", "ranking", 1, 1 / 8),
        StreamKind("tails", "tails", 1, 1 / 8),
    )
}
"""By the name that reports and the task use; the last quarter of the false alarms is for slices."""

SLICES = 1 / 4  # of the false alarms: too many or too few events in a slice
