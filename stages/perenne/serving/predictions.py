"""The predictions for one request: what the batcher returns, the metrics count and the caller receives."""

from __future__ import annotations

from typing import NamedTuple, NotRequired

from pydantic_core import to_json
from typing_extensions import TypedDict


class PredictResult(NamedTuple):
    """The version that scored a request, and for each row in order its id, score and unseen columns.

    A column is unseen if the row's category in it did not occur in training.
    """

    version: str
    ids: list[str]
    scores: list[float]
    unseen: list[list[str]]


# A dict, not a model: this is written for every row. `answers.Prediction` describes it in /docs.
PredictionJSON = TypedDict(
    "PredictionJSON",
    {"id": str, "score": float, "class": NotRequired[int], "unseen": NotRequired[list[str]]},
)


def as_json(result: PredictResult, threshold: float | None) -> bytes:
    """The body of the response.

    Parameters
    ----------
    result
        What the batcher returned.
    threshold
        The lowest score of class 1; None if the target has no classes.

    """
    predictions: list[PredictionJSON] = [
        {"id": name, "score": score} for name, score in zip(result.ids, result.scores, strict=True)
    ]
    for prediction, unseen in zip(predictions, result.unseen, strict=True):
        if threshold is not None:
            prediction["class"] = int(prediction["score"] >= threshold)
        if unseen:
            prediction["unseen"] = unseen
    return to_json({"model_version": result.version, "predictions": predictions})
