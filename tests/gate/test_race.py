"""Races of two models: proven, quick where it is clear, and the same on a busy machine."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from perenne.gate import race as module
from perenne.gate.race import ERROR, MOST, Race, evidence, race

LIMIT = 2.5


class Machine:
    """A clock that only runners move on."""

    def __init__(self, seed: int) -> None:
        self.now, self.rng, self.ran = 0.0, np.random.default_rng(seed), 0

    def takes(self, seconds: float) -> Callable[[], object]:
        """Return a runner on a busy machine: one run in five takes up to ten times as long."""

        def run() -> None:
            self.ran += 1
            busy = 1 + 9 * self.rng.random() if self.rng.random() < 0.2 else 1 + 0.3 * self.rng.random()
            self.now += seconds * busy

        return run


def raced(seed: int, ratio: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Race, int]:
    """Return the race of a model that takes `ratio` times as long, and how many races it took."""
    machine = Machine(seed)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: machine.now))
    result = race(machine.takes(ratio), machine.takes(1.0), LIMIT)
    return result, machine.ran // 2 - module.WARM_UP


@pytest.mark.parametrize(
    ("ratio", "bounds"), [(1.0, (0, LIMIT)), (2.0, (0, LIMIT)), (3.2, (LIMIT, math.inf))]
)
def test_a_busy_machine_does_not_change_the_answer(
    ratio: float, bounds: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a hundred runs all say the same, and far from the limit they are short."""
    found = [raced(seed, ratio, monkeypatch) for seed in range(100)]
    assert {(low, high) for (_, low, high), _ in found} == {bounds}
    if ratio == 1:
        assert np.median([races for _, races in found]) < 50


def test_both_go_first_as_often() -> None:
    """Who goes second may find what it needs in the machine's caches."""
    ran: list[str] = []
    race(lambda: ran.append("new"), lambda: ran.append("old"), 1e9)
    assert ran[2 * module.WARM_UP :][:8] == ["new", "old", "old", "new"] * 2


def test_who_is_at_the_limit_is_not_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where races would not end, the model is above: nothing is proven for it."""
    result, races = raced(1, LIMIT, monkeypatch)
    assert (result.low, result.high, races) == (LIMIT, math.inf, MOST)


def test_each_side_errs_as_rarely_as_promised() -> None:
    """Fair coins hardly ever seem to favour a side, whenever one stops looking."""
    rng = np.random.default_rng(2)
    heads = np.cumsum(rng.random((500, 200)) < 0.5, axis=1)
    ever = [any(evidence(int(h), n + 1) >= 20 for n, h in enumerate(run)) for run in heads]
    assert np.mean(ever) < 0.05
    assert evidence(23, 23) < 1 / ERROR < evidence(24, 24)
