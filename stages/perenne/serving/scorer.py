"""From validated rows to scores: by tables for boosted trees, by a data frame for any other model.

The service scores rows as they come (`encode`, `score`), `perenne predict` whole frames (`score_frame`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import pandas as pd
from sklearn.pipeline import Pipeline

from perenne.common import model, project_code, sklearn_trees
from perenne.common.contract import Contract
from perenne.common.forest import Array, Forest
from perenne.common.recalibrated import Recalibrated
from perenne.serving.rows import InputRow

DTYPES = {"integer": "float64", "number": "float64", "datetime": "datetime64[us]"}


class Scorer(Protocol):
    """Scores many rows at once. What `encode` returns is known to the scorer alone."""

    @property
    def quick(self) -> bool:
        """Whether it is fast enough to run in the event loop; otherwise it runs in a thread."""

    def encode(self, row: InputRow) -> Any:
        """What `score` takes instead of a row."""

    def score(self, encoded: Sequence[Any]) -> Array:
        """Score encoded rows, shape (n,), or (n, classes) where there are several.

        Parameters
        ----------
        encoded
            What `encode` returned for each row; at least one row.

        """

    def score_frame(self, rows: pd.DataFrame) -> Array:
        """Score typed rows all at once: to the bit what `score` says of each.

        Parameters
        ----------
        rows
            As for `model.inputs`; at least one row.

        """


class Tables(NamedTuple):
    """Boosted trees as tables; a date becomes the number of days from it to the row's time."""

    forest: Forest
    contract: Contract
    dates: tuple[str, ...]
    quick: bool = True

    def encode(self, row: InputRow) -> list[int]:
        """The places in the tables that a row selects, one for each feature."""
        if not self.dates:
            return self.forest.encode(row)
        known = [name for name in self.dates if row.get(name) is not None]
        days = {n: (row[self.contract.time] - row[n]).total_seconds() / model.SECONDS_A_DAY for n in known}
        return self.forest.encode({**row, **days})

    def score(self, encoded: Sequence[Any]) -> Array:
        """Score encoded rows: see `Scorer`."""
        return self.forest.score(encoded)

    def score_frame(self, rows: pd.DataFrame) -> Array:
        """Score typed rows: see `Scorer`."""
        return model.by_tables(self.forest, rows, self.contract)


class Frames(NamedTuple):
    """Any other model: one frame for all rows of a batch, built as the pipeline builds it."""

    pipeline: Pipeline
    contract: Contract
    quick: bool = False

    def encode(self, row: InputRow) -> InputRow:
        """The row, unchanged."""
        return row

    def score(self, encoded: Sequence[Any]) -> Array:
        """Score encoded rows: see `Scorer`."""
        names = [*self.contract.features, self.contract.time]
        return self.score_frame(frame(encoded, names, self.contract))

    def score_frame(self, rows: pd.DataFrame) -> Array:
        """Score typed rows: see `Scorer`.

        Raises
        ------
        CodeError
            If code of the project fails, or does not give a number for each row; it has the row.

        """
        return project_code.of_rows(self._scores, rows)

    def _scores(self, rows: pd.DataFrame) -> Array:
        if len(rows) > 1 or self.contract.task.outcome != "class":
            return model.predict(self.pipeline, rows, self.contract)
        # Boosting adds the classes of a single row in another order, see `forest.softmax`: so there are two.
        return model.predict(self.pipeline, pd.concat([rows, rows]), self.contract)[:1]


class Corrected(NamedTuple):
    """A recalibrated model: the scores of another scorer, corrected by the slices of each row."""

    scorer: Scorer
    recalibrated: Recalibrated
    contract: Contract

    @property
    def quick(self) -> bool:
        """As fast as what it corrects."""
        return self.scorer.quick

    def encode(self, row: InputRow) -> tuple[Any, InputRow]:
        """The row as the other scorer takes it, and as it is."""
        return self.scorer.encode(row), row

    def score(self, encoded: Sequence[Any]) -> Array:
        """Score encoded rows: see `Scorer`."""
        scores = self.scorer.score([of_scorer for of_scorer, _ in encoded])
        return self._corrected(scores, frame([row for _, row in encoded], self._slices, self.contract))

    def score_frame(self, rows: pd.DataFrame) -> Array:
        """Score typed rows; one without the column of a slice is in none of its slices."""
        return self._corrected(self.scorer.score_frame(rows), rows.reindex(columns=self._slices))

    @property
    def _slices(self) -> list[str]:
        """The columns by whose values scores are corrected."""
        return [*(self.recalibrated.offsets or ())]

    def _corrected(self, scores: Array, rows: pd.DataFrame) -> Array:
        typed = {name: model.feature(rows, name, self.contract) for name in self._slices}
        return self.recalibrated.corrected(scores, pd.DataFrame(typed))


def frame(rows: Sequence[InputRow], columns: Sequence[str], contract: Contract) -> pd.DataFrame:
    """Some columns of rows, in the types that the stages give them."""
    return pd.DataFrame(
        {
            name: pd.Series(
                [row.get(name) for row in rows], dtype=DTYPES.get(contract.columns[name].type, "object")
            )
            for name in columns
        }
    )


def scorer(pipeline: Pipeline, contract: Contract) -> Scorer:
    """The fastest scorer for a pipeline."""
    estimator = pipeline[-1]
    if isinstance(estimator, Recalibrated):
        return Corrected(scorer(estimator.pipeline, contract), estimator, contract)
    compiled = sklearn_trees.compiled(pipeline)
    if compiled is None:
        return Frames(pipeline, contract)
    dates = tuple(name for name in contract.features if contract.columns[name].type == "datetime")
    return Tables(compiled, contract, dates)
