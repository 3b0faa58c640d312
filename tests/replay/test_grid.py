"""The grid: params are recommended only if what they save is more than chance."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from perenne.documents.replay import Costs
from perenne.replay import grid
from perenne.replay.policies import ours
from perenne.replay.world import World


def found(world: World, *savings: Sequence[float]) -> dict[int, list[Costs]]:
    """Return costs by seed in which the second of the settings saves as much as is said, by seed."""
    number = len(grid.settings(world.plan))
    costs = [Costs(7.0, 0, 0, 7.0, 0, 0)] * number
    return {
        seed: [costs[0], costs[0]._replace(cost=7.0 - saved), *costs[2:]]
        for seed, saved in enumerate(savings[0])
    }


def test_params_in_use_are_tried_first_and_once(world: World) -> None:
    """They are what all others are compared with."""
    tried = grid.settings(world.plan)
    assert tried[0] == ours(world.plan)
    assert len(set(tried)) == len(tried)


@pytest.mark.parametrize(
    ("savings", "second"),
    [
        ((0.2, 0.21, 0.19), True),
        ((0.5, -0.4, 0.1), False),  # on the average cheaper, by chance
        ((-0.1, -0.1, -0.1), False),
        ((0.0, 0.0, 0.0), False),
        ((0.2,), True),  # a single history has nothing else to say
    ],
)
def test_recommended_is_what_saves_more_than_chance(
    world: World, savings: tuple[float, ...], *, second: bool
) -> None:
    """Else the params in use stay."""
    tried = grid.compared(world.plan, found(world, savings))
    best = grid.recommended(tried, world.plan)
    assert (best.settings == grid.settings(world.plan)[1]) == second
    assert (best is grid.in_use(tried, world.plan)) != second


def test_params_are_told_by_their_keys(world: World) -> None:
    """As they stand in params.yaml."""
    assert list(grid.by_key(ours(world.plan))) == [
        "drift.periods_per_false_alarm",
        "loop.alarms",
        "loop.windows",
        "loop.cool_down",
    ]
