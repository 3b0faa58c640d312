"""How often the gate lets a fresher model through that is equal and right, and one that is just too bad.

The policies are those of the built-in cases, without `size` and `latency`, on simulated holdouts. Both models
see what decides, each with errors of its own that are of one size: so they are equal, and right on the
average over all days. Fixed seeds, exact 95 % intervals; under three minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import special
from tqdm import tqdm

from perenne.common.task import BINARY
from perenne.documents.verdict import Intent
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.judge import judge
from perenne.gate.policy import GateSection, Policy
from perenne.stats import spending
from perenne.stats.metrics import Array
from tests.bench_bounds import share
from tests.bench_drift import case

Generator = np.random.Generator
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


class Stream(NamedTuple):
    """A kind of holdout: its blocks, and how outcomes come about. All sizes are in logits.

    `days` share an effect of sd `day`; the rows of none are independent. A row's own logit varies by `spread`,
    and each model sees it with an error of `blur`. `parts` are the shares of the slices of each column.
    """

    case: str
    days: int
    rows: int
    base: float
    spread: float
    day: float
    blur: float
    parts: tuple[tuple[float, ...], ...]


CARRIERS = (0.17, 0.16, 0.15, 0.14, 0.1, 0.06, 0.06, 0.05, 0.04, 0.02, 0.015, 0.01, 0.01, 0.01, 0.005)
FLIGHTS = Stream("flights", 30, 900, -1.5, 0.6, 0.7, 0.25, (CARRIERS, (0.36, 0.33, 0.31)))
EMPLOYEES = Stream("retirement", 0, 5_000, -2.8, 1.2, 0.0, 0.3, ((0.45, 0.3, 0.2, 0.05), (0.5, 0.5)))


class Holdout(NamedTuple):
    """The outcomes, blocks and slices of some rows, and what two equal models say of them."""

    y: Array
    blocks: np.ndarray
    slices: dict[str, np.ndarray]
    new: Array
    old: Array
    mean: float


def draw(rng: Generator, stream: Stream, off: float = 1.0) -> Holdout:
    """Draw a holdout. The new model expects `off` times the events that it should."""
    day = np.repeat(np.arange(stream.days), stream.rows) if stream.days else np.arange(stream.rows)
    rows = len(day)
    own = stream.spread * rng.normal(size=rows)
    shared = stream.day * rng.normal(size=max(stream.days, 1))
    logit = stream.base + own + (shared[day] if stream.days else 0)
    y = (rng.random(rows) < special.expit(logit)).astype(float)
    new, old = (said(stream, own + stream.blur * rng.normal(size=rows)) for _ in range(2))
    slices = {}
    for column, shares in enumerate(stream.parts):
        value = rng.choice(len(shares), rows, p=np.array(shares) / sum(shares))
        slices |= {f"{column}={v}": np.flatnonzero(value == v) for v in range(len(shares))}
    return Holdout(y, day, slices, new * off, old, mean(stream))


def said(stream: Stream, seen: Array) -> Array:
    """Return the chance of an event given what a model sees: right on the average over rows and days."""
    trust = stream.spread**2 / (stream.spread**2 + stream.blur**2)
    sd = np.sqrt(stream.spread**2 * (1 - trust) + stream.day**2)
    return averaged(stream.base + trust * seen, sd)


def averaged(logit: Array, sd: float) -> Array:
    """Return the mean chance of an event where the logit varies around a value."""
    grid = np.linspace(-8, 8, 1_001)
    chances = special.expit(grid[:, None] + sd * NODES) @ WEIGHTS / WEIGHTS.sum()
    return np.interp(logit, grid, chances)


def mean(stream: Stream) -> float:
    """Return the share of events."""
    return float(averaged(np.array([stream.base]), float(np.hypot(stream.spread, stream.day)))[0])
