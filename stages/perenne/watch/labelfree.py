"""Estimated performance: how right the model is on a batch whose labels are still to come.

For a classifier, the scores are calibrated on rows that were predicted without being seen (with several
classes, those of each), with those rows weighted so that their features are distributed as in the batch. The
expected value of a metric under the calibrated scores is the estimate: *confidence-based performance
estimation*, here with the weights of a density ratio. For a regression, further models learn from the same
rows what error to expect, by features and prediction: *direct loss estimation*.

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
predict out-of-distribution performance, ICLR (why no method can do without such conditions). Dudik, Langford
& Li 2011, Doubly robust policy evaluation and learning, ICML (models of errors, corrected by weighted rows).

"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.preprocessing import OrdinalEncoder

from perenne.common import model, periods, predicted
from perenne.common.contract import Contract
from perenne.documents.drift import EstimatedMetric, EstimatedPerformance
from perenne.stats import deviation
from perenne.stats.density_ratio import density_ratio
from perenne.stats.deviation import Shocks, Sums
from perenne.stats.metrics import METRICS, Array, one_hot
from perenne.watch import concept
from perenne.watch.chances import calibrated
from perenne.watch.concept import Watched, WatchedStreams
from perenne.watch.direct_loss import DirectLoss
from perenne.watch.effects import blocks_of
from perenne.watch.streams import ENOUGH, Subject, classified, several
from perenne.watch.wording import Wording

CONFIDENCE = 0.95  # that the realised value lies within the interval
MOST_OUTSIDE = 0.05  # of the batch's rows
FEWEST_ROWS = 200  # of validation and of a batch, to tell how their features differ
MOST_ROWS = 30_000  # of validation, the latest: more change little and take longer
NONE = 0.05  # rows expected of a class, and fewer: as good as none
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
        self,
        validated: Mapping[pd.Period, pd.DataFrame],
        watched: WatchedStreams,
        contract: Contract,
        *,
        seed: int,
    ) -> None:
        """Learn from rows that were predicted without being seen.

        Parameters
        ----------
        validated
            Such rows by period, with labels and predictions.
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
        self.kinds: dict[Subject, Watched] = {stream.subject: stream for stream in self.streams}
        rows = latest(validated, contract, seed=seed)
        needed = {"bias", "loss"} if watched.scale else {"bias", "loss", "ranking"}
        self.known = len(rows) >= FEWEST_ROWS and needed <= {subject.rows for subject in self.kinds}
        if not self.known:
            return
        self.encoder = _encoder(rows, contract)
        self.X = self._encoded(rows)
        self.y, self.score = predicted.outcomes(rows, contract), predicted.scores(rows, contract)
        if watched.scale:
            when = pd.factorize(periods.of(rows[contract.time], contract.period, contract.zone), sort=True)[0]
            self.losses = DirectLoss(self.X, self.y - self.score, when, self.kinds[Subject("loss")].effect)

    def estimate(self, batch: pd.DataFrame) -> EstimatedPerformance | None:
        """Estimate the metrics of a batch from its features and scores alone.

        Parameters
        ----------
        batch
            Rows of the contract with their predictions; labels are not looked at.

        Returns
        -------
        Each metric with the interval in which its realised value is expected; none of them if too much of
        the batch lies outside of validation. None if there are too few rows or events to tell.

        """
        rows = batch[predicted.scored(batch, self.contract)]
        if not self.known or len(rows) < FEWEST_ROWS:
            return None
        X = self._encoded(rows)
        # By features alone: the scores of validation are those of other models, which trees would tell apart.
        features = X.shape[1] - len(predicted.columns(self.contract))
        ratio = density_ratio(self.X[:, :features], X[:, :features], seed=self.seed)
        if ratio.outside > MOST_OUTSIDE:
            return EstimatedPerformance(outside=ratio.outside)
        scores = predicted.scores(rows, self.contract)
        if self.watched.scale:
            expected = self._regressed(X, ratio.weights, self.watched.scale.unit)
        elif scores.ndim == 1:
            expected = self._classified(scores, ratio.weights)
        else:
            expected = self._of_classes(scores, ratio.weights)
        if not expected:
            return None
        errors = {
            subject: self._error(subject, each, ratio.weights, rows) for subject, each in expected.items()
        }
        return EstimatedPerformance(
            outside=ratio.outside,
            metrics=tuple(
                EstimatedMetric(
                    metric=each.metric,
                    of_class=subject.of_class,
                    estimate=each.value,
                    low=each.value - errors[subject] * each.unit,
                    high=each.value + errors[subject] * each.unit,
                )
                for subject, each in expected.items()
            ),
            says=tuple(self._beyond(expected, errors)),
        )

    def _classified(self, score: Array, weights: Array) -> dict[Subject, Expected]:
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
            Subject(kind): Expected(
                metric=metric,
                value=METRICS[metric].prepare(outcome, twice)(share),
                unit=unit,
                sums=streams[kind]._replace(variances=streams[kind].variances * more).sums(),
                unknown=seen[kind].residuals - before[kind].residuals,
                sizes=seen[kind].sizes,
                shock=self.kinds[Subject(kind)].shock,
            )
            for kind, (metric, unit) in shown.items()
        }

    def _of_classes(self, scores: Array, weights: Array) -> dict[Subject, Expected]:
        """The same with several classes: every row counts as all of them, with the chance of each."""
        classes, task = self.contract.classes, self.contract.task
        came = one_hot(self.y.astype(np.intp), len(classes))
        chance = calibrated(self.score, came, weights)
        probable = chance(scores)
        often = probable.sum(axis=0)
        fewer = np.minimum(often, len(scores) - often)
        streams = several(probable, scores, classes, chances=probable)
        seen = several(came, self.score, classes)
        before = several(chance(self.score), self.score, classes)

        def expected(subject: Subject, metric: str, value: float, unit: float = 1.0) -> Expected:
            unknown = seen[subject].residuals - before[subject].residuals
            shock = self.kinds[subject].shock
            return Expected(metric, value, unit, streams[subject].sums(), unknown, seen[subject].sizes, shock)

        found: dict[Subject, Expected] = {}
        if np.sum(fewer >= ENOUGH) < 2:
            return found
        loss, ranking = Subject("loss"), Subject("ranking")
        by_class = [
            METRICS[task.metrics[0]].prepare(np.full(len(scores), k), scores)(probable[:, k]) * often[k]
            for k in np.flatnonzero(often)
        ]
        dummy = float(streams[loss].sizes.mean())
        found[loss] = expected(loss, task.metrics[0], sum(by_class) / len(scores), dummy)
        # Of a class that may come in a row or two, the AUC is luck, and with it the mean over the classes.
        if ranking in self.kinds and np.all((fewer >= ENOUGH) | (fewer <= NONE)):
            areas = [_outranking(probable[:, k], scores[:, k]) for k in np.flatnonzero(fewer >= ENOUGH)]
            found[ranking] = expected(ranking, RANKING, float(np.mean(areas)))
        for k, name in enumerate(classes):
            subject = Subject("bias", str(name))
            if fewer[k] >= ENOUGH and subject in self.kinds:
                value = float(often[k] / scores[:, k].sum())
                found[subject] = expected(subject, task.calibration, value)
        return found

    def _regressed(self, X: Array, weights: Array, unit: float) -> dict[Subject, Expected]:
        """Direct: the errors that the features and the prediction of each row let one expect."""
        losses, n = self.losses, float(len(X))
        error, size = losses.expected(X, weights)

        def expected(metric: str, value: float, total: float, unknown: Array, shock: Shocks) -> Expected:
            variance = float(np.average((unknown / unit) ** 2, weights=weights))
            sums = Sums(total / unit, n, n * variance, 0.0, n)
            return Expected(metric, value, unit, sums, unknown / unit, np.ones(len(unknown)), shock)

        mean, total, bias = float(size.mean()), float(error.sum()), Subject("bias")
        shock = losses.shock._replace(variance=losses.shock.variance / unit**2)
        return {
            Subject("loss"): expected("mae", mean, float(size.sum()), losses.unknown_size, shock),
            bias: expected("bias", -total / n, total, losses.unknown, self.kinds[bias].shock),
        }

    def _error(self, subject: Subject, expected: Expected, weights: Array, rows: pd.DataFrame) -> float:
        """Half the width of the interval, in the stream's unit."""
        effect, shock = self.kinds[subject].effect, expected.shock
        blocks = blocks_of(rows, self.contract, self.kinds[subject].shared.block)
        if blocks is not None:
            # The variances of the rows are near enough to each other to count the rows.
            each = np.full(len(rows), expected.sums.variance / len(rows))
            effect = effect.of(expected.sums._replace(pairs=deviation.pairs(each, blocks)))
        known = float(np.sum((weights * expected.unknown) ** 2) / np.sum(weights * expected.sizes) ** 2)
        within = effect.factor * (expected.sums.variance / expected.sums.size**2 + known)
        between = shock.variance * (1 + 1 / (1 + shock.freedom))
        freedom = deviation.freedom_of_sum((within, effect.freedom), (between, shock.freedom))
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(within + between)

    def _beyond(self, expected: Mapping[Subject, Expected], errors: Mapping[Subject, float]) -> Iterator[str]:
        """What is surely beyond its bound. Larger errors of a regression are what validation had there."""
        show = Wording(self.contract.target, self.watched.scale)
        for stream in self.streams:
            subject = stream.subject
            if subject not in expected or (self.watched.scale and subject.rows != "bias"):
                continue
            sums = expected[subject].sums
            if stream.kind.sign * sums.deviation - errors[subject] > stream.bound:
                said = show.sentence(stream.kind, None, sums, stream.of_class)
                yield f"estimated without labels: {said}"

    def _encoded(self, rows: pd.DataFrame) -> Array:
        """Features as numbers, and the predictions in the last columns."""
        X = model.inputs(rows, self.contract)
        encoded = self.encoder.transform(X)
        return np.column_stack([encoded, predicted.scores(rows, self.contract)]).astype(np.float64)


