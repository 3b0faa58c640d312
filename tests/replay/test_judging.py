"""The replay's ledger spends alpha as the real one does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common.block import Block
from perenne.common.names import PREDICTION
from perenne.gate.evidence import Evidence
from perenne.gate.judge import evidence
from perenne.gate.ledger import Family
from perenne.replay import judging
from perenne.replay.judging import Gate
from perenne.replay.world import World
from perenne.stats import spending

QUARTERS = list(pd.period_range("2021Q1", "2021Q4", freq="Q-DEC"))


def test_looks_at_shared_batches_share_alpha(world: World) -> None:
    """The second look at a batch has the second share, whatever else is in its holdout."""
    gate, total = Gate(world, {}), world.plan.gate.alpha
    shares = [total * spending.share(number) for number in (1, 2, 3)]
    assert gate.look(QUARTERS[:2], alone("a")) == pytest.approx(shares[0])
    assert gate.look(QUARTERS[1:3], alone("b")) == pytest.approx(shares[1])
    assert gate.look(QUARTERS[3:], alone("c")) == pytest.approx(shares[0])
    assert gate.look(QUARTERS[:1], alone("d")) == pytest.approx(shares[1])
    assert gate.look(QUARTERS[1:2], alone("e")) == pytest.approx(shares[2])


def alone(name: str) -> Family:
    """Return a family of one model."""
    return Family(name, 1)


def test_a_family_is_one_look(world: World) -> None:
    """Each of three candidates may spend a quarter of what is left, and so much is left after them."""
    gate, total = Gate(world, {}), world.plan.gate.alpha
    assert gate.look(QUARTERS, alone("before")) == pytest.approx(total / 2)
    three = Family("three", 3)
    assert [gate.look(QUARTERS[k:], three) for k in range(3)] == pytest.approx([total / 8] * 3)
    assert gate.look(QUARTERS, alone("after")) == pytest.approx(total / 16)


def test_walks_do_not_share_their_looks(world: World) -> None:
    """What is asked twice is answered once, but each policy spends an alpha of its own."""
    asked: dict[object, object] = {}
    first, second = Gate(world, asked), Gate(world, asked)
    assert first.look(QUARTERS, alone("a")) == second.look(QUARTERS, alone("a"))


def test_whole_quarters_are_heeded_as_in_the_gate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what both models say of the challenger's rows of validation."""
    seen: list[tuple[int, Evidence | None]] = []

    def spied(rows: pd.DataFrame, *given: Any, before: Evidence | None = None, **named: Any) -> Evidence:
        seen.append((len(rows), before))
        return evidence(rows, *given, before=before, **named)

    monkeypatch.setattr(judging, "evidence", spied)
    monkeypatch.setattr(Gate, "_block", lambda *_: Block(columns=("employee",), beside="quarter"))
    challenger = world.plan.cut(pd.Period("2020Q4", "Q-DEC"))
    Gate(world, {}).judge(challenger, world.plan.cut(world.first), alone("a"))
    validated = world.validated(challenger)
    (rows, none), *later = seen
    assert (rows, none) == (len(validated), None)
    assert len(later) > 1
    for _, before in later:
        assert before is later[0][1]
        assert before is not None
        assert np.array_equal(before.challenger.scores, validated[PREDICTION])
        assert not np.array_equal(before.opponents[0].scores, validated[PREDICTION])
