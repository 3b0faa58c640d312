"""The verdict: what the gate says of a model, as `gate --json`, the notes and a release tag hold it.

A verdict is sealed: of the labels of its holdout it tells whether all rules pass, and nothing else. Only that
of an opened holdout has figures (`perenne.gate.sealed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

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
from perenne.common.typed import Model

RuleAnswer = Literal["pass", "fail", "undecided", "not judged", "sealed"]
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
# A time as `numpy.datetime64` writes it, and the least hashes of a sketch.
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$")]
Hashes = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], ...], Field(max_length=24, strict=False)
]


class ModelFile(Model):
    """A model file: its sha256, and its size in bytes."""

    sha256: str
    size: int


class LabelSketch(Model):
    """By what labels are known again, see `perenne.gate.sketch`.

    `first` and `last` are the times of the first and the last row, as ISO 8601 writes them; `rows` and
    `sequences` are the `KEPT` least hashes of rows and of sequences of outcomes, in hexadecimal digits.
    """

    KEPT: ClassVar[int] = 24

    first: Moment
    last: Moment
    rows: Hashes
    sequences: Hashes


class Holdout(Model):
    """The rows that a model was judged on; `batches` has the hash of the labels of each period.

    `view` is the hash of the rows and the contract. `block` says what a block is; empty in older verdicts,
    which have no `sketch` either. `grouping` is the same for machines, where it was measured. `shown` are
    batches of the file that judge nothing, each with the commit whose validation has shown them.
    """

    model_config = ConfigDict(populate_by_name=True)  # `from` cannot be a name in Python

    md5: str
    batches: dict[str, str]
    first: str = Field(alias="from")
    last: str = Field(alias="to")
    rows: int
    blocks: int
    block: str = ""
    view: str | None = None
    grouping: str | None = None
    sketch: LabelSketch | None = None
    shown: Mapping[str, str] = {}


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
    """What a rule says of one comparison; see `perenne.gate.finding.Finding`.

    `more_blocks` is None if no number of blocks would decide. Of a rule that judges by labels a sealed
    verdict has no figure; its `more_blocks` is then how many more the model would need if its scores were
    right.
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

    `released` is the file that a release would put to use, None where that is the challenger's own.
    `more_blocks` is how many more blocks the model would need to be eligible if its scores were right; 0
    unless the answer is `undecided`, None if blocks are not what is missing. `against` and `alpha` are set
    only if the models were compared: then a look was made, which spends alpha. `metrics` and `opponents`,
    both on the holdout, are set only if that look has `opened` it.
    """

    SCHEMA: ClassVar[int] = 2

    # Also inside another document, where `from_json` of that one reads the number of its own schema only.
    schema_number: Literal[2] = Field(default=2, alias="schema")
    case: str
    challenger: ModelFile
    released: ModelFile | None = None
    champion: str | None
    base: str | None
    intent: Intent
    change: ChangeRecord | None
    policy: PolicyRecord
    policy_from: str | None
    holdout: Holdout
    answer: VerdictAnswer
    why: str
    more_blocks: Figure = 0.0
    opened: bool = False
    rules: tuple[RuleFinding, ...] = ()
    against: tuple[str, ...] = ()
    alpha: AlphaSpent | None = None
    metrics: Mapping[str, MetricInterval] = {}
    opponents: tuple[OpponentRecord, ...] = ()

    @classmethod
    def from_json(cls, content: object, name: str) -> Self:
        """Read what `to_json` returned; in the notes there may be verdicts of schema 1, which hid nothing."""
        if isinstance(content, dict) and content.get("schema") == 1:
            return super().from_json(_second(content), name)
        return super().from_json(content, name)

    @model_serializer(mode="wrap")
    def _without_comparison(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what only a comparison has, where there was none, and a second model if there is none."""
        content: dict[str, object] = handler(self)
        refitted = () if self.released else ("released",)
        absent = () if self.alpha else ("against", "alpha")
        hidden = () if self.opened else ("metrics", "opponents")
        return {key: value for key, value in content.items() if key not in {*refitted, *absent, *hidden}}


def _second(first: dict[str, object]) -> dict[str, object]:
    """A verdict of schema 1 in schema 2. It said of each rule how many more blocks would decide."""
    findings = first.get("rules")
    open_ones = [
        finding.get("more_blocks")
        for finding in (findings if isinstance(findings, list) else [])
        if isinstance(finding, dict) and finding.get("answer") == "undecided"
    ]
    known = [more for more in open_ones if isinstance(more, int | float)]
    more = None if len(known) < len(open_ones) else max(known, default=0)
    return first | {"schema": 2, "opened": bool(first.get("alpha")), "more_blocks": more}
