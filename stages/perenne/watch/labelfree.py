"""Estimated performance: how right the model is on a batch whose labels are still to come.

For a classifier, the scores are calibrated on rows that were predicted without being seen, with those rows
weighted so that their features are distributed as in the batch. The expected value of a metric under the
calibrated scores is the estimate: *confidence-based performance estimation*, here with the weights of a
density ratio. For a regression, further models learn from the same rows what error to expect, by features
and prediction: *direct loss estimation*.

It holds only

- while outcomes depend on features as they did on validation: a change of that (concept drift) cannot be
  seen without labels, and the estimate is then as wrong as the model;
- where validation has rows like those of the batch: if more than `MOST_OUTSIDE` of the batch lie outside of
  it, there is no estimate.

So it may say *look*, and never *retrain*, and only where all of the interval is beyond the bounds of the
streams on matured labels, which are the params' tolerance. As for these, a batch that is harder is not a
model that is wrong: what counts is what the model's own scores do not promise.

References
----------
Bialek, Kuberski, Perrakis & Bifet 2024, Estimating model performance under covariate shift without labels,
arXiv:2401.08348 (weighted calibration; PAPE). NannyML's documentation, How it works: estimation of
performance (CBPE and DLE). Garg, Balakrishnan, Lipton, Neyshabur & Sedghi 2022, Leveraging unlabeled data to
predict out-of-distribution performance, ICLR (why no method can do without such conditions). Cox 1958, Two
further applications of a model for binary regression, Biometrika 45 (intercept and slope). Dudik, Langford &
Li 2011, Doubly robust policy evaluation and learning, ICML (models of errors, corrected by weighted rows).

"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OrdinalEncoder

from perenne.common import model, periods
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.documents.drift import EstimatedMetric, EstimatedPerformance
from perenne.stats import deviation
from perenne.stats.density_ratio import density_ratio, without_empty
from perenne.stats.deviation import Shocks, Sums
from perenne.stats.metrics import METRICS, Array
from perenne.watch import concept
from perenne.watch.concept import ENOUGH, Watched, WatchedStreams
from perenne.watch.streams import classified
from perenne.watch.wording import Wording

CONFIDENCE = 0.95  # that the realised value lies within the interval
MOST_OUTSIDE = 0.05  # of the batch's rows
FEWEST_ROWS = 200  # of validation and of a batch, to tell how their features differ
WEAKEST = 1e6  # as good as no penalty, but a constant score has a solution
MOST_ROWS = 30_000  # of validation, the latest: more change little and take longer
SUREST = 1e-6  # scores nearer to 0 or 1 count as this one: their log odds must be finite
PARTS = 2  # each part's errors are expected by what the other has taught
RANKING = "roc_auc"


class Expected(NamedTuple):
    """What is expected of one metric on a batch, and how well validation knows it.

    ``value`` is that of the metric, and ``unit`` that of one deviation in it. ``sums`` are those of the batch
    in its stream's unit. ``unknown`` is what each row of validation had beyond what was expected of it,
    ``sizes`` its size in the stream, both of shape (rows,). ``shock`` is what whole periods add.
    """

    metric: str
    value: float
    unit: float
    sums: Sums
    unknown: Array
    sizes: Array
    shock: Shocks


class LabelFree:
    """What validation says of the model's errors, ready for any batch."""

    def __init__(
        self, validated: pd.DataFrame, watched: WatchedStreams, contract: Contract, *, seed: int
    ) -> None:
        """Learn from rows that were predicted without being seen.

        Parameters
        ----------
        validated
            Such rows, with labels and predictions.
        watched
            The streams on matured labels: their bounds, and how batches vary by themselves.
        contract
            What the rows are.
        seed
            Decides which rows are learned from, where there are many.

        """
        self.contract, self.watched, self.seed = contract, watched, seed
        self.streams = [stream for stream in watched.streams if stream.slice is None]
        #: By what they are about: how batches vary by themselves is the same in both directions.
        self.kinds: dict[str, Watched] = {stream.kind.rows: stream for stream in self.streams}
        rows = latest(concept.labelled(validated, contract), contract, seed=seed)
        needed = {"bias", "loss"} if watched.scale else {"bias", "loss", "ranking"}
        self.known = len(rows) >= FEWEST_ROWS and needed <= set(self.kinds)
        if not self.known:
            return
        self.encoder = _encoder(rows, contract)
        self.X = self._encoded(rows)
        self.y, self.score = (rows[n].to_numpy(dtype=np.float64) for n in (contract.target, PREDICTION))
        if watched.scale:
            when = pd.factorize(periods.of(rows[contract.time], contract.period, contract.zone), sort=True)[0]
            self.losses = DirectLoss(self.X, self.y - self.score, when, self.kinds["loss"].effect.factor)

    def estimate(self, batch: pd.DataFrame) -> EstimatedPerformance | None:
        """Estimate the metrics of a batch from its features and scores alone.

        Parameters
        ----------
        batch
            Rows of the contract with their scores in the column `prediction`; labels are not looked at.

        Returns
        -------
        Each metric with the interval in which its realised value is expected; none of them if too much of
        the batch lies outside of validation. None if there are too few rows or events to tell.

        """
        rows = batch[batch[PREDICTION].notna()]
        if not self.known or len(rows) < FEWEST_ROWS:
            return None
        X = self._encoded(rows)
        # By features alone: the scores of validation are those of other models, which trees would tell apart.
        ratio = density_ratio(self.X[:, :-1], X[:, :-1], seed=self.seed)
        if ratio.outside > MOST_OUTSIDE:
            return EstimatedPerformance(outside=ratio.outside)
        if self.watched.scale:
            expected = self._regressed(X, ratio.weights, self.watched.scale.unit)
        else:
            expected = self._classified(rows[PREDICTION].to_numpy(dtype=np.float64), ratio.weights)
        if not expected:
            return None
        errors = {kind: self._error(kind, each, ratio.weights) for kind, each in expected.items()}
        return EstimatedPerformance(
            outside=ratio.outside,
            metrics=tuple(
                EstimatedMetric(
                    metric=each.metric,
                    estimate=each.value,
                    low=each.value - errors[kind] * each.unit,
                    high=each.value + errors[kind] * each.unit,
                )
                for kind, each in expected.items()
            ),
            says=tuple(self._beyond(expected, errors)),
        )

    def _classified(self, score: Array, weights: Array) -> dict[str, Expected]:
        """Confidence-based: every row counts as both outcomes, with the chance of each."""
        chance = calibrated(self.score, self.y, weights)
        probable = chance(score)
        if min(probable.sum(), (1 - probable).sum()) < ENOUGH:
            return {}
        streams, promised = classified(probable, score), score * (1 - score)
        seen, before = classified(self.y, self.score), classified(chance(self.score), self.score)
        # The variance of the streams is by the scores' own promise; what is expected is another.
        more = np.divide(probable * (1 - probable), promised, out=np.ones_like(score), where=promised > 0)
        outcome, twice = np.repeat([1.0, 0.0], len(score)), np.tile(score, 2)
        share = np.concatenate([probable, 1 - probable])
        dummy = float(streams["loss"].sizes.mean())
        task = self.contract.task
        shown = {"loss": (task.metrics[0], dummy), "ranking": (RANKING, 1.0), "bias": (task.calibration, 1.0)}
        return {
            kind: Expected(
                metric=metric,
                value=METRICS[metric].prepare(outcome, twice)(share),
                unit=unit,
                sums=streams[kind]._replace(variances=streams[kind].variances * more).sums(),
                unknown=seen[kind].residuals - before[kind].residuals,
                sizes=seen[kind].sizes,
                shock=self.kinds[kind].shock,
            )
            for kind, (metric, unit) in shown.items()
        }

    def _regressed(self, X: Array, weights: Array, unit: float) -> dict[str, Expected]:
        """Direct: the errors that the features and the prediction of each row let one expect."""
        losses, n = self.losses, float(len(X))
        error, size = losses.expected(X, weights)

        def expected(metric: str, value: float, total: float, unknown: Array, shock: Shocks) -> Expected:
            variance = float(np.average((unknown / unit) ** 2, weights=weights))
            sums = Sums(total / unit, n, n * variance, 0.0, n)
            return Expected(metric, value, unit, sums, unknown / unit, np.ones(len(unknown)), shock)

        mean, total = float(size.mean()), float(error.sum())
        shock = losses.shock._replace(variance=losses.shock.variance / unit**2)
        return {
            "loss": expected("mae", mean, float(size.sum()), losses.unknown_size, shock),
            "bias": expected("bias", -total / n, total, losses.unknown, self.kinds["bias"].shock),
        }

    def _error(self, kind: str, expected: Expected, weights: Array) -> float:
        """Half the width of the interval, in the stream's unit."""
        effect, shock = self.kinds[kind].effect, expected.shock
        known = float(np.sum((weights * expected.unknown) ** 2) / np.sum(weights * expected.sizes) ** 2)
        within = effect.factor * (expected.sums.variance / expected.sums.size**2 + known)
        between = shock.variance * (1 + 1 / (1 + shock.freedom))
        freedom = deviation.freedom_of_sum((within, effect.freedom), (between, shock.freedom))
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(within + between)

    def _beyond(self, expected: Mapping[str, Expected], errors: Mapping[str, float]) -> Iterator[str]:
        """What is surely beyond its bound. Larger errors of a regression are what validation had there."""
        show = Wording(self.contract.target, self.watched.scale)
        for stream in self.streams:
            kind = stream.kind.rows
            if kind not in expected or (self.watched.scale and kind != "bias"):
                continue
            sums = expected[kind].sums
            if stream.kind.sign * sums.deviation - errors[kind] > stream.bound:
                yield f"estimated without labels: {show.sentence(stream.kind, None, sums)}"

    def _encoded(self, rows: pd.DataFrame) -> Array:
        """Features as numbers, and the prediction in the last column."""
        X = model.inputs(rows, self.contract)
        encoded = self.encoder.transform(X)
        return np.column_stack([encoded, rows[PREDICTION].to_numpy(dtype=np.float64)]).astype(np.float64)


