"""The outcomes that come later: which prediction, what happened, and when it was known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from perenne.serving.log import Label
from perenne.serving.rows import STRICT, Time


class Outcome(TypedDict):
    """What happened to one row."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's way

    id: Annotated[str, Field(min_length=1, max_length=64, description="as the prediction was answered with")]
    value: Annotated[float, Field(description="of the target; where it has classes, 1 or 0")]
    at: NotRequired[Annotated[Time, Field(description="when it was known, by default now")]]


def labels(most: int) -> TypeAdapter[Any]:
    """What reads the body of a request: `{"labels": [...]}`, at most `most` of them."""

    class Labels(TypedDict):
        """Outcomes."""

        __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's way

        labels: Annotated[list[Outcome], Field(min_length=1, max_length=most)]

    return TypeAdapter(Labels)


def as_labels(outcomes: Iterable[dict[str, Any]]) -> list[Label]:
    """Outcomes as the log takes them."""
    now = datetime.now(UTC)
    return [
        Label(told["id"], told["value"], told["at"].replace(tzinfo=UTC) if "at" in told else now)
        for told in outcomes
    ]
