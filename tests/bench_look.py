"""How `look` does in ordinary life: on seasons, weekdays and days that share their weather; and what it sees.

Twelve columns, monthly batches, rows without a block. Every stream is compared batch by batch as the drift
stage does it, the joint test aside, which costs most of the time; the rows on `weather` are the whole stage.
Seeds are fixed, intervals exact 95 % binomial ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TypeAlias

import numpy as np
import pandas as pd

from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.params import Drift, Tolerance
from perenne.common.typed import parse
from perenne.pipeline.drift import drift
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.stats.metrics import Array
from perenne.stats.multiplicity import Looks
from perenne.watch import baseline, covariates
from perenne.watch.covariates import Key
from tests.bench_covariates import interval

COLUMNS = 12
SPEC = Drift(false_discovery_rate=0.05, min_effect=0.05, periods_per_false_alarm=160, report_rows=1, seed=0)
HEAD = "task: binary\nperiod: month\nlabel_delay: 0\ncolumns:\n"
LABEL = "  y: {type: integer, role: target, values: [0, 1]}\n"
NUMBER = "{type: number, role: feature}"
NUMBERS = "".join(f"  x{k}: {NUMBER}\n" for k in range(COLUMNS))
CONTRACT = parse(
    Contract,
    strict_yaml.loads(
        f"row: one visit\n{HEAD}  at: {{type: datetime, role: [time, entity]}}\n{NUMBERS}{LABEL}"
    ),
    "contract.yaml",
)
WEATHER = parse(
    Contract,
    strict_yaml.loads(
        f"row: one day\n{HEAD}  day: {{type: datetime, role: [time, entity]}}\n"
        f"  temp: {NUMBER}\n  humid: {NUMBER}\n{LABEL}"
    ),
    "contract.yaml",
)

Draw: TypeAlias = Callable[[np.random.Generator, pd.Series], Array]


def iid(rng: np.random.Generator, at: pd.Series) -> Array:
    """Draw independent normal columns."""
    return rng.normal(size=(len(at), COLUMNS))


def weekday(rng: np.random.Generator, at: pd.Series) -> Array:
    """Draw columns that are one standard deviation higher at weekends."""
    columns: Array = iid(rng, at) + (at.dt.dayofweek.to_numpy() >= 5)[:, None]
    return columns


def seasonal(rng: np.random.Generator, at: pd.Series, between: float = 0.05) -> Array:
    """Draw columns with seasons of 1.5 standard deviations, in which the years differ by `between`."""
    phase = 2 * np.pi * (at.dt.dayofyear.to_numpy()[:, None] / 365.25 + np.arange(COLUMNS) / COLUMNS)
    columns: Array = iid(rng, at) + 1.5 * np.sin(phase) + rng.normal(0, between, COLUMNS)
    return columns


def restless(rng: np.random.Generator, at: pd.Series) -> Array:
    """Draw the same with years that differ twice as much: 0.3 standard deviations are three times as much."""
    return seasonal(rng, at, 0.1)


def shocks(rng: np.random.Generator, at: pd.Series) -> Array:
    """Draw columns of which the rows of a day share half of their variance."""
    day = at.dt.dayofyear.to_numpy()
    columns: Array = (iid(rng, at) + rng.normal(size=(367, COLUMNS))[day]) / np.sqrt(2)
    return columns


def month(rng: np.random.Generator, draw: Draw, period: pd.Period, rows: int) -> pd.DataFrame:
    """Draw a month's rows, as many as are usual give or take chance."""
    n = rng.poisson(rows)
    seconds = np.sort(rng.integers(0, period.days_in_month * 86_400, n))
    at = pd.Series(period.start_time + pd.to_timedelta(seconds, unit="s"))
    frame = pd.DataFrame(draw(rng, at), columns=[f"x{k}" for k in range(COLUMNS)])
    return frame.assign(at=at, y=0.0, **{PREDICTION: rng.uniform(size=n)})


def stream(
    seed: int, draw: Draw, *, rows: int, reference: int, months: int, shift: float = 0.0
) -> list[dict[Key, float]]:
    """Return the looks month by month after a reference; the first column moves by `shift` in all of them."""
    rng = np.random.default_rng([rows, reference, months, seed])
    periods = pd.period_range("2020-01", periods=reference + months, freq="M")
    frames = {period: month(rng, draw, period, rows) for period in periods}
    before = baseline.baseline({p: frames[p] for p in periods[:reference]}, CONTRACT)
    looks = Looks[Key](level=SPEC.false_discovery_rate, floor=SPEC.min_effect)
    found, last = [], None
    for period in periods[reference:]:
        batch = frames[period].assign(x0=lambda f: f["x0"] + shift)
        tests = covariates.columnwise(before, baseline.tallied(batch, before, CONTRACT), period)
        tests |= covariates.as_tests(covariates.arrivals(before, period, batch, CONTRACT, matured=False))
        found.append(looks.update(tests, covariates.in_common(before, last, batch, CONTRACT)))
        last = batch
    return found


