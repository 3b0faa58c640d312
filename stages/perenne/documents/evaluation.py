"""What the stage `evaluate` measured on the holdout: `evaluation.json`, and from it `metrics.json`."""

from __future__ import annotations

from perenne.common.document import UnnumberedDocument, Unrounded
from perenne.common.typed import Model

Metrics = dict[str, float | None]  # metrics.json: figures by name, for `dvc metrics`


class MeasuredFigure(Model):
    """A value with its confidence interval, by block bootstrap; null where it is not defined."""

    value: Unrounded
    low: Unrounded
    high: Unrounded


class MeasuredMetric(MeasuredFigure):
    """A metric; `dummy` is its value if every prediction were the mean of the training target."""

    dummy: Unrounded


class MeasuredRows(Model):
    """The metrics of some rows, by name; `blocks` is the number of independent blocks in them.

    `too_few` says why there are no intervals; empty if there are.
    """

    rows: int
    blocks: int
    metrics: dict[str, MeasuredMetric]
    too_few: str = ""


class MeasuredHeadline(Model):
    """The contract's headline figure over the whole holdout, by the labels and by the predictions."""

    figure: str
    observed: MeasuredFigure
    predicted: MeasuredFigure


class Evaluation(UnnumberedDocument):
    """The whole holdout, its slices (by column, then by value), and the headline figure.

    The slice of rows whose value is missing or outside the bins has an empty name.
    """

    holdout: MeasuredRows
    slices: dict[str, dict[str, MeasuredRows]]
    headline: MeasuredHeadline

    def metrics(self) -> Metrics:
        """The values alone, by name: what `dvc metrics` shows."""
        values = {name: metric.value for name, metric in self.holdout.metrics.items()}
        return values | {
            f"{self.headline.figure}_observed": self.headline.observed.value,
            f"{self.headline.figure}_predicted": self.headline.predicted.value,
        }
