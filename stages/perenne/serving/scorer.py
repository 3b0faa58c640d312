"""From validated rows to scores, without a frame where the model is one that tables can score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from perenne.common import model
from perenne.common.contract import Contract
from perenne.serving import forest
from perenne.serving.forest import Forest

Array = npt.NDArray[np.float64]

DTYPES = {"integer": "float64", "number": "float64", "datetime": "datetime64[us]"}


class Scorer(Protocol):
    """Scores many rows at once."""

    @property
    def quick(self) -> bool:
        """Whether it may run in the loop that answers."""

    def encode(self, row: Mapping[str, Any]) -> Any:
        """What the model sees of a row."""

    def score(self, encoded: Sequence[Any]) -> Array:
        """Score encoded rows, shape (n,)."""


class Tables(NamedTuple):
    """Boosted trees as tables; a date becomes the days from it to the row's own time."""

    forest: Forest
    time: str
    dates: tuple[str, ...]
    quick: bool = True

    def encode(self, row: Mapping[str, Any]) -> list[int]:
        """The rows of the tables that a row picks."""
        if not self.dates:
            return self.forest.encode(row)
        known = [name for name in self.dates if row.get(name) is not None]
        days = {n: (row[self.time] - row[n]).total_seconds() / model.SECONDS_A_DAY for n in known}
        return self.forest.encode({**row, **days})

    def score(self, encoded: Sequence[Any]) -> Array:
        """Score encoded rows, shape (n,)."""
        return self.forest.score(encoded)


class Frames(NamedTuple):
    """Any other model: one frame for all rows that wait, made as the pipeline makes it."""

    pipeline: Pipeline
    contract: Contract
    quick: bool = False

    def encode(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The row as it is."""
        return row

    def score(self, encoded: Sequence[Any]) -> Array:
        """Score encoded rows, shape (n,)."""
        names = [*self.contract.features, self.contract.time]
        columns = {
            name: pd.Series(
                [row.get(name) for row in encoded],
                dtype=DTYPES.get(self.contract.columns[name].type, "object"),
            )
            for name in names
        }
        return model.predict(self.pipeline, pd.DataFrame(columns), self.contract)


def scorer(pipeline: Pipeline, contract: Contract) -> Scorer:
    """The quickest way to score by a pipeline."""
    compiled = forest.compiled(pipeline)
    if compiled is None:
        return Frames(pipeline, contract)
    dates = tuple(name for name in contract.features if contract.columns[name].type == "datetime")
    return Tables(compiled, contract.time, dates)
