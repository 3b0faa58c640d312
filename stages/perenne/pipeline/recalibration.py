"""Recalibration: the scores of a fitted model, corrected by labelled rows that it has not seen.

Of four forms, from the intercept alone to any rising function, the simplest counts whose cross-validated loss
is within one standard error of the best: of few rows a correction with many numbers learns the noise. Of
several classes there are two forms: an intercept for each, and a slope that they share.

References
----------
Breiman, Friedman, Olshen & Stone 1984, Classification and Regression Trees, section 3.4.3 (one standard
error). Zadrozny & Elkan 2002, Transforming classifier scores into accurate multiclass probability estimates,
KDD (isotonic). Gelman, Jakulin, Pittau & Su 2008, A weakly informative default prior distribution for
logistic and other regression models, Annals of Applied Statistics 2, 1360-1383.

"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from perenne.common import model, predicted
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.recalibrated import Recalibrated, linked, logarithms, named, shares
from perenne.documents.card import CardRecalibration

Array = npt.NDArray[np.float64]

FORMS = ("intercept", "slope", "slices", "isotonic")  # the simplest first
OF_SEVERAL = FORMS[:2]  # classes
LEAST = 10  # events, and as many rows without one: below, nothing can be corrected
ENOUGH = 1_000  # of both, for a rising function
FOLDS = 5
LEAST_BLOCKS = 20  # to compare forms on
MOST_SLICES = 20  # of a column, the largest: as in every report
# Standard deviations of what is expected, in logits or in standard deviations of the target: the intercept,
# the slope's distance from 1, and a slice's offset. The first two only keep numbers finite.
PRIOR = {"intercept": 5.0, "slope": 1.0, "slices": 0.5}
STEPS = 50  # of Newton's method, which needs some five
DECIMALS = 6  # of what is fitted: more than the rows can resolve, fewer than vary between CPUs


class Scored(NamedTuple):
    """Labelled rows and the scores of a model that has not seen them.

    `X` is as estimators take it; `y`, `scores` and the number of each row's block have shape (n,). Scores of
    several classes have shape (n, classes).
    """

    X: pd.DataFrame
    y: Array
    scores: Array
    block: npt.NDArray[np.intp]

    def at(self, chosen: npt.NDArray[np.bool_]) -> Scored:
        """Some of the rows, by a mask of shape (n,)."""
        return Scored(self.X[chosen], self.y[chosen], self.scores[chosen], self.block[chosen])


def recalibrated(
    pipeline: Pipeline, rows: pd.DataFrame, contract: Contract, *, least: int = LEAST
) -> Pipeline:
    """A model with corrected scores.

    Parameters
    ----------
    pipeline
        The fitted model.
    rows
        Labelled rows of the contract that it has not seen.
    contract
        Names target and block, and the slices that may have offsets: those that are features.
    least
        How many rows of each class there must be; of a regression, how many rows.

    Returns
    -------
    Pipeline
        Its only step, `model`, is a `Recalibrated`.

    Raises
    ------
    PerenneError
        If there are too few rows to correct anything.

    """
    y = predicted.outcomes(rows, contract)
    rare = (
        min(float((y == place).sum()) for place in range(len(contract.classes)))
        if contract.classes
        else len(y)
    )
    if rare < least:
        what = "rows of each class" if contract.classes else "rows"
        raise PerenneError(
            f"params.yaml: split.recalibrated: {rare:.0f} {what} are too few to correct scores by, at least "
            f"{least} would do"
        )
    # One BLAS thread: the number of threads changes the order of sums, and so their last bits.
    with threadpool_limits(1, user_api="blas"):
        X = model.inputs(rows, contract)
        seen = Scored(X, y, model.score(pipeline, X, contract), numbered(rows, contract))
        forms = OF_SEVERAL if seen.scores.ndim == 2 else FORMS if rare >= ENOUGH else FORMS[:-1]
        return Pipeline(
            [("model", fitted(chosen(forms, pipeline, seen, contract), pipeline, seen, contract))]
        )


def numbered(rows: pd.DataFrame, contract: Contract) -> npt.NDArray[np.intp]:
    """The number of each row's block, shape (rows,); each row is its own if the contract names none."""
    return pd.factorize(rows[contract.block])[0] if contract.block else np.arange(len(rows))


