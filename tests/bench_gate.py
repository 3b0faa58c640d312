"""Whom the gate lets through: equal models, better models; its bounds, and its speed.

Fixed seeds, exact 95 % intervals. Everything together takes under two minutes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
from scipy import optimize, special, stats
from tqdm import tqdm

from perenne.stats import influence, paired, spending
from perenne.stats.influence import Influence
from perenne.stats.metrics import Array
from perenne.stats.sharing import Codes
from tests import bench_bounds
from tests.bench_bounds import days, offsets, share

TOTAL = 0.05  # of alpha, for all looks at a holdout
FIRST = spending.alpha(1, TOTAL, TOTAL)
Z = float(stats.norm.ppf(1 - TOTAL))
Generator = np.random.Generator
Gate = tuple[Influence, Influence]
"""The new model and the old one on the rows of a holdout."""


def table() -> str:
    """Return all tables as text."""
    return "\n\n".join([equals(), power(), bench_bounds.table(), speed()])


def better(gate: Gate, codes: Codes, alpha: float, metric: str = "mae") -> bool:
    """Judge as the gate does: the lower bound of the gain is above 0."""
    return paired.gain(metric, *gate, codes, int(codes.max()) + 1).bounds(alpha)[0] > 0


def judged(gate: Gate, codes: Codes, metric: str = "mae") -> list[bool]:
    """Judge by three common rules, for a metric that is a mean, and as the gate does at its first look."""
    new, old = gate
    gain, rows = old.value - new.value, len(new.rows)
    apart = math.sqrt((old.rows.var(ddof=1) + new.rows.var(ddof=1)) / rows)
    together = math.sqrt((old.rows - new.rows).var(ddof=1) / rows)
    return [gain > 0, gain > Z * apart, gain > Z * together, better(gate, codes, FIRST, metric)]


RULES = f"{'':44}" + "".join(
    f"{rule:>23}" for rule in ("new > old", "z-test, unpaired", "z-test, row by row", "the gate")
)


def rows_judged(name: str, gates: Iterable[Gate], count: int, codes: Codes, metric: str = "mae") -> str:
    """Return a line: how often each rule finds the new model better."""
    found = [judged(gate, codes, metric) for gate in tqdm(gates, name, count, leave=False)]
    return f"{name:44}" + "".join(f"{share(column):>23}" for column in zip(*found, strict=True))


def equals(gates: int = 10_000) -> str:
    """Two models with the same loss in the population: how often is the new one found better."""
    blocks = np.repeat(np.arange(50), 20)
    lines = [
        f"Equal models, {gates:,} gates of 1,000 rows: the new one is found better "
        f"(z-tests at {TOTAL}, the gate at its first look, {FIRST:.4f})",
        RULES,
        rows_judged("independent rows", absolute_errors(gates, 1.0), gates, np.arange(1_000)),
        rows_judged("50 blocks of 20, correlation .3 within", blocked(gates), gates, blocks),
        rows_judged("50 skewed days of 20, log loss", skewed_days(gates), gates, blocks, "log_loss"),
    ]
    return "\n".join(lines)


def absolute_errors(gates: int, mean: float, rows: int = 1_000) -> Iterator[Gate]:
    """Draw absolute errors, exponential with mean 1 and `mean`, that correlate by .9."""
    rng = np.random.default_rng(1)
    for _ in range(gates):
        old = rng.normal(size=rows)
        yield _mae(mean * exponential(moved(rng, old))), _mae(exponential(old))


def blocked(gates: int) -> Iterator[Gate]:
    """Draw absolute errors whose difference correlates by .3 within blocks of 20."""
    rng = np.random.default_rng(2)
    for _ in range(gates):
        common = 8 + rng.normal(size=(50, 20))  # far enough from 0 to stay above
        apart = math.sqrt(0.3) * rng.normal(size=(50, 1)) + math.sqrt(0.7) * rng.normal(size=(50, 20))
        yield _mae((common - apart / 2).ravel()), _mae((common + apart / 2).ravel())


def skewed_days(gates: int) -> Iterator[Gate]:
    """Draw days, few of them very bad; the new model expects too few late flights, the old one too many."""
    rng = np.random.default_rng(3)
    calm, wary = offsets()
    for _ in range(gates):
        x, y = days(rng, 50, 20)
        score = x.ravel()
        new, old = (special.expit(score + offset) for offset in (calm, wary))
        yield influence.log_loss(y.ravel(), new), influence.log_loss(y.ravel(), old)


def _mae(errors: Array) -> Influence:
    return influence.mae(np.zeros_like(errors), errors)


def exponential(normal: Array) -> Array:
    """Turn standard normal values into standard exponential ones of the same ranks."""
    return -special.log_ndtr(-normal)


def moved(rng: Generator, normal: Array) -> Array:
    """Draw standard normal values that correlate with others, so that exponentials do by .9."""
    r = latent()
    return r * normal + math.sqrt(1 - r**2) * rng.normal(size=normal.shape)


@cache
def latent() -> float:
    """Return the correlation of two normals whose exponentials correlate by .9, by quadrature."""
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    pairs = np.outer(weights, weights) / weights.sum() ** 2

    def correlation(r: float) -> float:
        other = r * x[:, None] + math.sqrt(1 - r**2) * x
        return float(np.sum(pairs * exponential(x)[:, None] * exponential(other))) - 1

    return float(optimize.brentq(lambda r: correlation(r) - 0.9, 0, 1))


def power(gates: int = 10_000) -> str:
    """Better models: how often are they found so."""
    lines = [
        f"Power, {gates:,} gates of 1,000 rows: absolute errors, exponential with mean 1, correlation .9",
        f"(Gaussian copula, latent correlation {latent():.4f}); goals of the gate: .33 at .02 and .95 at .05",
        RULES,
    ]
    for gain in (0.0, 0.02, 0.05):
        drawn = absolute_errors(gates, 1 - gain)
        lines.append(rows_judged(f"gain {gain:.2f}", drawn, gates, np.arange(1_000)))
    return "\n".join(lines)


def speed(rows: int = 1_000_000, blocks: int = 100_000) -> str:
    """How long the whole gate takes, without scoring: both models, all rows and 18 slices."""
    rng = np.random.default_rng(7)
    codes, old = rng.integers(blocks, size=rows), rng.beta(1, 9, rows)
    y = (rng.random(rows) < old).astype(np.float64)
    new = special.expit(special.logit(old) + 0.1 * rng.normal(size=rows))
    columns = [rng.integers(values, size=rows) for values in (2, 3, 4, 4, 5)]
    parts = [np.arange(rows)] + [np.flatnonzero(c == v) for c in columns for v in range(c.max() + 1)]
    lines = [f"Speed, {rows:,} rows in {blocks:,} blocks, all and {len(parts) - 1} slices; goal: 3 s"]
    for metric in ("log_loss", "roc_auc"):
        influenced, start = influence.INFLUENCE[metric], time.perf_counter()
        for part in parts:
            gate = influenced(y[part], new[part]), influenced(y[part], old[part])
            paired.gain(metric, *gate, codes[part], blocks).bounds(FIRST)
        lines.append(f"  {metric:10}{time.perf_counter() - start:6.2f} s")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
