"""The review: what a commit does to the model, as `review.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from perenne.common.document import Document, Figure
from perenne.common.typed import Model
from perenne.documents.drift import DriftAdvice
from perenne.documents.evaluation import MeasuredFold
from perenne.documents.verdict import Rounded, Verdict

ReviewAnswer = Literal[
    "eligible", "unchanged", "rejected", "not reproducible", "could not judge", "undecided"
]
Trust = Literal["rerun", "lock"]
How = Literal["added", "removed", "changed"]
LockState = Literal["as committed", "stale", "not reproducible", "not run"]


class ParamChange(Model):
    """A key of params.yaml whose value is another one; `none` where there is no value."""

    key: str
    before: str
    after: str


class BatchChange(Model):
    """A batch that was added, removed or changed; `rows` and `quarantined` are counted after the change."""

    period: str
    how: How
    rows: int | None
    quarantined: int | None


class ReviewedFigure(Model):
    """A value with its 95 % interval."""

    value: Figure
    low: Figure
    high: Figure


class PairedMetric(Model):
    """A metric of the change and of another model on the same rows; `gain` is above 0 if it is better."""

    value: Figure
    theirs: Figure
    gain: ReviewedFigure


class PairedFold(Model):
    """The loss of both models on a fold, whose rows are of the periods `first` to `last`."""

    first: str
    last: str
    loss: PairedMetric


class PairedSlice(Model):
    """The loss of both models on a slice."""

    name: str
    rows: int
    loss: PairedMetric


class Rival(Model):
    """A model that the change has to beat.

    `own` has its metrics on its own validation, as far as they are known. The rest is empty unless both
    models were measured on the same rows with the same folds. `classes` has each of several classes against
    the rest.
    """

    name: str
    own: dict[str, Figure]
    metrics: Mapping[str, PairedMetric] = {}
    classes: Mapping[str, Mapping[str, PairedMetric]] = {}
    folds: tuple[PairedFold, ...] = ()
    slices: tuple[PairedSlice, ...] = ()


class ValidationReview(Model):
    """How the change does on validation, and what `evaluate` warns of.

    `loss` is the metric that people compare models by: folds and slices are about it. `too_few` says why its
    metrics have no intervals; empty if they have. `dependence` is what `evaluate` says of blocks. `classes`
    has the metrics of each of several classes against the rest.
    """

    loss: str
    metrics: dict[str, ReviewedFigure]
    too_few: str = ""
    dependence: str = ""
    folds: tuple[MeasuredFold, ...]
    warnings: tuple[str, ...]
    rivals: tuple[Rival, ...]
    classes: Mapping[str, Mapping[str, ReviewedFigure]] = {}


class PlotRows(Model):
    """The rows, as text, of the CSV files that the charts are made of. All are of validation."""

    reliability: tuple[tuple[str, ...], ...] = ()
    timeline: tuple[tuple[str, ...], ...] = ()
    confusion: tuple[tuple[str, ...], ...] = ()


class Review(Document):
    """What a commit does to the model.

    `fork` is the last commit that `head` and `base` share: changes are those since then. `findings` say why
    the commit is not reproducible. `costs` are seconds and megabytes by stage, `costs_before` those of the
    fork. `data` is None where the batches cannot be listed. `gate` is None where no model was judged; `error`
    says why it could not be. `tried` is how many settings `perenne tune` tried, by the commits'
    trailers. `validation` is None where `gate` is, or where the pipeline does not evaluate.
    """

    SCHEMA: ClassVar[int] = 2

    case: str
    answer: ReviewAnswer
    head: str
    base: str
    fork: str
    trust: Trust
    lock: LockState
    findings: tuple[str, ...] = ()
    costs: Mapping[str, tuple[Rounded, Rounded]] = {}
    costs_before: Mapping[str, tuple[Rounded, Rounded]] = {}
    params: tuple[ParamChange, ...] = ()
    contract: tuple[str, ...] = ()
    data: tuple[BatchChange, ...] | None = None
    plots: PlotRows = PlotRows()
    drift: DriftAdvice | None = None
    drift_before: DriftAdvice | None = None
    files: tuple[str, ...] = ()
    tried: int = 0
    validation: ValidationReview | None = None
    gate: Verdict | None = None
    error: str | None = None
