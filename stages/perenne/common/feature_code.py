"""Features that code of the project makes, of the row itself and of no other row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from perenne.common import project_code
from perenne.common.column import Type
from perenne.common.column_values import Columns, plain, series
from perenne.common.contract import Contract
from perenne.common.errors import hint
from perenne.common.project_code import CodeError

ALONE = 20  # rows that are also computed one by one
SEED = 0


def seen(contract: Contract) -> list[str]:
    """The delivered columns that code sees unless its `of` names others: those that every request has."""
    return [n for n, c in contract.raw.items() if {"feature", "source", "time"} & set(c.role)]


def made(name: str, columns: Columns, contract: Contract, *, check: bool) -> list[Any]:
    """The values of a feature, shape (n,), in the types of `perenne.common.column_values`.

    Parameters
    ----------
    name
        The feature.
    columns
        With those that its code sees.
    contract
        Declares it.
    check
        Also compute it again, for shuffled halves and for single rows: the values must be the same.

    Raises
    ------
    CodeError
        If the code fails, returns something else than a value for each row, or a row's value depends on
        other rows. It has the row, if it is of one.

    """
    spec = contract.derived[name]
    key = f"contract.yaml: derived.{name}: {spec.code}"
    assert spec.code  # noqa: S101 -- as its caller knows
    function = project_code.imported(spec.code, f"contract.yaml: derived.{name}.code")
    names = spec.ingredients or seen(contract)
    frame = pd.DataFrame({n: series(columns[n], contract.columns[n].type) for n in names})
    kind = contract.columns[name].type
    file = project_code.file_of(spec.code)

    def values(rows: pd.DataFrame) -> pd.Series:
        return _values(function, rows, name, kind, key, file)

    if frame.empty:
        return []
    whole = project_code.of_rows(values, frame)
    if check:
        _check(whole, frame, values, key)
    return plain(whole, kind)


def _values(
    function: Callable[[pd.DataFrame], object], rows: pd.DataFrame, name: str, kind: Type, key: str, file: str
) -> pd.Series:
    """One call, checked."""
    try:
        found = function(rows.copy())
    except project_code.FAILURES as error:
        raise project_code.failed(error, file) from error
    if isinstance(found, pd.DataFrame):
        if name not in found:
            raise _wrong(f"{key}: returns no column {name!r}; {hint(name, found.columns)}")
        found = found[name]
    if not isinstance(found, pd.Series):
        raise _wrong(f"{key}: returns a {type(found).__name__}, must be a Series or a DataFrame")
    if not found.index.equals(rows.index):
        raise _wrong(
            f"{key}: returns {len(found)} values for {len(rows)} rows or another index; "
            "keep the index of its rows"
        )
    try:
        return _typed(found, kind)
    except (ValueError, TypeError) as error:
        raise _wrong(
            f"{key}: returns values of dtype {found.dtype}, must be {kind}s; convert them, "
            "or declare their type, as in type: category"
        ) from error


def _wrong(text: str) -> CodeError:
    """No value of a row is in these texts."""
    return CodeError(text, text)


def _typed(found: pd.Series, kind: Type) -> pd.Series:
    if kind == "category" and not all(isinstance(value, str) for value in found.dropna().unique()):
        raise TypeError
    if pd.api.types.is_complex_dtype(found):
        raise TypeError
    if kind in ("integer", "number") and not (
        pd.api.types.is_numeric_dtype(found) or pd.api.types.is_bool_dtype(found)
    ):
        raise TypeError
    typed = series(plain(found, kind), kind, found.index)
    return typed.where(typed.abs() < np.inf) if kind == "number" else typed


def _check(
    whole: pd.Series, frame: pd.DataFrame, values: Callable[[pd.DataFrame], pd.Series], key: str
) -> None:
    """Check that a value depends on its own row alone."""
    if not values(frame).equals(whole):
        raise _wrong(f"{key}: gives the same rows other values each time; seed what is random in it")
    order = np.random.default_rng(SEED).permutation(len(frame))
    half = len(order) // 2
    parts = [order[:half], order[half:], *(order[row : row + 1] for row in range(ALONE))]
    for part in parts:
        # Numbered anew: a row's place in its batch is no value of the row.
        rows = frame.iloc[part].reset_index(drop=True)
        if len(part) and not values(rows).equals(whole.iloc[part].reset_index(drop=True)):
            raise _wrong(
                f"{key}: the value of a row depends on other rows; it must be made of the row alone "
                "(means, ranks and counts of a batch are not known when one row is predicted)"
            )