def chosen(forms: tuple[str, ...], pipeline: Pipeline, seen: Scored, contract: Contract) -> str:
    """The simplest form whose loss on rows left out is within one standard error of the best one's."""
    count = int(seen.block.max()) + 1
    if count < LEAST_BLOCKS:
        return forms[0]
    losses = np.zeros((len(forms), len(seen.y)))
    for fold in range(FOLDS):
        out = seen.block % FOLDS == fold
        if not _both(seen.y[~out], contract):
            return forms[0]
        for number, form in enumerate(forms):
            corrected = fitted(form, pipeline, seen.at(~out), contract).corrected(
                seen.scores[out], seen.X[out]
            )
            losses[number, out] = _loss(seen.y[out], corrected, contract)
    best = int(np.argmin(losses.mean(axis=1)))
    for number, form in enumerate(forms):
        apart = np.bincount(seen.block, losses[number] - losses[best], minlength=count)
        if apart.sum() <= np.sqrt(count * apart.var()):
            return form
    return forms[best]


def _both(y: Array, contract: Contract) -> bool:
    return all((y == place).any() for place in range(len(contract.classes)))


def _loss(y: Array, scores: Array, contract: Contract) -> Array:
    """The loss of each row, shape (n,)."""
    if not contract.classes:
        return (y - scores) ** 2
    if scores.ndim == 2:
        given = scores[np.arange(len(y)), y.astype(np.intp)]
    else:
        given = np.where(y == 1, scores, 1 - scores)
    losses: Array = -np.log(np.clip(given, np.finfo(float).tiny, 1))
    return losses


def fitted(form: str, pipeline: Pipeline, seen: Scored, contract: Contract) -> Recalibrated:
    """The correction of a form, from rows that the model has not seen."""
    if form == "isotonic":
        return Recalibrated(pipeline, form, isotonic=_isotonic(seen, contract))
    if seen.scores.ndim == 2:
        return _of_several(form, pipeline, seen)
    classes = bool(contract.classes)
    score = linked(seen.scores) if classes else seen.scores
    unit = 1.0 if classes else float(seen.y.std()) or 1.0
    # Around their mean, so that intercept and slope do not hang together.
    middle = float(score.mean())
    columns = [np.ones(len(score))]
    priors = [PRIOR["intercept"] * unit]
    if form != "intercept":
        columns.append(score - middle)
        priors.append(PRIOR["slope"])
    keys: list[tuple[str, str]] = []
    edges: dict[str, list[float]] = {}
    if form == "slices":
        for column, key, inside in _slices(seen.X, contract):
            keys.append((column, key))
            columns.append(inside)
            priors.append(PRIOR["slices"] * unit)
            if bins := contract.columns[column].bins:
                edges[column] = list(bins)
    theta = solved(np.column_stack(columns), score, seen.y, np.array(priors), classes=classes).tolist()
    slope = 1 + (theta[1] if form != "intercept" else 0.0)
    offsets: dict[str, dict[str, float]] = {}
    for (column, key), value in zip(keys, theta[2:], strict=form == "slices"):
        offsets.setdefault(column, {})[key] = round(value, DECIMALS)
    return Recalibrated(
        pipeline,
        form,
        round(theta[0] - (slope - 1) * middle, DECIMALS),
        round(slope, DECIMALS),
        offsets or None,
        edges or None,
    )


def _of_several(form: str, pipeline: Pipeline, seen: Scored) -> Recalibrated:
    """The correction of several classes."""
    score = logarithms(seen.scores)
    intercepts, steeper = solved_together(score, seen.y, slope=form != "intercept")
    rounded = [round(each, DECIMALS) for each in intercepts.tolist()]
    return Recalibrated(pipeline, form, rounded, round(1 + steeper, DECIMALS))


def _slices(X: pd.DataFrame, contract: Contract) -> Iterator[tuple[str, str, Array]]:
    """Column, key and indicator of each slice whose column is a feature: the largest of each column."""
    for column in contract.slices:
        if column in X:
            bins = contract.columns[column].bins
            keys = named(X[column], list(bins) if bins else None)
            known, counts = np.unique(keys[keys != ""], return_counts=True)
            largest = known[np.argsort(-counts, kind="stable")[:MOST_SLICES]]
            for key in sorted(largest.tolist()):
                yield column, key, (keys == key).astype(np.float64)


