"""Slices: the rows of each value of a column, and what a slice is called."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

MOST_SLICES = 20  # of one column, the largest; nobody reads a report on thousands of destinations


def groups(values: pd.Series, bins: tuple[float, ...] | None) -> dict[Any, npt.NDArray[np.intp]]:
    """The positions of the rows in each slice of a column, by its value.

    Rows whose value is missing or outside the bins form the slice None, so they are not lost unnoticed. It is
    not a word: a category may have any.

    Parameters
    ----------
    values
        The column, shape (rows,).
    bins
        The limits of the slices, each including its lower one; None: each value is a slice.

    Returns
    -------
    At most `MOST_SLICES` slices, the largest.

    """
    # Where one is missing, pandas has read integers as floats.
    whole = values.astype("Int64") if pd.api.types.is_float_dtype(values) and not bins else values
    by = pd.cut(values, intervals_of(bins)) if bins else whole
    places = dict(by.groupby(by, observed=True).indices)
    if by.isna().any():
        places[None] = np.flatnonzero(by.isna())
    largest = sorted(places, key=lambda value: -len(places[value]))[:MOST_SLICES]
    return {value: np.asarray(places[value]) for value in places if value in largest}


def intervals_of(bins: tuple[float, ...]) -> pd.IntervalIndex:
    """The slices of a number, each including its lower limit. `pd.cut` would round the limits."""
    return pd.IntervalIndex.from_breaks(list(bins), closed="left")


def slice_name(column: str, value: object) -> str:
    """The name of a slice, never that of another one; None: the rows without a value.

    >>> slice_name("colour", "none"), slice_name("colour", None), slice_name("a=b", "c")
    ('colour=none', 'colour (none)', '"a=b"=c')
    """
    plain = json.dumps(column, ensure_ascii=False) if "=" in column or column.startswith('"') else column
    return f"{plain} (none)" if value is None else f"{plain}={value}"
