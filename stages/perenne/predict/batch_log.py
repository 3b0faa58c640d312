"""The prediction log of a batch: the service's own, so that outcomes reported there find its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy.exc import SQLAlchemyError

from perenne.common import batches
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import PROD
from perenne.serving.log import Entry
from perenne.serving.log.database import Database, reason
from perenne.serving.predictions import scored
from perenne.serving.scored_rows import features

GROUP = 5_000  # rows in one transaction: a service that writes to the same log waits for it


class BatchLog:
    """Writes the predictions of one version.

    Parameters
    ----------
    url
        Of SQLite or PostgreSQL, see `Database`.

    Raises
    ------
    PerenneError
        If the database cannot be opened.

    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(
        self,
        rows: pd.DataFrame,
        ids: Sequence[str],
        scores: npt.ArrayLike,
        *,
        version: str,
        at: datetime,
        contract: Contract,
    ) -> int:
        """Commit the predictions of some rows, as the service does; return how many are new.

        Parameters
        ----------
        rows
            In the contract's types.
        ids, scores
            Of the rows; scores have the shape (rows,), or (rows, classes) where there are several. One whose
            id is in the log already is left as it is.
        version
            That scored them.
        at
            When, in UTC.
        contract
            That of the version.

        Raises
        ------
        PerenneError
            If the log cannot be written.

        """
        table = batches.to_table(rows, batches.schema(contract, list(rows.columns)))
        found = scored(np.asarray(scores, dtype=np.float64), contract)
        sent = [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]
        entries = [
            Entry(name, at, PROD, version, features(row), score, text)
            for name, row, score, text in zip(ids, sent, found.scores, found.texts, strict=True)
        ]
        try:
            return sum(
                self._database.add(entries[start : start + GROUP]) for start in range(0, len(entries), GROUP)
            )
        except SQLAlchemyError as error:
            raise PerenneError(f"{self._database.name}: {reason(error)}") from error
