"""The review: what a commit does to the model, as `review.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from perenne.common.document import Document
from perenne.common.typed import Model
from perenne.documents.drift import DriftAdvice
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


class PlotRows(Model):
    """The rows, as text, of the CSV files that the charts are made of."""

    reliability: tuple[tuple[str, ...], ...] = ()
    slices: tuple[tuple[str, ...], ...] = ()
    timeline: tuple[tuple[str, ...], ...] = ()


class Review(Document):
    """What a commit does to the model.

    `fork` is the last commit that `head` and `base` share: changes are those since then. `findings` say why
    the commit is not reproducible. `costs` are seconds and megabytes by stage, `costs_before` those of the
    fork. `data` is None where the batches cannot be listed. `gate` is None where no model was judged; `error`
    says why it could not be.
    """

    SCHEMA: ClassVar[int] = 1

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
    gate: Verdict | None = None
    error: str | None = None