class DirectLoss:
    """Models of a regression's errors, by features and prediction.

    Attributes
    ----------
    unknown, unknown_size
        Errors, and their sizes, less what models expected that had not seen them; shape (rows,).
    shock
        What whole periods add to the mean size.

    """

    def __init__(self, X: Array, error: Array, when: npt.NDArray[np.intp], effect: float) -> None:
        """Learn from rows that were predicted without being seen.

        Parameters
        ----------
        X
            Features and prediction, shape (rows, features + 1).
        error, when
            Observed less predicted, and the number of each row's period, shape (rows,).
        effect
            By how much rows that are alike add to the variance of a period's mean.

        """
        targets = error, np.abs(error)
        self.learned = [_trees(X, target) for target in targets]
        unknown = [np.empty(len(error)) for _ in targets]
        part = np.arange(len(error)) % PARTS
        for k in range(PARTS):
            held = part == k
            for target, beyond in zip(targets, unknown, strict=True):
                beyond[held] = target[held] - _trees(X[~held], target[~held]).predict(X[held])
        self.unknown, self.unknown_size = unknown
        counts, totals = np.bincount(when), np.bincount(when, self.unknown_size)
        squares = np.bincount(when, (self.unknown_size - self.unknown_size.mean()) ** 2)
        self.shock = deviation.shocks(
            [Sums(float(t), float(n), float(s)) for t, n, s in zip(totals, counts, squares, strict=True)],
            effect,
        )

    def expected(self, X: Array, weights: Array) -> tuple[Array, Array]:
        """The error and its size that each row lets one expect, in the target's unit, shape (rows,).

        They are corrected by what the models miss on validation where that is like the batch: so their mean
        is right if either the models or the weights are (doubly robust).
        """
        error, size = (
            np.asarray(trees.predict(X), dtype=np.float64) + float(np.average(missed, weights=weights))
            for trees, missed in zip(self.learned, (self.unknown, self.unknown_size), strict=True)
        )
        return error, size


