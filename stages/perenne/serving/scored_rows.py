"""From validated rows to their predictions, in the answer and in the log."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

from pydantic_core import to_json

from perenne.common.names import PROD
from perenne.serving.log import Entry
from perenne.serving.predictions import Array, PredictResult, scored
from perenne.serving.rows import InputRow
from perenne.serving.served import Served


class PreparedRows(NamedTuple):
    """Rows with all their features, and as the model of a version takes them."""

    served: Served
    rows: Sequence[InputRow]
    newest: Sequence[str | None]
    encoded: Sequence[Any]  # the scorer alone knows what

    @classmethod
    def of(cls, served: Served, rows: Sequence[InputRow]) -> Self:
        """Prepare rows; a `CodeError` names the row if code of the project fails."""
        completed, newest = served.features.complete(rows)
        encode = served.scorer.encode
        return cls(served, completed, newest, [encode(row) for row in completed])

    def score(self) -> Array:
        """Score them."""
        return self.served.scorer.score(self.encoded)


class ScoredRows(NamedTuple):
    """Predictions for rows that one version has scored, and their entries for the log."""

    result: PredictResult
    entries: list[Entry]

    @classmethod
    def of(cls, prepared: PreparedRows, array: Array, now: datetime) -> Self:
        """Give each row an id, and its score.

        Parameters
        ----------
        prepared
            The rows.
        array
            What the scorer says of them.
        now
            When, in UTC.

        """
        served, rows = prepared.served, prepared.rows
        found = scored(array, served.contract)
        version, ids = served.version.version, [new_id() for _ in rows]
        unseen = [served.unseen(row) for row in rows]
        entries = [
            Entry(name, now, PROD, version, features(row), score, text)
            for name, row, score, text in zip(ids, rows, found.scores, found.texts, strict=True)
        ]
        result = PredictResult(version, ids, found.scores, unseen, found.distributions, prepared.newest)
        return cls(result, entries)

    def part(self, start: int, end: int) -> PredictResult:
        """The predictions for some of the rows."""
        version, ids, scores, unseen, distributions, newest = self.result
        some = slice(start, end)
        return PredictResult(
            version, ids[some], scores[some], unseen[some], distributions[some], newest[some]
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put the parts of a request together again, at least one."""
        results = [part.result for part in parts]
        result = PredictResult(
            results[0].version,
            [id_ for one in results for id_ in one.ids],
            [score for one in results for score in one.scores],
            [columns for one in results for columns in one.unseen],
            [distribution for one in results for distribution in one.distributions],
            [time for one in results for time in one.newest],
        )
        return cls(result, [entry for part in parts for entry in part.entries])


def new_id() -> str:
    """A unique id for a prediction; an id from a later millisecond sorts after it."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def features(row: InputRow) -> str:
    """A row as JSON for the log, with the columns in the contract's order."""
    return to_json(row).decode()
