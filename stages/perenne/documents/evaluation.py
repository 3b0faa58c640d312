"""What the stage `evaluate` measured on validation: `evaluation.json`, and from it `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from perenne.common.block import Block
from perenne.common.document import Figure, UnnumberedDocument, Unrounded
from perenne.common.typed import Model

Figures = dict[str, float | None]
Metrics = dict[str, float | str | dict[str, Figures] | None]  # metrics.json: by name, for `dvc metrics`
OF_CLASS = (
    "roc_auc",
    "observed_expected",
)  # what metrics.json has of each class: how it ranks, and its level


class MeasuredFigure(Model):
    """A value with its confidence interval, by block bootstrap; null where it is not defined."""

    value: Unrounded
    low: Unrounded
    high: Unrounded


class MeasuredMetric(MeasuredFigure):
    """A metric; `dummy` is its value if every prediction were the mean of the rows that the model knew."""

    dummy: Unrounded


class MeasuredRows(Model):
    """The metrics of some rows, by name; `blocks` is the number of independent blocks in them.

    `too_few` says why there are no intervals; empty if there are.
    """

    rows: int
    blocks: int
    metrics: dict[str, MeasuredMetric]
    too_few: str = ""


class MeasuredSharing(Model):
    """How much rows with one label share; see `perenne.stats.sharing.Sharing`."""

    blocks: int
    correlation: Figure
    effect: Figure
    low: Figure
    high: Figure
    p: Figure


class MeasuredNeighbours(Model):
    """How much neighbouring days (hours, ...) resemble each other; see `perenne.stats.memory.Neighbours`."""

    days: int
    autocorrelation: Figure
    decay: Figure
    error: Figure
    p: Figure


class MeasuredDependence(Model):
    """The block that counts, who says so, and what rows of one label and neighbouring days share.

    Nothing is measured if the contract says `block: none`. `line` is for people: it is empty if the contract
    has the block that the figures ask for, or rows share nothing.
    """

    source: Literal["contract", "measured"]
    block: Block
    sharing: Mapping[str, MeasuredSharing] = {}
    neighbours: MeasuredNeighbours | None = None
    line: str = ""


class FoldMetric(Model):
    """A metric of one fold, and its value for the dummy; null where it is not defined."""

    value: Figure
    dummy: Figure


class MeasuredFold(Model):
    """A fold: the first and the last step of time in it, and how many rows its model learned from."""

    first: str
    last: str
    learned: int
    rows: int
    metrics: dict[str, FoldMetric]


class MeasuredHeadline(Model):
    """The contract's headline figure over all of validation, by the labels and by the predictions."""

    figure: str
    observed: MeasuredFigure
    predicted: MeasuredFigure


class Evaluation(UnnumberedDocument):
    """All of validation, its folds, its slices (by column, then by value), and the headline figure.

    `between` is what the folds are cut between: a unit of time, or `block`. `warnings` say what is wrong with
    the training. The slice of rows whose value is missing or outside the bins has an empty name. Versions
    that took each row for a block unless the contract names one wrote no `dependence`. `classes` has each of
    several classes against the rest; it is not written where there are not several.
    """

    SCHEMA = 2

    between: str
    validation: MeasuredRows
    folds: tuple[MeasuredFold, ...]
    slices: dict[str, dict[str, MeasuredRows]]
    headline: MeasuredHeadline
    dependence: MeasuredDependence | None = None
    warnings: tuple[str, ...] = ()
    classes: Mapping[str, MeasuredRows] = {}

    def to_json(self) -> dict[str, Any]:
        """The document in JSON's own types, without `classes` if there are none."""
        return {key: value for key, value in super().to_json().items() if key != "classes" or value}

    @property
    def block(self) -> Block | None:
        """What intervals count; None if the version that wrote this does not say it."""
        return self.dependence.block if self.dependence else None

    def metrics(self) -> Metrics:
        """The values alone, by name: what `dvc metrics` shows.

        Where rows are too few for intervals, `intervals` says so: differences of such values mean nothing. Of
        each class there are the metrics `OF_CLASS`.
        """
        values: Metrics = {name: metric.value for name, metric in self.validation.metrics.items()}
        values |= {
            f"{self.headline.figure}_observed": self.headline.observed.value,
            f"{self.headline.figure}_predicted": self.headline.predicted.value,
        }
        if self.validation.too_few:
            values["intervals"] = self.validation.too_few
        of_class = {
            name: {metric: part.metrics[metric].value for metric in OF_CLASS if metric in part.metrics}
            for name, part in self.classes.items()
        }
        return values | ({"classes": of_class} if of_class else {})
