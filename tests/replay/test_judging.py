"""The replay's ledger spends alpha as the real one does."""

from __future__ import annotations

import pandas as pd
import pytest

from perenne.replay.judging import Gate
from perenne.replay.world import World
from perenne.stats import spending

QUARTERS = list(pd.period_range("2021Q1", "2021Q4", freq="Q-DEC"))


def test_looks_at_shared_batches_share_alpha(world: World) -> None:
    """The second look at a batch has the second share, whatever else is in its holdout."""
    gate, total = Gate(world, {}), world.plan.gate.alpha
    shares = [total * spending.share(number) for number in (1, 2, 3)]
    assert gate.look(QUARTERS[:2]) == pytest.approx(shares[0])
    assert gate.look(QUARTERS[1:3]) == pytest.approx(shares[1])
    assert gate.look(QUARTERS[3:]) == pytest.approx(shares[0])
    assert gate.look(QUARTERS[:1]) == pytest.approx(shares[1])
    assert gate.look(QUARTERS[1:2]) == pytest.approx(shares[2])


def test_walks_do_not_share_their_looks(world: World) -> None:
    """What is asked twice is answered once, but each policy spends an alpha of its own."""
    asked: dict[object, object] = {}
    first, second = Gate(world, asked), Gate(world, asked)
    assert first.look(QUARTERS) == second.look(QUARTERS)
