"""The oracle: nothing is cheaper, and no model is used before it exists."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from perenne.replay import costs
from perenne.replay.oracle import best, oracle
from perenne.replay.policies import make
from perenne.replay.walk import walk
from perenne.replay.world import World


@pytest.mark.parametrize("seed", range(20))
def test_no_other_path_is_cheaper(seed: int) -> None:
    """Against all paths of four batches and three models, some of which do not exist at first."""
    rng = np.random.default_rng(seed)
    losses = rng.random((4, 3))
    losses[:2, 1], losses[0, 2] = np.inf, np.inf
    cost = rng.random() / 2

    def price(path: tuple[int, ...]) -> float:
        changes = sum(a != b for a, b in zip((0, *path), path, strict=False))
        return float(sum(losses[row, column] for row, column in enumerate(path)) + cost * changes)

    cheapest = min(map(price, product(range(3), repeat=4)))
    assert price(tuple(best(losses, cost))) == pytest.approx(cheapest)


def test_oracle_costs_no_more_than_anybody(world: World) -> None:
    """Whatever the others do, it could have done."""
    others = [walk(world, make(name)(world)) for name in ("never", "every 4", "ours")]
    found = oracle(world, others)
    least = costs.costs(found, world.plan).cost
    assert all(least <= costs.costs(walk, world.plan).cost + 1e-9 for walk in others)
    assert all(step.as_of < step.period for step in found.steps)
