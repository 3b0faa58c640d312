"""Outcomes that callers report later: of which prediction, the value, and since when it is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from perenne.serving.log import Label
from perenne.serving.rows import STRICT, Time


class ReportedOutcome(TypedDict):
    """The outcome of one row."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's way

    id: Annotated[str, Field(min_length=1, max_length=64, description="the id of the prediction")]
    value: Annotated[float, Field(description="the target; 1 or 0 if it has classes")]
    at: NotRequired[Annotated[Time, Field(description="when it became known; default: now")]]


class LabelRequest(TypedDict):
    """The body of a request with outcomes, after validation."""

    labels: list[ReportedOutcome]


def label_adapter(max_labels: int) -> TypeAdapter[LabelRequest]:
    """Build the validator of `{"labels": [...]}`, a list of 1 to `max_labels` outcomes."""

    class LimitedLabelRequest(LabelRequest):
        """Outcomes."""

        __pydantic_config__ = ConfigDict(**STRICT, title="Labels")  # type: ignore[misc]  # pydantic's way

        labels: Annotated[list[ReportedOutcome], Field(min_length=1, max_length=max_labels)]

    return TypeAdapter(LimitedLabelRequest)


def as_labels(outcomes: Iterable[ReportedOutcome]) -> list[Label]:
    """Convert validated outcomes to records of the log, with times in UTC.

    Parameters
    ----------
    outcomes
        Their times are in UTC without a zone. An outcome without a time gets the current one.

    """
    now = datetime.now(UTC)
    return [
        Label(outcome["id"], outcome["value"], outcome["at"].replace(tzinfo=UTC) if "at" in outcome else now)
        for outcome in outcomes
    ]