def weather(seed: int, days: pd.DatetimeIndex) -> dict[pd.Period, pd.DataFrame]:
    """Draw temperatures and humidity day by day, month by month, with a right model of rain."""
    rng = np.random.default_rng([5, seed])
    season = np.sin(2 * np.pi * (days.dayofyear - 100) / 365.25)
    temp = 12 + 10 * season + rng.normal(0, 3, len(days))
    chance = 1 / (1 + np.exp(0.08 * (temp - 10)))
    rows = pd.DataFrame(
        {
            "day": days.astype("datetime64[us]"),
            "temp": temp.round(1),
            "humid": (70 - 1.5 * temp + rng.normal(0, 8, len(days))).round(1),
            "y": (rng.random(len(days)) < chance).astype(float),
            PREDICTION: chance,
        }
    )
    return {p: part.reset_index(drop=True) for p, part in rows.groupby(rows["day"].dt.to_period("M"))}


def weather_looks(seed: int) -> list[str]:
    """Return the drift stage's advice in each of 24 months after three years, of which one has scores."""
    months = weather(seed, pd.date_range("2020-01-01", "2024-12-31"))
    reference, later = list(months)[:36], list(months)[36:]
    known = {p: months[p].assign(**({PREDICTION: np.nan} if p < reference[24] else {})) for p in reference}
    current = [ScoredBatch(p, months[p], matured=False) for p in later]
    validated = {p: months[p] for p in reference[24:]}
    report = drift(known, validated, current, {}, SPEC, Tolerance(), WEATHER)
    return [batch.level for batch in report.batches]


def any_look(draw: Draw, reference: int, seed: int) -> bool:
    """Return whether 36 clean months ask for any look."""
    return any(stream(seed, draw, rows=500, reference=reference, months=36))


def seen_by(draw: Draw, reference: int, seed: int) -> int:
    """Return in which month after the change the column that moved asks for a look; 99 for none of four."""
    looks = stream(1_000 + seed, draw, rows=2_000, reference=reference, months=4, shift=0.3)
    return next((k for k, found in enumerate(looks, 1) if ("x0", "distribution") in found), 99)


def table(runs: int = 10) -> str:
    """Return looks in clean months and power, beside their goals, as text."""
    os.environ["OMP_NUM_THREADS"] = "1"  # small matrices: one stream a core
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return "\n".join([*_weather(pool, runs), *_clean(pool, runs), *_power(pool, runs)])


def _weather(pool: ProcessPoolExecutor, runs: int) -> Iterator[str]:
    levels = [level for found in pool.map(weather_looks, range(runs)) for level in found]
    yield f"{'clean months of weather, 3 years of reference':<58} % of months with a look     goal"
    yield f"{f'{runs} streams of 24 months':<58} {interval(levels.count('look'), len(levels)):>24}   <= 8.3"


def _clean(pool: ProcessPoolExecutor, runs: int) -> Iterator[str]:
    yield f"{'36 clean months, 500 rows each':<58} % of streams with any look  goal"
    for draw in (iid, weekday, seasonal, shocks):
        for reference in (36, 14):
            looks = sum(pool.map(partial(any_look, draw, reference), range(runs)))
            what = f"{draw.__name__}, {reference} months of reference"
            yield f"{what:<58} {interval(looks, runs):>24}   <= 5"


def _power(pool: ProcessPoolExecutor, runs: int) -> Iterator[str]:
    yield f"{'one of 12 columns moves by 0.3 sd, 2,000 rows a month':<58} % of streams with this look  goal"
    for draw, reference in ((iid, 6), (iid, 36), (seasonal, 36), (restless, 36)):
        month = list(pool.map(partial(seen_by, draw, reference), range(runs)))
        for by in (2, 4):
            what = f"{draw.__name__}, {reference} months of reference, by month {by}"
            yield f"{what:<58} {interval(sum(m <= by for m in month), runs):>24}   >= 80"


if __name__ == "__main__":
    print(table())
