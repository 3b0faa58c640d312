"""The drift report, `data/reports/drift.json`: how each batch after `as_of` differs from the reference."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from perenne.common.document import Document, Figure, Rounded, Unrounded
from perenne.common.typed import Model

DriftLevel = Literal["none", "look", "retrain"]


class DriftAdvice(Model):
    """What to do, and why; the most important reason first."""

    level: DriftLevel
    reasons: tuple[str, ...]


class ReferenceSpan(Model):
    """The periods that batches are compared with: the model was trained on them or measured on them."""

    model_config = ConfigDict(populate_by_name=True)

    first: str = Field(alias="from")
    last: str = Field(alias="to")
    rows: int


class OfClass(Model):
    """What is about one of several classes, or about all of them; elsewhere the key is not in the file."""

    of_class: str | None = None

    @model_serializer(mode="wrap")
    def _without_class(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        content: dict[str, object] = handler(self)
        return {key: value for key, value in content.items() if key != "of_class" or value is not None}


class CovariateTest(Model):
    """One test of one feature, or of the rows as a whole.

    `effect` is null where nothing was expected and something was observed. `q` is the p-value adjusted for
    all tests of the batch. `importance` is the feature's permutation importance; null if it was not measured.
    """

    feature: str
    importance: Figure
    test: str
    effect: Figure
    p: Rounded
    q: Rounded
    alarm: bool


class StreamState(OfClass):
    """How one stream on matured labels stands after a batch.

    `value` is that of this batch; null if it has too few events to tell, which then wait for the next one.
    `reference` is the same statistic on validation, `bound` what is still right, and `limit` the value from
    which this batch alone raises the alarm; null without a value. All four are what the stream is about:
    observed / expected, or the bias in standard deviations; the rise of the loss as a share of the dummy's,
    or how many times larger errors are than on validation; the fall of the AUC; the share of rows in the
    tail. `log_e` is the evidence that the stream is beyond its bound; by itself it raises the alarm when it
    reaches `threshold`, and with others that have evidence as well, earlier. `since` is the period in which
    the change began, and `says` what it is. `of_class` is the class that came too often or too rarely, where
    there are several.
    """

    stream: str
    slice: str | None
    # Decisions are computed from these, so they are rounded in the file only.
    reference: Unrounded
    bound: float
    limit: Unrounded
    value: Unrounded
    log_e: float
    threshold: float
    alarm: bool
    since: str | None
    says: str


class EstimatedMetric(OfClass):
    """A metric of a batch, estimated without its labels, and the interval for the value that they will give.

    `metric` is a name of metrics.json, of one class against the rest if `of_class` is set. `realised` is that
    value, once the labels have matured.
    """

    metric: str
    estimate: Rounded
    low: Rounded
    high: Rounded
    realised: Figure = None


class EstimatedPerformance(Model):
    """The metrics of a batch, estimated from its features and scores.

    They hold while outcomes depend on features as on validation. `outside` is the share of rows unlike any of
    validation; `metrics` is empty if it is too large. `says` is what is surely beyond the tolerance.
    """

    outside: Rounded
    metrics: tuple[EstimatedMetric, ...] = ()
    says: tuple[str, ...] = ()


class DriftWindow(Model):
    """The part of a batch's report that a decision is based on.

    `matured` is the number of labels. `concept` is empty as long as they have not matured. `estimated` is
    null where labels are never late, and where a batch is too small to tell.
    """

    period: str
    matured: int
    level: DriftLevel
    reasons: tuple[str, ...]
    concept: tuple[StreamState, ...]
    estimated: EstimatedPerformance | None = None


class DriftBatch(DriftWindow):
    """One period after the reference; `predictions` and `volume` are figures by name, shown as they are."""

    rows: int
    covariates: tuple[CovariateTest, ...]
    predictions: dict[str, Figure]
    volume: dict[str, int | Figure | str]


class DriftReport(Document):
    """All batches after `as_of`, the advice they lead to, and the tests of all their rows together.

    `calendar` names the columns that move with the calendar, if the reference is too short to compare
    seasons.
    """

    SCHEMA = 2

    advice: DriftAdvice
    reference: ReferenceSpan
    batches: tuple[DriftBatch, ...]
    cumulative: tuple[CovariateTest, ...]
    calendar: str = ""
