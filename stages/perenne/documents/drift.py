"""The drift report, `data/reports/drift.json`: how each batch after `as_of` differs from the reference."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

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


class StreamState(Model):
    """How one stream of increments on matured labels stands after a batch.

    `reference` is its mean on the reference, and `bound` the upper confidence bound of that. `value` is its
    mean in this batch; null without increments. `log_e` is the evidence that the mean is above the bound; the
    alarm is raised when it reaches `threshold`. `since` is the period in which the change began.
    """

    stream: str
    # Decisions are computed from these five, so they are rounded in the file only.
    reference: float
    bound: float
    value: Unrounded
    log_e: float
    threshold: float
    alarm: bool
    since: str | None


class DriftWindow(Model):
    """The part of a batch's report that a decision is based on.

    `matured` is the number of labels. `concept` is empty as long as they have not matured.
    """

    period: str
    matured: int
    level: DriftLevel
    reasons: tuple[str, ...]
    concept: tuple[StreamState, ...]


class DriftBatch(DriftWindow):
    """One period after the reference; `predictions` and `volume` are figures by name, shown as they are."""

    rows: int
    covariates: tuple[CovariateTest, ...]
    predictions: dict[str, Figure]
    volume: dict[str, int | Figure | str]


class DriftReport(Document):
    """All batches after `as_of`, the advice they lead to, and the tests of all their rows together.

    `increments_until_seen`: how many increments of each stream it takes on average to detect a rise of its
    mean by a tenth; null for a stream that is not watched, or if it would never be detected. `calendar` names
    the columns that move with the calendar, if the reference is too short to compare seasons.
    """

    SCHEMA = 1

    advice: DriftAdvice
    reference: ReferenceSpan
    increments_until_seen: dict[str, Figure]
    batches: tuple[DriftBatch, ...]
    cumulative: tuple[CovariateTest, ...]
    calendar: str = ""
