"""The service's responses: models that /docs shows, and that `perenne deploy` reads.

Predictions are written without them, which is faster (see predictions.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from perenne.documents.proof import ProvenMetric
from perenne.serving.predictions import Class
from perenne.serving.rows import TypeForm, typed_dict


class _Response(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


ID = "needed to report the outcome later"
UNSEEN = "columns whose category training has not seen"
NEWEST = (
    "if features look back: the time of the newest earlier row that was known, null if none was; "
    "the older it is, the less the features say"
)


class Prediction(_Response):
    """The prediction for a row."""

    id: str = Field(description=ID)
    score: float = Field(
        description="probability of class 1 if the target has classes, else the predicted value"
    )
    class_: int | None = Field(
        None, alias="class", description="if the target has classes: 1 from the threshold on"
    )
    unseen: list[str] | None = Field(None, description=UNSEEN)
    history: str | None = Field(None, description=NEWEST)


class Predictions(_Response):
    """One prediction per row, in the order of the rows."""

    model_version: str
    predictions: list[Prediction]


def predictions(classes: tuple[Class, ...]) -> type[BaseModel]:
    """The response with predictions: with several classes it has them by their names.

    Parameters
    ----------
    classes
        Of the contract, if a prediction has a probability for each; else none.

    """
    if not classes:
        return Predictions
    share = Annotated[float, Field(ge=0, le=1)]
    scores = typed_dict("Scores", {str(name): share for name in classes}, "The probability of each class.")
    # Made while the program runs: `Literal` takes the classes as they come.
    named: TypeForm = Literal[classes]
    prediction = create_model(
        "Prediction",
        __base__=_Response,
        __doc__="The prediction for a row.",
        id=(str, Field(description=ID)),
        class_=(named, Field(alias="class", description="the most probable class")),
        score=(float, Field(description="its probability")),
        scores=(scores, Field(description="the probability of each class")),
        unseen=(list[str] | None, Field(None, description=UNSEEN)),
        history=(str | None, Field(None, description=NEWEST)),
    )
    return create_model(
        "Predictions",
        __base__=_Response,
        __doc__=Predictions.__doc__,
        model_version=(str, ...),
        predictions=(list[prediction], ...),
    )


class Detail(_Response):
    """Why the request failed."""

    detail: str


class FieldProblem(_Response):
    """A problem with one field of a row or a label."""

    row: int | None = Field(None, description="counted from 0; null if the problem is the request as a whole")
    field: str | None = None
    problem: str


class Problems(Detail):
    """The problems of a request, at most the first 20."""

    errors: list[FieldProblem]


class ServedModel(_Response):
    """The model that answers requests."""

    case: str
    version: str
    tag: str
    commit: str
    sha256: str
    released: datetime
    signed: bool
    as_of: str | None = Field(description="the last period whose labels the model may know")
    metrics: dict[str, ProvenMetric] = Field(description="measured on the holdout before the release")
    stage: str
    champion_since: datetime | None
    degraded: bool = Field(description="true if monitoring found that the model has become worse")
    shadow: str | None = Field(description="the version that scores the same rows, but never answers")
    refused: str | None = Field(description="why the version in the registry is not the one that is served")
    code: str | None = Field(None, description="names the project's own code that it runs; null without any")
    history: str | None = Field(
        None, description="the last period whose rows it knows, if features look back"
    )


class Health(_Response):
    """The process answers."""

    status: str


class Ready(_Response):
    """Whether the service answers predictions, and with which version."""

    ready: bool
    version: str | None = None
    refused: str | None = Field(None, description="why the version in the registry is not the one served")
    log: str | None = None


class Labelled(_Response):
    """What became of the labels: each id is stored, unknown or superseded."""

    stored: int = Field(description="how many predictions have the given label now")
    unknown: list[str] = Field(description="ids of no prediction")
    superseded: list[str] = Field(description="ids whose label was known later already: it has not changed")


class Reloaded(_Response):
    """The version that is served after the registry was read."""

    version: str
    swapped: bool
