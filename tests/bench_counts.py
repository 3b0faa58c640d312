"""How often a number of rows is called odd: batches like the reference's, and ones with a fifth less."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from perenne.stats.counts import volume


def share(hits: npt.NDArray[np.bool_]) -> str:
    """Return a share with its exact binomial interval."""
    low, high = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci()
    return f"{hits.mean():.3f} [{low:.3f}, {high:.3f}]"


def table(repeats: int = 4000) -> str:
    """How often a batch like the reference's is found odd at p < .05, and one of 20 % less."""
    lines = ["Volume, mean 900: p < .05", f"{'':30}{'same law':>22}{'20 % fewer':>24}   said Poisson"]
    for name, shape in (("Poisson", math.inf), ("variance 2 x mean", 900.0), ("variance 10 x mean", 100.0)):
        for batches in (8, 20):
            rng = np.random.default_rng([5, batches])
            same, fewer, poisson = (np.zeros(repeats, dtype=bool) for _ in range(3))
            for k in range(repeats):
                reference = _drawn(rng, 900, shape, batches)
                tested = volume(int(_drawn(rng, 900, shape, 1)[0]), reference)
                same[k], poisson[k] = tested.p_value < 0.05, tested.law == "Poisson"
                fewer[k] = volume(int(_drawn(rng, 720, shape, 1)[0]), reference).p_value < 0.05
            lines.append(
                f"{name:20}{batches:3} batches{share(same):>22}{share(fewer):>24}{poisson.mean():12.2f}"
            )
    return "\n".join(lines)


def _drawn(rng: np.random.Generator, mean: float, shape: float, size: int) -> npt.NDArray[np.int64]:
    return rng.poisson(mean if math.isinf(shape) else rng.gamma(shape, mean / shape, size), size)
