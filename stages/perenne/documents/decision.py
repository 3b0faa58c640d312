"""What `perenne monitor` decides (`decision.json`), and what a retraining notes about its candidates."""

from __future__ import annotations

from typing import Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from perenne.common.document import Document, Figure, Rounded, UnnumberedDocument
from perenne.common.params import Drift
from perenne.common.typed import Model
from perenne.documents.drift import CovariateTest, DriftWindow, ReferenceSpan

MonitorAnswer = Literal["nothing", "look", "retrain"]
AttemptAnswer = Literal["eligible", "rejected", "undecided"]


class MonitoredVersion(Model):
    """The version in prod; `sha256` of its model file, `as_of` is the last period that it knows."""

    version: str
    commit: str
    sha256: str
    as_of: str


class OfferedCut(Model):
    """A model that a retraining would train: its name, and its section `split` of params.yaml."""

    name: str
    as_of: str
    window: int
    holdout: int
    since: str | None = None
    recalibrated: str | None = None


class DecisionWindow(DriftWindow):
    """A batch as the decision is based on it; of the feature tests only those that raised an alarm."""

    rows: int
    predictions: dict[str, Figure]
    moved: tuple[CovariateTest, ...]


class SliceSums(Model):
    """The labelled rows of a slice: how many, the sum of the outcomes, and the sum of the predictions.

    With several classes each has a line: `of` is the class, and left out where there is one prediction a row.
    """

    slice: str
    of: str = ""
    rows: int
    observed: Rounded
    expected: Rounded

    @model_serializer(mode="wrap")
    def _without_class(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        content: dict[str, object] = handler(self)
        return {key: value for key, value in content.items() if key != "of" or value}


class MonitorDecision(Document):
    """What to do about the version in prod, and all that the decision is based on.

    `through` is the newest period. `rule` is the section `loop` of params.yaml, `drift` the section `drift`.
    `retrained` is the `as_of` of the last retraining that was tried. `since` is the first period after the
    change. `wait_for`: if it is too early for any candidate, the first `as_of` that has enough labels.
    """

    SCHEMA = 1

    case: str
    champion: MonitoredVersion
    through: str
    rule: dict[str, int | str]
    drift: Drift
    retrained: str | None
    answer: MonitorAnswer
    reasons: tuple[str, ...]
    since: str | None
    candidates: tuple[OfferedCut, ...]
    wait_for: str | None
    reference: ReferenceSpan
    windows: tuple[DecisionWindow, ...]
    slices: tuple[SliceSums, ...]


class CandidateVerdict(Model):
    """One candidate in the notes of a retraining: the gate's answer, its reason, and what it is short of.

    `more_blocks` is the number of further blocks with labels that an undecided one waits for; else null.
    """

    name: str
    answer: AttemptAnswer
    why: str
    more_blocks: Figure


class Attempt(UnnumberedDocument):
    """A retraining in the notes: the version it was to replace, its `as_of`, the answer, the candidates."""

    champion: str
    as_of: str
    answer: AttemptAnswer
    tried: tuple[CandidateVerdict, ...]
