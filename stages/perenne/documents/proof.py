"""The proof in a release tag: what a version rests on, as YAML after the line `---` of the tag's message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from perenne.common import strict_yaml
from perenne.common.document import Document
from perenne.common.errors import PerenneError
from perenne.common.typed import Model
from perenne.documents.verdict import AlphaSpent, Holdout, PolicyRecord, RuleFinding, Verdict

# YAML has lists, no tuples.
Reasons = Annotated[tuple[str, ...], Field(strict=False)]
Findings = Annotated[tuple[RuleFinding, ...], Field(strict=False)]


class ProofPart(Model):
    """A part of a tag's proof. Anybody can write a tag, and earlier versions wrote less.

    So a part is read as far as possible: an unknown key is ignored, and a value of another type counts as
    missing. Whoever needs a value says what is missing.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=True)

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, content: object) -> object:
        return content if isinstance(content, dict | cls) else {}

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_missing(cls, value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError:
            return None


class ProvenModel(ProofPart):
    """A model file."""

    sha256: str | None = None
    size: int | None = None


class ReleasedModel(ProvenModel):
    """The file of the model that is put to use, and the periods that it has learned from.

    `moved` is how far its scores of the holdout are from those of the proven model, as a mean absolute
    difference.
    """

    first: str | None = None
    last: str | None = None
    moved: float | None = None


class ProvenMetric(ProofPart):
    """A metric with its confidence interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class ProvenChange(ProofPart):
    """What changed since the version before."""

    kind: str | None = None
    reasons: Reasons | None = None


class ProvenVerdict(ProofPart):
    """The verdict that let the model be released, without the slices."""

    answer: str | None = None
    why: str | None = None
    alpha: AlphaSpent | None = None
    policy: PolicyRecord | None = None
    policy_from: str | None = None
    holdout: Holdout | None = None
    rules: Findings | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """Return what a proof keeps of a verdict."""
        return cls(
            answer=verdict.answer,
            why=verdict.why,
            alpha=verdict.alpha,
            policy=verdict.policy,
            policy_from=verdict.policy_from,
            holdout=verdict.holdout,
            rules=verdict.rules,
        )


class Proof(Document, ProofPart):
    """What a version rests on.

    `model` is the one that the verdict is about. `released` is the one that is put to use; it is missing
    where that is the same file. `lock` has the sha256 of the files that pin code, data and environment.
    `batches` is the report of the stage `split`. `metrics` are those of validation, as `measured_on` says;
    tags of earlier versions have those of the holdout, and do not say it. `golden` has scores at full
    precision, by the position of their row in the holdout: a number, or a list with one for each of several
    classes. `ledger` is the commit of the ledger of looks.
    """

    SCHEMA: ClassVar[int] = 1

    model: ProvenModel = ProvenModel()
    released: ReleasedModel | None = None
    lock: dict[str, str] | None = None
    as_of: str | None = None
    batches: dict[str, JsonValue] | None = None
    champion: str | None = None
    change: ProvenChange = ProvenChange()
    intent: str | None = None
    metrics: dict[str, ProvenMetric] | None = None
    measured_on: str | None = None
    golden: Mapping[int, object] | None = None
    verdict: ProvenVerdict = ProvenVerdict()
    ledger: str | None = None

    def to_yaml(self) -> str:
        """Return the proof as YAML that `from_yaml` reads as the same proof."""
        content = self.model_dump(by_alias=True, exclude={"verdict": {"rules": {"__all__": {"parts"}}}})
        return strict_yaml.dumps({"schema": self.SCHEMA} | content)

    @classmethod
    def from_yaml(cls, text: str, name: str) -> Self:
        """Read the YAML of a tag; `name` is what an error calls it.

        Raises
        ------
        PerenneError
            If it is not YAML, not a mapping, or of a schema that this version does not know.

        """
        content = strict_yaml.loads(text, name)
        if not isinstance(content, dict):
            raise PerenneError(f"{name}: must be a mapping, found {content!r:.60}")
        number = content.get("schema", cls.SCHEMA)
        if number != cls.SCHEMA:
            raise PerenneError(f"{name}: schema: found {number!r:.60}, this version reads {cls.SCHEMA}")
        return cls.model_validate(content)
