"""The derived features of rows in files: by the version's store, and by the files' earlier rows."""

from __future__ import annotations

import pandas as pd

from perenne.common.column_values import Columns
from perenne.common.contract import Contract
from perenne.common.features import columns_of, early, with_features
from perenne.common.past import Past, moments
from perenne.common.project_code import CodeError


class FileFeatures:
    """Adds derived features to typed rows.

    Rows of periods after the store's last one are added to what it knows, with their features. Their targets
    do not count: a file to be scored has none.

    Parameters
    ----------
    contract
        Declares the features.
    past
        The store of the version; None: it has none. It is added to.

    """

    def __init__(self, contract: Contract, past: Past | None) -> None:
        self.contract = contract
        self.past = past or Past(contract)

    def add(self, rows: pd.DataFrame) -> None:
        """Let later rows know of these; those that the store has, or that have no time, are left out."""
        timed = rows[rows[self.contract.time].notna()]
        _, of = moments(timed, self.contract)
        through = self.past.through
        new = timed[[through is None or period > through.ordinal for period in of]]
        try:
            columns = early(columns_of(new, self.contract), self.contract)
        except CodeError as error:
            error.row = None if error.row is None else rows.index.tolist().index(new.index[error.row])
            raise
        self.past.add(columns, *moments(new, self.contract))

    def complete(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows with all their features; what a file has of those that look back is left.

        A row of a period before the store's last one has no such features: it no longer has its past.
        """
        if not self.contract.remembered:
            return with_features(rows, self.contract, lambda _: {})
        times, of = moments(rows, self.contract)
        through = self.past.through

        def look(columns: Columns) -> Columns:
            made = self.past.figures(columns, times, of)
            known = [through is None or period >= through.ordinal for period in of]
            return {
                name: [value if has else None for value, has in zip(values, known, strict=True)]
                for name, values in made.items()
            }

        return with_features(rows, self.contract, look)
