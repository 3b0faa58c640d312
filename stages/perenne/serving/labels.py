"""Outcomes that callers report later: of which prediction, the value, and since when it is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, NotRequired

from pydantic import AfterValidator, Field, TypeAdapter
from typing_extensions import TypedDict

from perenne.common.contract import Contract
from perenne.serving.log import MAX_ID, SKEW, Label
from perenne.serving.predictions import several
from perenne.serving.rows import Time, target_type, typed_dict


class ReportedOutcome(TypedDict):
    """The outcome of one row."""

    id: str
    value: float | str
    at: NotRequired[datetime]


class LabelRequest(TypedDict):
    """The body of a request with outcomes, after validation."""

    labels: list[ReportedOutcome]


def label_adapter(contract: Contract, max_labels: int) -> TypeAdapter[LabelRequest]:
    """Build the validator of `{"labels": [...]}`, a list of 1 to `max_labels` outcomes.

    Parameters
    ----------
    contract
        Its target says which values there are.
    max_labels
        A longer list is an error of type `too_long`.

    """
    target = contract.columns[contract.target]
    about = "; ".join(filter(None, [f"{contract.target}, the target", target.about, target.unit]))
    kind = target_type(contract)
    if several(contract):
        kind = Annotated[kind, AfterValidator(str)]  # as the log has it
    outcome = typed_dict(
        "Outcome",
        {
            "id": Annotated[
                str, Field(min_length=1, max_length=MAX_ID, description="that of the prediction")
            ],
            "value": Annotated[kind, Field(description=about)],
            "at": NotRequired[
                Annotated[
                    Time, AfterValidator(_not_later), Field(description="when it became known; default: now")
                ]
            ],
        },
        "The outcome of one row.",
    )
    outcomes = Annotated[list[outcome], Field(min_length=1, max_length=max_labels)]  # type: ignore[valid-type]  # made here
    return TypeAdapter(typed_dict("Labels", {"labels": outcomes}, "Outcomes."))


def _not_later(at: datetime) -> datetime:
    """A time that has come: what will be known later than everything else could never be corrected."""
    if at.replace(tzinfo=UTC) > datetime.now(UTC) + SKEW:
        raise ValueError("must not be in the future")
    return at


def as_labels(outcomes: Iterable[ReportedOutcome]) -> list[Label]:
    """Convert validated outcomes to records of the log, with times in UTC.

    Parameters
    ----------
    outcomes
        Their times are in UTC without a zone. An outcome without a time gets the current one.

    """
    now = datetime.now(UTC)
    return [
        Label(
            outcome["id"],
            outcome["value"] if isinstance(outcome["value"], str) else float(outcome["value"]),
            outcome["at"].replace(tzinfo=UTC) if "at" in outcome else now,
        )
        for outcome in outcomes
    ]
