"""The predictions for one request: what the batcher returns, the metrics count and the caller receives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, NotRequired

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json
from typing_extensions import TypedDict

from perenne.common.contract import Contract

Array = npt.NDArray[np.float64]
Class = str | int


def several(contract: Contract) -> tuple[Class, ...]:
    """The classes that a prediction has a probability for each of; none if it is one number."""
    return contract.classes if contract.task.outcome == "class" else ()


class Distribution(NamedTuple):
    """The most probable class of a row, of equally probable ones the first, and the probability of each."""

    chosen: Class
    scores: dict[str, float]

    def text(self) -> str:
        """The probabilities as JSON, for the log."""
        return to_json(self.scores).decode()


class RowScores(NamedTuple):
    """The scores of some rows; with several classes the probability of the predicted one, and all of them."""

    scores: list[float]
    distributions: Sequence[Distribution] = ()

    @property
    def texts(self) -> Sequence[str | None]:
        """All probabilities of each row as JSON; None where a score is one number."""
        return [one.text() for one in self.distributions] or [None] * len(self.scores)


def scored(array: Array, contract: Contract) -> RowScores:
    """What a scorer returned, row by row.

    Parameters
    ----------
    array
        Shape (n,), or (n, classes) where there are several.
    contract
        Names the classes.

    """
    if array.ndim == 1:
        return RowScores(array.tolist())
    classes, names = several(contract), [str(name) for name in several(contract)]
    places: list[int] = array.argmax(axis=1).tolist()
    rows: list[list[float]] = array.tolist()
    return RowScores(
        [row[place] for row, place in zip(rows, places, strict=True)],
        [
            Distribution(classes[place], dict(zip(names, row, strict=True)))
            for row, place in zip(rows, places, strict=True)
        ],
    )


class PredictResult(NamedTuple):
    """The version that scored a request, and for each row in order its id, score and unseen columns.

    A column is unseen if the row's category in it did not occur in training. With several classes a score is
    the probability of the predicted one, and `distributions` has all of them. `newest` is the time of the
    newest earlier row that was known, if features look back.
    """

    version: str
    ids: list[str]
    scores: list[float]
    unseen: list[list[str]]
    distributions: Sequence[Distribution] = ()
    newest: Sequence[str | None] = ()


# A dict, not a model: this is written for every row. `answers.predictions` describes it in /docs.
PredictionJSON = TypedDict(
    "PredictionJSON",
    {
        "id": str,
        "score": float,
        "class": NotRequired[Class],
        "scores": NotRequired[dict[str, float]],
        "unseen": NotRequired[list[str]],
        "history": NotRequired[str | None],
    },
)


class PredictionsJSON(TypedDict):
    """The body of a response, as its callers read it."""

    model_version: str
    predictions: list[PredictionJSON]


def numbers(prediction: PredictionJSON) -> float | list[float]:
    """The score that a caller received; with several classes all of them, in the contract's order."""
    return [*prediction["scores"].values()] if "scores" in prediction else prediction["score"]


def as_json(result: PredictResult, threshold: float | None) -> bytes:
    """The body of the response.

    Parameters
    ----------
    result
        What the batcher returned.
    threshold
        The lowest score of class 1; None if the target is not an event.

    """
    predictions = _distributions(result) if result.distributions else _numbers(result, threshold)
    for prediction, unseen in zip(predictions, result.unseen, strict=True):
        if unseen:
            prediction["unseen"] = unseen
    for prediction, last in zip(predictions, result.newest, strict=False):  # empty if no feature looks back
        prediction["history"] = last
    return to_json({"model_version": result.version, "predictions": predictions})


def _numbers(result: PredictResult, threshold: float | None) -> list[PredictionJSON]:
    pairs = zip(result.ids, result.scores, strict=True)
    if threshold is None:
        return [{"id": name, "score": score} for name, score in pairs]
    return [{"id": name, "score": score, "class": int(score >= threshold)} for name, score in pairs]


def _distributions(result: PredictResult) -> list[PredictionJSON]:
    return [
        {"id": name, "class": one.chosen, "score": score, "scores": one.scores}
        for name, score, one in zip(result.ids, result.scores, result.distributions, strict=True)
    ]
