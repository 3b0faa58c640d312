"""How often a bound over few skewed blocks errs: simulated blocks, and the days of real flights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special, stats
from tqdm import tqdm

from perenne.cases import flights
from perenne.common import model
from perenne.pipeline import train
from perenne.stats import influence, paired
from perenne.stats.influence import Influence
from perenne.stats.metrics import Array
from tests.bench_drift import case

Generator = np.random.Generator
Draw = Callable[[Generator, tuple[int, int]], Array]
"""From (simulations, blocks) to what each block gains, 0 on average."""


def table() -> str:
    """How often the lower bound errs, and finds a gain of 3 standard errors: Student's t, and the gate's."""
    lines = [
        "The lower bound over blocks: how often it is above the truth, as a multiple of the nominal level,",
        "and how often a gain of 3 standard errors is found; Student's t, and the gate's bound",
        f"{'':34}skewness  blocks  level{'error, t':>22}{'error, gate':>22}   found, t  gate",
    ]
    for name, draw in populations().items():
        for count, simulations in ((30, 40_000), (100, 20_000), (1_000, 10_000)):
            if count < 1_000 or not name.startswith("flights"):  # a year has 365 days
                lines += bounded(name, draw, count, simulations)
    return "\n".join(lines)


def bounded(name: str, draw: Draw, count: int, simulations: int) -> Iterator[str]:
    """Yield a line for each level."""
    rng = np.random.default_rng(5)
    codes, levels = np.arange(count), (0.05, 0.025, 0.005)
    students = special.stdtrit(count - 1, levels)
    sample = draw(rng, (1, 1_000_000))
    skewness, shift = float(stats.skew(sample, axis=None)), 3 * float(sample.std()) / math.sqrt(count)
    low = np.empty((simulations, len(levels), 2))
    for place, gained in enumerate(tqdm(draw(rng, (simulations, count)), name, leave=False)):
        mean = float(gained.mean())
        found = paired.estimate(Influence(mean, gained - mean), codes, count)
        low[place, :, 0] = found.value + found.error * students
        low[place, :, 1] = [found.bounds(level)[0] for level in levels]
    for level, (t, gate) in zip(levels, low.transpose(1, 2, 0), strict=True):
        yield (
            f"{name:34}{skewness:8.1f}{count:8,}{level:7}{multiple(t > 0, level):>22}"
            f"{multiple(gate > 0, level):>22}{(t + shift > 0).mean():11.2f}{(gate + shift > 0).mean():6.2f}"
        )


def multiple(hits: npt.NDArray[np.bool_], level: float) -> str:
    """Return a share as a multiple of what it should be, with its interval."""
    low, high = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci()
    return f"{hits.mean() / level:.2f} [{low / level:.2f}, {high / level:.2f}]"


def populations() -> dict[str, Draw]:
    """Return what blocks gain: simulated, and the days of real flights under three real models."""
    found: dict[str, Draw] = {
        "normal": lambda rng, shape: rng.normal(size=shape),
        "exponential": lambda rng, shape: 1 - rng.exponential(size=shape),
        "skewed days of 20, log loss": sums_of_days,
    }
    for name, gained in flown().items():
        found[name] = partial(_drawn, gained)
    return found


def _drawn(population: Array, rng: Generator, shape: tuple[int, int]) -> Array:
    return rng.choice(population, shape)


def sums_of_days(rng: Generator, shape: tuple[int, int]) -> Array:
    """Draw the gains of days like those of :func:`days`."""
    # A hundred thousand days stand for all: each takes 20 draws.
    calm, wary = offsets()
    x, y = days(np.random.default_rng(6), 100_000, 20)
    gained = np.logaddexp(0, x + wary) - np.logaddexp(0, x + calm) - y * (wary - calm)
    sums = gained.sum(axis=1)
    return rng.choice(sums - sums.mean(), shape)


def flown() -> dict[str, Array]:
    """Return the days' gains in log loss, each month 0 on average, for pairs of models of other months."""
    p, contract = case("flights")
    rows = flights.flights()[list(contract.columns)].dropna(subset="late").reset_index(drop=True)
    month = rows["departure"].dt.month.to_numpy()
    later = rows[month > 4]
    losses = {}
    for first in tqdm((1, 2, 3), "models of flights", leave=False):
        learned = rows[(month == first) | (month == first + 1)].reset_index(drop=True)
        pipeline = train.train(learned.astype({"late": "int64"}), p.train, contract)
        scores = model.predict(pipeline, later, contract)
        found = influence.log_loss(later["late"].to_numpy(dtype=float), scores)
        losses[f"{first}-{first + 1}"] = found.rows
    return {
        f"flights, months {new} for {old}": by_day(losses[old] - losses[new], later)
        for old in losses
        for new in losses
        if old != new
    }


def by_day(gained: Array, rows: pd.DataFrame) -> Array:
    """Sum by day, less the mean day of the month."""
    sums = pd.Series(gained).groupby(rows["day"].to_numpy()).sum()
    months = pd.DatetimeIndex(sums.index).month
    centred: Array = (sums - sums.groupby(months).transform("mean")).to_numpy()
    return centred


def days(rng: Generator, count: int, rows: int) -> tuple[Array, Array]:
    """Draw what is known of the flights of some days, and which are late; a day's weather is not known."""
    x = rng.normal(size=(count, rows))
    weather = 0.8 * rng.exponential(size=(count, 1)) - 2
    return x, (rng.random(x.shape) < special.expit(x + weather)).astype(np.float64)


@cache
def offsets() -> tuple[float, float]:
    """Return a logit that is 0.4 too low, and the too high one with the same expected log loss."""
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    weather, chances = np.polynomial.laguerre.laggauss(60)
    late = special.expit(x[:, None] + 0.8 * weather - 2) @ chances

    def loss(offset: float) -> float:
        score = x + offset
        return float(np.average(np.logaddexp(0, score) - late * score, weights=weights))

    best = float(optimize.minimize_scalar(loss, bracket=(-3, 0)).x)
    return best - 0.4, float(optimize.brentq(lambda high: loss(high) - loss(best - 0.4), best, best + 2))


def share(hits: npt.ArrayLike) -> str:
    """Return a share with its exact 95 % interval (Clopper & Pearson 1934)."""
    hits = np.asarray(hits)
    low, high = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci()
    return f"{hits.mean():.3f} [{low:.3f}, {high:.3f}]"
