"""Small inputs of which the truth is known: what drift and gate say of them must be that. Fixed seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.typed import parse

Rng = np.random.Generator

HEAD = "row: one {row}\ntask: {task}\nperiod: month\nlabel_delay: 0\ncolumns:\n"


class Input(NamedTuple):
    """Rows, what they are, where history is cut, and what is true of them."""

    draw: Callable[[], pd.DataFrame]
    text: str
    as_of: str
    window: int
    holdout: int
    through: str
    truth: str

    @property
    def contract(self) -> Contract:
        """What the rows are."""
        return parse(Contract, strict_yaml.loads(self.text), "contract.yaml")


def times(rng: Rng, start: str, months: int, n: int) -> pd.Series:
    """So many moments in each of some months, in order, to the second."""
    found = []
    for month in pd.period_range(start, periods=months, freq="M"):
        seconds = np.sort(rng.integers(0, int(month.days_in_month) * 86400, n))
        found.append(np.asarray(month.start_time + pd.to_timedelta(seconds, unit="s")))
    return pd.Series(np.concatenate(found))


def orders() -> pd.DataFrame:
    """Returns .40 at weekends and .10 on weekdays; the weekday is a feature."""
    rng = np.random.default_rng(1)
    when = times(rng, "2024-01", 18, 2000)
    weekday = when.dt.dayofweek
    y = rng.random(len(when)) < np.where(weekday >= 5, 0.40, 0.10)
    price = rng.gamma(3, 20, len(when)).round(2)
    return pd.DataFrame(
        {"order": np.arange(len(when)), "when": when, "weekday": weekday, "price": price, "returned": y * 1}
    )


def parcels() -> pd.DataFrame:
    """Errors a fifth larger from May 2025 on."""
    rng = np.random.default_rng(2)
    when = times(rng, "2024-01", 20, 1500)
    x = rng.normal(size=len(when))
    hours = 24 + 3 * x + rng.normal(size=len(when)) * np.where(when >= "2025-05-01", 1.2, 1.0)
    return pd.DataFrame(
        {"parcel": np.arange(len(when)), "when": when, "x": x.round(4), "hours": hours.round(3)}
    )


def deliveries() -> pd.DataFrame:
    """Days share a shock of sd 7 beside 30 of a row."""
    rng = np.random.default_rng(3)
    when = times(rng, "2024-01", 18, 3000)
    day = when.dt.normalize()
    days = pd.Series(day.unique())
    shock = pd.Series(rng.normal(0, 7, len(days)), index=days)
    x = rng.normal(size=len(when))
    y = 30 + 5 * x + day.map(shock).to_numpy() + rng.normal(0, 30, len(when))
    return pd.DataFrame({"id": np.arange(len(when)), "when": when, "x": x.round(4), "delay": y.round(2)})


def branches() -> pd.DataFrame:
    """Every month has its own shock of .1 on the logit, for ever."""
    rng = np.random.default_rng(4)
    frames = []
    for month in pd.period_range("2023-01", periods=30, freq="M"):
        x, shock = rng.normal(size=5000), rng.normal(0, 0.1)
        y = rng.random(5000) < 1 / (1 + np.exp(-(-1.5 + x + shock)))
        frames.append(pd.DataFrame({"when": month.start_time, "x": x.round(4), "y": y * 1}))
    whole = pd.concat(frames, ignore_index=True)
    return whole.assign(id=np.arange(len(whole)))


def weather() -> pd.DataFrame:
    """Five years of the same seasons, a row a day."""
    rng = np.random.default_rng(5)
    days = pd.date_range("2020-01-01", "2024-12-31")
    season = np.sin(2 * np.pi * (days.dayofyear - 100) / 365.25)
    temp = 12 + 10 * season + rng.normal(0, 3, len(days))
    rain = rng.random(len(days)) < 1 / (1 + np.exp(0.08 * (temp - 10)))
    humid = (70 - 1.5 * temp + rng.normal(0, 8, len(days))).round(1)
    return pd.DataFrame({"day": days, "temp": temp.round(1), "humid": humid, "rain": rain * 1})


def fraud() -> pd.DataFrame:
    """Seven events in ten thousand, written yes and no."""
    rng = np.random.default_rng(6)
    when = times(rng, "2024-01", 12, 40000)
    n = len(when)
    amount, age, far = rng.lognormal(3, 1, n), rng.gamma(2, 200, n), rng.random(n) < 0.03
    y = rng.random(n) < 1 / (1 + np.exp(8.2 - 0.8 * (np.log(amount) - 3) + 0.002 * age - 4.5 * far))
    return pd.DataFrame(
        {
            "payment": np.arange(n),
            "when": when,
            "amount": amount.round(2),
            "account_days": age.round(0).astype(int),
            "far_away": np.where(far, "yes", "no"),
            "fraud": np.where(y, "yes", "no"),
        }
    )


WHEN = "  when: {type: datetime, role: time}\n"
X = "  x: {type: number, role: feature}\n"
ORDERS = f"""\
  order: {{type: integer, role: entity}}
{WHEN}  weekday: {{type: integer, role: feature, range: [0, 6]}}
  price: {{type: number, role: feature}}
  returned: {{type: integer, role: target, values: [0, 1]}}
"""
PARCELS = f"  parcel: {{type: integer, role: entity}}\n{WHEN}{X}  hours: {{type: number, role: target}}\n"
DELIVERIES = f"  id: {{type: integer, role: entity}}\n{WHEN}{X}  delay: {{type: number, role: target}}\n"
BRANCHES = f"""\
  id: {{type: integer, role: entity}}
{WHEN}{X}  y: {{type: integer, role: target, values: [0, 1]}}
"""
WEATHER = """\
  day: {type: datetime, role: time}
  temp: {type: number, role: feature}
  humid: {type: number, role: feature}
  rain: {type: integer, role: target, values: [0, 1]}
"""
FRAUD = f"""\
  payment: {{type: integer, role: entity}}
{WHEN}  amount: {{type: number, role: feature}}
  account_days: {{type: integer, role: feature}}
  far_away: {{type: category, role: feature, values: ["yes", "no"]}}
  fraud: {{type: boolean, role: target}}
"""


def _head(row: str, task: str) -> str:
    return HEAD.format(row=row, task=task)


INPUTS = {
    "orders": Input(
        orders, _head("order", "binary") + ORDERS, "2024-12", 9, 3, "2025-06", "nothing changes: no retrain"
    ),
    "parcels": Input(
        parcels,
        _head("parcel", "regression") + PARCELS,
        "2024-12",
        9,
        3,
        "2025-08",
        "errors x 1.2: retrain, since 2025-05",
    ),
    "deliveries": Input(
        deliveries,
        _head("delivery", "regression") + DELIVERIES,
        "2024-12",
        9,
        3,
        "2025-06",
        "days share a shock, nothing changes: a line says so, no retrain",
    ),
    "branches": Input(
        branches,
        _head("visit", "binary") + BRANCHES,
        "2024-06",
        12,
        6,
        "2025-06",
        "each month has its shock, nothing changes: no retrain",
    ),
    "weather": Input(
        weather,
        _head("day", "binary") + WEATHER,
        "2022-12",
        24,
        12,
        "2024-12",
        "seasons: look in at most one month of twelve",
    ),
    "fraud": Input(
        fraud,
        _head("payment", "binary") + FRAUD,
        "2024-09",
        6,
        3,
        "2024-12",
        "82 events in the holdout: the floor can be passed, calibration cannot, and the gate says so",
    ),
}
