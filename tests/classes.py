"""A case of three classes whose chances are known: fields by month, and what grows on them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import predicted, strict_yaml
from perenne.common.contract import Contract
from perenne.common.typed import parse

Array = npt.NDArray[np.float64]

CROPS = ("wheat", "maize", "rye")  # about .5, .35 and .15 of the fields
CONTRACT = """\
row: one field
task: multiclass
period: month
label_delay: 0
columns:
  id: {type: integer, role: entity}
  seen: {type: datetime, role: time}
  rain: {type: number, role: feature}
  height: {type: number, role: feature}
  soil: {type: category, role: [feature, slice], values: [clay, sand]}
  crop: {type: category, role: target, values: [wheat, maize, rye]}
"""
MONTHS = tuple(str(month) for month in pd.period_range("2021-01", "2021-10", freq="M"))


def contract(old: str = "", new: str = "", text: str = CONTRACT) -> Contract:
    """Return the contract, with one piece of its text replaced."""
    assert old in text, old
    return parse(Contract, strict_yaml.loads(text.replace(old, new)), "contract.yaml")


def chances(rows: pd.DataFrame, shift: Array | float = 0.0) -> Array:
    """Return the true probability of each crop, shape (rows, 3); `shift` is added to the log odds of each."""
    rain, height = rows["rain"].to_numpy(float), rows["height"].to_numpy(float)
    sand = (rows["soil"] == "sand").to_numpy(float)
    odds = np.column_stack([0.5 + height, 0.2 + rain - 0.5 * sand, -1.0 - rain + 0.5 * sand]) + shift
    odds = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def fields(month: str, seed: int, n: int = 600, shift: Array | float = 0.0) -> pd.DataFrame:
    """Return typed rows of a month; `shift` as for `chances`."""
    rng = np.random.default_rng([seed, pd.Period(month, freq="M").ordinal])
    start = pd.Period(month, freq="M").start_time
    rows = pd.DataFrame(
        {
            "id": np.arange(n),
            "seen": (start + pd.to_timedelta(np.sort(rng.integers(0, 28, n)), unit="D")).astype(
                "datetime64[us]"
            ),
            "rain": rng.normal(size=n).round(3),
            "height": rng.normal(size=n).round(3),
            "soil": pd.Series(rng.choice(["clay", "sand"], n), dtype="str"),
        }
    )
    places = (chances(rows, shift).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return rows.assign(crop=pd.Series(np.array(CROPS)[places], dtype="str"))


def history(seed: int, n: int = 600) -> dict[pd.Period, pd.DataFrame]:
    """Return the rows of all months, by month."""
    return {pd.Period(month, freq="M"): fields(month, seed, n) for month in MONTHS}


def right(rows: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return rows with the predictions of a right model: the true chances."""
    return predicted.assign(rows, chances(rows).round(9), contract)