def calibrated(score: Array, y: Array, weights: Array) -> Callable[[Array], Array]:
    """Return the function from scores to chances that is right on weighted rows.

    The log odds get an intercept and a slope (Cox 1958). With these, neither the events nor the log loss of
    the weighted rows differ from what the chances promise.

    Parameters
    ----------
    score, y, weights
        Probabilities, outcomes (0 or 1, both present) and weights, shape (rows,).

    """
    fitted = LogisticRegression(C=WEAKEST, solver="newton-cholesky", tol=1e-10)
    fitted.fit(_log_odds(score), y, sample_weight=weights)
    return lambda other: np.asarray(fitted.predict_proba(_log_odds(other))[:, 1], dtype=np.float64)


def latest(rows: pd.DataFrame, contract: Contract, *, seed: int) -> pd.DataFrame:
    """The rows of the latest periods, as many as hold `MOST_ROWS`, and so many of them.

    The models of the last folds are most like the one that is watched: earlier ones learned from less.
    """
    when = periods.of(rows[contract.time], contract.period, contract.zone)
    counts = when.value_counts().sort_index(ascending=False)
    later = counts.cumsum() - counts
    rows = rows[when.isin(later.index[later < MOST_ROWS])]
    if len(rows) <= MOST_ROWS:
        return rows
    return rows.iloc[np.sort(np.random.default_rng(seed).choice(len(rows), MOST_ROWS, replace=False))]


def realised(
    estimated: EstimatedPerformance | None, batch: pd.DataFrame, contract: Contract
) -> EstimatedPerformance | None:
    """The estimate with what each metric has become, over the rows of a batch whose labels are known."""
    rows = concept.labelled(batch, contract)
    if estimated is None or not len(rows):
        return estimated
    y, score = (rows[name].to_numpy(dtype=np.float64) for name in (contract.target, PREDICTION))
    one = np.ones(len(rows))
    return estimated.model_copy(
        update={
            "metrics": tuple(
                EstimatedMetric(
                    **each.model_dump(exclude={"realised"}),
                    realised=METRICS[each.metric].prepare(y, score)(one),
                )
                for each in estimated.metrics
            )
        }
    )


def _encoder(rows: pd.DataFrame, contract: Contract) -> ColumnTransformer:
    """From features to numbers; a category that validation does not have is one of its own."""
    X = model.inputs(rows, contract)
    known = [name for name in contract.features if X[name].notna().any()]
    categories = [name for name in known if contract.columns[name].type == "category"]
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=math.nan
    )
    numbers = [name for name in known if name not in categories]
    return make_column_transformer((ordinal, categories), ("passthrough", numbers)).fit(X)


def _log_odds(score: Array) -> Array:
    sure = score.clip(SUREST, 1 - SUREST)
    odds: Array = np.log(sure / (1 - sure)).reshape(-1, 1)
    return odds


def _trees(X: Array, target: Array) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        max_iter=40,
        max_leaf_nodes=8,
        min_samples_leaf=max(50, len(X) // 50),
        random_state=0,
        early_stopping=False,
    ).fit(without_empty(X), target)