def _outranking(chance: Array, score: Array) -> float:
    """The AUC of a class against the rest, if it comes with these chances."""
    outcome, share = np.repeat([1.0, 0.0], len(score)), np.concatenate([chance, 1 - chance])
    return METRICS[RANKING].prepare(outcome, np.tile(score, 2))(share)


def latest(validated: Mapping[pd.Period, pd.DataFrame], contract: Contract, *, seed: int) -> pd.DataFrame:
    """The labelled rows of the latest periods, as many as hold `MOST_ROWS`, and so many of them.

    The models of the last folds are most like the one that is watched: earlier ones learned from less.
    """
    some: list[pd.DataFrame] = []
    for period in sorted(validated, reverse=True):
        if sum(map(len, some)) < MOST_ROWS:
            some.append(concept.labelled(validated[period], contract))
    rows = pd.concat(some[::-1], ignore_index=True) if some else pd.DataFrame()
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
    y, scores = predicted.outcomes(rows, contract), predicted.scores(rows, contract)
    sides: dict[str | None, tuple[Array, Array]] = {
        name or None: each for name, each in predicted.each_class(y, scores, contract).items()
    }
    sides[None] = y, scores
    one = np.ones(len(rows))
    return estimated.model_copy(
        update={
            "metrics": tuple(
                EstimatedMetric(
                    **each.model_dump(exclude={"realised"}),
                    realised=METRICS[each.metric].prepare(*sides[each.of_class])(one),
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
