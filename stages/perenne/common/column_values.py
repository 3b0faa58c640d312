"""Columns as lists of Python's own values: what a frame and a request have in common.

A feature is computed from these alone, so that a batch, a file and a request give the same bits. Times are
microseconds since 1970, and a missing value is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from perenne.common.column import Type
from perenne.common.periods import TIME

Columns = dict[str, list[Any]]  # by name: float, int, bool, str or None

DTYPES: dict[Type, str] = {
    "integer": "Int64",
    "number": "float64",
    "boolean": "boolean",
    "category": "str",
    "datetime": TIME,
    "text": "str",
}


def plain(values: pd.Series, kind: Type) -> list[Any]:
    """The values of a typed column, shape (n,).

    >>> plain(pd.Series([1.5, None]), "number"), plain(pd.Series(["1970-01-02"], dtype=TIME), "datetime")
    ([1.5, None], [86400000000])
    """
    match kind:
        case "number":
            return [None if value != value else value for value in values.astype("float64").tolist()]
        case "datetime":
            missing = values.isna().tolist()
            times = values.astype(TIME).astype("int64").tolist()
            return [None if gone else time for time, gone in zip(times, missing, strict=True)]
        case "integer" | "boolean":
            nullable = values.astype("boolean" if kind == "boolean" else "Int64")
            missing = nullable.isna().tolist()
            return [None if gone else value for value, gone in zip(nullable.tolist(), missing, strict=True)]
        case _:
            return values.astype(object).where(values.notna(), None).tolist()


def series(values: Sequence[Any], kind: Type, index: pd.Index | None = None) -> pd.Series:
    """The inverse of `plain`: a column in the contract's type, as `batches.typed` has it.

    >>> series([None, 2], "integer").tolist()
    [<NA>, 2]
    """
    if kind == "datetime":
        return pd.Series(pd.array(values, dtype="Int64"), index=index).astype(TIME)
    return pd.Series(values, index=index, dtype=DTYPES[kind])
