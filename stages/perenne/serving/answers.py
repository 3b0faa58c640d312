"""What the service answers, as /docs shows it; answers themselves are written without these, quicker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class Prediction(_Answer):
    """What the model says of a row."""

    id: str = Field(description="to send the outcome by, when it is known")
    score: float = Field(description="the probability of the target, or its value")
    class_: int | None = Field(
        None, alias="class", description="1 from the threshold on, if the target has classes"
    )
    unseen: list[str] | None = Field(None, description="columns with a category never seen in training")


class Predictions(_Answer):
    """One prediction a row, in the rows' order."""

    model_version: str
    predictions: list[Prediction]


class Detail(_Answer):
    """Why there is no other answer."""

    detail: str


class Wrong(_Answer):
    """What a row or a label has that it must not have."""

    row: int | None = Field(None, description="counted from 0; null where it is the request as a whole")
    field: str | None = None
    problem: str


class Problems(Detail):
    """All that is wrong with a request, as far as it could be read."""

    errors: list[Wrong]


class Metric(_Answer):
    """As measured on the holdout before the release."""

    value: float
    low: float | None = None
    high: float | None = None


class Model(_Answer):
    """The model that answers."""

    case: str
    version: str
    tag: str
    commit: str
    sha256: str
    released: datetime
    signed: bool
    as_of: str | None = Field(description="the last period that it knows")
    metrics: dict[str, Any]
    stage: str
    champion_since: datetime | None
    degraded: bool = Field(description="whether monitoring found that it is not what it was")
    shadow: str | None = Field(description="the version that scores beside it and never answers")
    refused: str | None = Field(description="why what the registry says is not what is served")


class Health(_Answer):
    """The process answers."""

    status: str


class Ready(_Answer):
    """Whether predictions are answered, and by what."""

    ready: bool
    version: str | None = None
    refused: str | None = Field(None, description="why what the registry says is not what is served")
    log: str | None = None


class Labelled(_Answer):
    """What became of labels."""

    stored: int
    unknown: list[str]


class Reloaded(_Answer):
    """What is served after the registry was asked."""

    version: str
    swapped: bool
