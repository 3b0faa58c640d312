"""The verdict: what the gate says of a model, as `gate --json`, the notes and a release tag hold it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from perenne.common.disk import canonical
from perenne.common.document import Document, Figure
from perenne.common.errors import PerenneError
from perenne.common.typed import Model

RuleAnswer = Literal["pass", "fail", "undecided", "not judged"]
JudgedAnswer = Literal["eligible", "rejected", "undecided"]
VerdictAnswer = Literal[JudgedAnswer, "unchanged"]  # the model is the one in prod: nothing was judged
Intent = Literal["better", "fresher"]
Asker = Literal["own", "fork", "anyone"]
"""Who looks: the repository, a fork, or `anyone`, who goes on from a look that either has made."""
ChangeKind = Literal["major", "minor", "patch"]

# A number as documents round it, where there must be one.
Rounded = Annotated[float, BeforeValidator(canonical)]
Probability = Annotated[Rounded, Field(ge=0, le=1)]
# A setting of a rule is whatever the rule's author chose: a number, a name or a list.
Setting = Annotated[JsonValue, BeforeValidator(canonical)]


class ModelFile(Model):
    """A model file: its sha256, and its size in bytes."""

    sha256: str
    size: int


class Holdout(Model):
    """The rows that a model was judged on; `batches` has the hash of the labels of each period."""

    model_config = ConfigDict(populate_by_name=True)  # `from` cannot be a name in Python

    md5: str
    batches: dict[str, str]
    first: str = Field(alias="from")
    last: str = Field(alias="to")
    rows: int
    blocks: int


class ChangeRecord(Model):
    """What changed since the champion; see `perenne.registry.change.Change`."""

    kind: ChangeKind
    reasons: tuple[str, ...]


class PolicyRecord(Model):
    """The policy that was applied, with the settings of each configured rule; see `perenne.gate.policy`.

    `tolerance` is empty in verdicts of the version whose rules had margins of their own.
    """

    intent: Literal["auto", "better", "fresher"]
    alpha: Rounded
    metric: str
    rules: dict[str, dict[str, Setting]]
    tolerance: Mapping[str, Rounded] = {}


class RuleFinding(Model):
    """What a rule says of one comparison; see `perenne.gate.rules.Finding`.

    `more_blocks` is None if no number of blocks would decide.
    """

    rule: str
    against: str
    answer: RuleAnswer
    value: Figure
    low: Figure
    high: Figure
    needed: str
    says: str = ""
    more_blocks: Figure = 0.0
    parts: tuple[RuleFinding, ...] = ()


class AlphaSpent(Model):
    """Which look at the holdout it was, what of alpha it spent, what is left, and the total."""

    look: int = Field(ge=1)
    spent: Probability
    left: Probability
    total: Probability


class MetricInterval(Model):
    """A metric on the holdout, with its 95 % interval."""

    value: Figure
    low: Figure
    high: Figure


class OpponentMetric(MetricInterval):
    """A metric of an opponent; `gain` is how much better the challenger's is."""

    gain: MetricInterval


class OpponentRecord(Model):
    """A model that the challenger was compared with, on the same rows."""

    name: str
    size: int
    metrics: dict[str, OpponentMetric]


class Verdict(Document):
    """What the gate says of a model, and all that it rests on.

    The last four fields are set only if the models were compared: then a look was made, which spends alpha.
    """

    SCHEMA: ClassVar[int] = 1

    # Also inside another document, where `from_json` of that one reads the number of its own schema only.
    schema_number: Literal[1] = Field(default=1, alias="schema")
    case: str
    challenger: ModelFile
    champion: str | None
    base: str | None
    intent: Intent
    change: ChangeRecord | None
    policy: PolicyRecord
    policy_from: str | None
    holdout: Holdout
    answer: VerdictAnswer
    why: str
    rules: tuple[RuleFinding, ...] = ()
    against: tuple[str, ...] = ()
    alpha: AlphaSpent | None = None
    metrics: Mapping[str, MetricInterval] = {}
    opponents: tuple[OpponentRecord, ...] = ()

    def undecided(self) -> Iterable[RuleFinding]:
        """Yield the findings that leave the verdict undecided."""
        return (finding for finding in self.rules if finding.answer == "undecided")

    def interval(self) -> MetricInterval:
        """Return the policy's metric of the challenger, with its 95 % interval.

        Raises
        ------
        PerenneError
            If the verdict does not hold it, because no models were compared.

        """
        if self.policy.metric not in self.metrics:
            raise PerenneError(f"{self.case}: the verdict holds no {self.policy.metric}: {self.why}")
        return self.metrics[self.policy.metric]

    @model_serializer(mode="wrap")
    def _without_comparison(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what only a comparison has, where there was none."""
        content: dict[str, object] = handler(self)
        absent = () if self.alpha else ("against", "alpha", "metrics", "opponents")
        return {key: value for key, value in content.items() if key not in absent}
