"""Worlds in which a model is right: outcomes drawn from its own scores. No label of a holdout is needed.

What rows of a block share is measured on validation rows: without it, days that are bad as a whole would be
taken for many independent flights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from perenne.common import predicted
from perenne.common.block import Block, labels_of
from perenne.common.contract import Contract
from perenne.common.task import Task
from perenne.stats.sharing import coded

Array = npt.NDArray[np.float64]
EDGE = 1e-12  # a score of 0 or 1 has no logit
PULL = 256 * 3 / (225 * np.pi**2)  # of a logit by the variance of a normal effect: Zeger, Liang & Albert 1988


class Scatter(NamedTuple):
    """How outcomes scatter around scores that are right.

    `shared` is the standard deviation of what all rows of a block share: of the logit where the target has
    classes (of several, of the log odds of each, by itself), else in the unit of the target. `alone` are
    residuals of single rows, shape (n,), whose mean is 0 and which lack that part; empty where the target has
    classes.
    """

    shared: float
    alone: Array


UNKNOWN = Scatter(0.0, np.array([]))  # nothing was measured: rows are taken for independent


def scatter(rows: pd.DataFrame, contract: Contract, block: Block) -> Scatter:
    """Return how outcomes scatter around a model's predictions, by the method of moments.

    Parameters
    ----------
    rows
        Labelled rows of the contract with their predictions, of rows that the model did not learn from.
    contract
        Names the target.
    block
        What makes rows one block.

    Returns
    -------
    Scatter
        To first order in the effect, so a little less than a large one. `shared` is 0 without two rows in a
        block, or where rows of a block are no more alike than others.

    """
    y, score = predicted.outcomes(rows, contract), predicted.scores(rows, contract)
    codes, count = coded(labels_of(rows, contract, block))
    if predicted.several(contract):
        residuals = ((y == place) - of_class for place, of_class in enumerate(score.T))
        return Scatter(_shared(residuals, _slopes(score), codes, count), np.array([]))
    residual = y - score
    if contract.classes:
        # To first order a shift of the logit moves the probability by the variance of the outcome.
        variance = score * (1 - score)
        return Scatter(_shared([residual], [variance], codes, count), np.array([]))
    residual = residual - residual.mean()
    shared = _shared([residual], [np.ones(len(y))], codes, count)
    total = float(np.mean(residual**2))
    alone = np.sqrt(max(1 - shared**2 / total, 0.0)) if total else 0.0
    return Scatter(shared, residual * alone)


def _slopes(score: Array) -> Iterator[Array]:
    """How much a shift of the log odds of each class moves the probability of each, to first order."""
    for place, one in enumerate(score.T):
        for other, another in enumerate(score.T):
            yield one * ((place == other) - another)


def _shared(
    residuals: Iterable[Array], slopes: Iterable[Array], codes: npt.NDArray[np.intp], count: int
) -> float:
    """The standard deviation of an effect of blocks: from the products of all pairs of rows of a block."""

    def pairs(values: Array) -> float:
        return float(np.sum(np.bincount(codes, values, minlength=count) ** 2) - np.sum(values**2))

    most = sum(map(pairs, slopes))
    return float(np.sqrt(max(sum(map(pairs, residuals)) / most, 0.0))) if most > 0 else 0.0


def outcomes(
    task: Task, scores: Array, labels: npt.NDArray[np.generic], spread: Scatter, rng: np.random.Generator
) -> Array:
    """Draw outcomes of rows whose scores are right.

    Parameters
    ----------
    task
        Says whether the target has classes.
    scores
        Of the model, shape (rows,), or (rows, classes) where there are several.
    labels
        The label of each row's block, shape (rows,).
    spread
        From `scatter`.
    rng
        Draws.

    Returns
    -------
    Array
        Shape (rows,): 0 or 1 where the target is an event, places where it has several classes.

    """
    codes, count = coded(labels)
    if task.outcome == "class":
        effects = spread.shared * rng.normal(size=(count, scores.shape[1]))[codes]
        # Whether one of two classes comes depends on the difference of their effects, which varies twice as
        # much as each.
        odds = np.log(np.clip(scores, EDGE, 1)) * np.sqrt(1 + 2 * PULL * spread.shared**2) + effects
        reached = special.softmax(odds, axis=1).cumsum(axis=1)[:, :-1]
        places: Array = (reached <= rng.random((len(scores), 1))).sum(axis=1).astype(np.float64)
        return places
    effect = spread.shared * rng.normal(size=count)[codes]
    if task.outcome != "quantity":
        # An effect that varies pulls the mean probability towards 1/2: this takes it back to the score.
        logit = special.logit(np.clip(scores, EDGE, 1 - EDGE)) * np.sqrt(1 + PULL * spread.shared**2)
        probability: Array = special.expit(logit + effect)
        return (rng.random(len(scores)) < probability).astype(np.float64)
    alone: Array = rng.choice(spread.alone, len(scores)) if len(spread.alone) else np.zeros(len(scores))
    return scores + effect + alone