def _isotonic(seen: Scored, contract: Contract) -> IsotonicRegression:
    """A rising function; of probabilities it stays off 0 and 1 by half an event."""
    least = 0.5 / len(seen.y) if contract.classes else None
    most = None if least is None else 1 - least
    rising = IsotonicRegression(y_min=least, y_max=most, out_of_bounds="clip")
    return rising.fit(seen.scores, seen.y)


def solved(design: Array, score: Array, y: Array, priors: Array, *, classes: bool) -> Array:
    """The coefficients that are added to scores, by penalized maximum likelihood (Newton's method).

    Parameters
    ----------
    design
        Shape (n, k).
    score
        What the sums are added to: logits, or values, shape (n,).
    y
        The outcomes, shape (n,).
    priors
        The standard deviation that is expected of each coefficient, shape (k,).
    classes
        Whether outcomes are 0 or 1, and scores logits.

    Returns
    -------
    Array
        Shape (k,).

    """
    theta = np.zeros(design.shape[1])
    scale = 1.0 if classes else float(np.var(y - score)) or 1.0
    penalty = np.diag(scale / priors**2)
    for _ in range(STEPS):
        mean = score + design @ theta
        weight = np.ones(len(y))
        if classes:
            mean = np.asarray(expit(mean))
            weight = mean * (1 - mean)
        step = np.linalg.solve(
            (design.T * weight) @ design + penalty, design.T @ (y - mean) - penalty @ theta
        )
        theta += np.clip(step, -2 * priors, 2 * priors)  # a step too far would not come back
        if np.abs(step / priors).max() < 10 ** -(DECIMALS + 3):
            break
    return theta


def solved_together(score: Array, y: Array, *, slope: bool) -> tuple[Array, float]:
    """What is added to the logarithms of several classes' probabilities: intercepts, and a share of them.

    Penalized maximum likelihood as in `solved`, of the multinomial. The intercepts sum to 0: what all classes
    share changes nothing.

    Parameters
    ----------
    score
        The logarithms, shape (n, classes).
    y
        The places of the classes that came, shape (n,).
    slope
        Whether the slope may differ from 1.

    Returns
    -------
    The intercepts, shape (classes,), and the slope's distance from 1.

    """
    count = score.shape[1]
    middle = score.mean(axis=0)
    centred = score - middle
    priors = np.array([PRIOR["intercept"]] * count + [PRIOR["slope"]] * slope)
    theta, penalty = np.zeros(len(priors)), np.diag(1 / priors**2)
    came = np.eye(count)[y.astype(np.intp)]
    for _ in range(STEPS):
        steeper = theta[count] if slope else 0.0
        chance = shares(score + theta[:count] + steeper * centred)
        missed = came - chance
        gradient, curved = missed.sum(axis=0), np.diag(chance.sum(axis=0)) - chance.T @ chance
        if slope:
            mean = (chance * centred).sum(axis=1, keepdims=True)
            beside = (chance * (centred - mean)).sum(axis=0)
            spread = (chance * (centred - mean) ** 2).sum()
            gradient = np.append(gradient, (missed * centred).sum())
            curved = np.block([[curved, beside[:, None]], [beside[None, :], spread]])
        step = np.linalg.solve(curved + penalty, gradient - penalty @ theta)
        theta += np.clip(step, -2 * priors, 2 * priors)
        if np.abs(step / priors).max() < 10 ** -(DECIMALS + 3):
            break
    steeper = float(theta[count]) if slope else 0.0
    intercepts = theta[:count] - steeper * middle
    return intercepts - intercepts.mean(), steeper


def described(pipeline: Pipeline) -> CardRecalibration:
    """The correction of a model that `recalibrated` made, in numbers, as the model card has it."""
    corrected: Recalibrated = pipeline["model"]
    intercept = corrected.intercept
    if corrected.isotonic is not None:
        return CardRecalibration(form=corrected.form)
    return CardRecalibration(
        form=corrected.form,
        intercept=intercept if isinstance(intercept, float) else tuple(intercept),
        slope=corrected.slope,
        offsets=None if corrected.offsets is None else {k: dict(v) for k, v in corrected.offsets.items()},
    )
