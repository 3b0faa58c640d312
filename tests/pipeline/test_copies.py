"""Rows that are there twice are a line, where chance cannot have made them equal and nothing else says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common.contract import Contract
from perenne.common.typed import parse
from perenne.pipeline import copies


def contract(**more: Any) -> Contract:
    """Visits by month."""
    columns = {
        "who": {"type": "integer", "role": "ignored"},
        "seen": {"type": "datetime", "role": "time"},
        "size": {"type": "number", "role": "feature"},
        "won": {"type": "integer", "values": [0, 1], "role": "target"},
    }
    given = {"row": "a visit", "task": "binary", "period": "month", "label_delay": 0, "columns": columns}
    given |= {key: value for key, value in more.items() if key != "columns"}
    for name, column in more.get("columns", {}).items():
        columns[name] = columns[name] | column
    return parse(Contract, given, "contract.yaml")


def visits(n: int = 600, *, digits: int | None = None) -> pd.DataFrame:
    """Different visits, of one day each; `digits` rounds their size."""
    rng = np.random.default_rng(0)
    size = rng.random(n) if digits is None else rng.random(n).round(digits)
    seen = pd.Timestamp("2020-01-15") + pd.to_timedelta(rng.integers(0, 90, n), unit="D")
    return pd.DataFrame({"who": 1, "seen": seen, "size": size, "won": rng.integers(0, 2, n)})


TWICE = pd.concat([visits(), visits()[:200]], ignore_index=True)


def test_copies_are_counted() -> None:
    """With what is wrong about them, and what would do."""
    (line,) = copies.warnings(TWICE, contract())
    assert line.startswith("200 of 800 rows are copies of another row, equal in every column: ")
    assert line.endswith("drop them, or give a column of what they are about the role `entity`")


@pytest.mark.parametrize(
    ("rows", "rules"),
    [
        (visits(), contract()),
        (pd.concat([visits(), visits()[:5]]), contract()),
        (pd.concat([visits(digits=1), visits(digits=1)]), contract()),
        (TWICE.assign(won=lambda rows: np.arange(len(rows)) // 600 % 2), contract()),
        (TWICE, contract(columns={"who": {"role": "entity"}})),
        (TWICE, contract(columns={"who": {"role": "block"}})),
        (TWICE, contract(block="none")),
    ],
    ids=["none", "few", "by chance", "other outcomes", "entity", "block", "independent"],
)
def test_nothing_is_said_of_others(rows: pd.DataFrame, rules: Contract) -> None:
    """Of rows that differ, that may be equal by chance, or whose likeness is known."""
    assert list(copies.warnings(rows, rules)) == []
