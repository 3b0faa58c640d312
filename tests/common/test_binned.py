"""XGBoost over binned features: the same bytes for any threads, any cut of the rows, any processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from perenne.common.binned import codes, exact, gang, grown
from perenne.common.binned.cells import Cells
from perenne.common.binned.codes import Array, InMemory, RowBlock, RowPart
from perenne.common.binned.estimator import BinnedXGBClassifier, BinnedXGBRegressor
from tests import gangs

N = 6_000
Binned = BinnedXGBClassifier | BinnedXGBRegressor


def rows(n: int = N) -> tuple[Array, Array]:
    """Features (a category, then numbers of all sizes; some missing), and what decides the target."""
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [
            rng.integers(0, 12, n).astype(np.float64),
            rng.normal(size=n),
            rng.lognormal(sigma=4, size=n),
            rng.integers(-3, 4, n) * 1e300,
            np.full(n, 7.0),
        ]
    )
    signal = X[:, 1] + (X[:, 0] % 3 == 1) + np.log(X[:, 2]) / 4
    X[rng.random(X.shape) < 0.1] = np.nan
    return X, signal + rng.normal(size=n)


X, LEVEL = rows()
WEIGHT: Array = 10.0 ** np.random.default_rng(1).uniform(-9, 9, N)  # of which float sums are rounded
TARGETS: dict[str, tuple[type[Any], Array]] = {
    "event": (BinnedXGBClassifier, (LEVEL > 0.5).astype(np.float64)),
    "classes": (BinnedXGBClassifier, np.digitize(LEVEL, [-0.5, 0.5, 1.5]).astype(np.float64)),
    "quantity": (BinnedXGBRegressor, LEVEL * 1e16 + 1e17),
}
LOSSWISE = {"grow_policy": "lossguide", "max_leaves": 20, "max_depth": 0}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("event", {}),
    ("event", {**LOSSWISE, "subsample": 0.5, "colsample_bytree": 0.6, "colsample_bynode": 0.8}),
    ("classes", {"max_depth": 3}),
    ("quantity", LOSSWISE),
    ("quantity", {"monotone_constraints": [0, 1, 1, 0, 0], "bins": 16}),
]


def unfitted(name: str, **given: Any) -> Binned:
    """An estimator of a few trees."""
    made: Binned = TARGETS[name][0](n_estimators=6, random_state=3, categorical_features=[0], **given)
    return made


def bytes_of(estimator: Binned) -> bytes:
    """All that was learned."""
    return b"".join(part.tobytes() for part in (*estimator.kept_, estimator.begin_))


def cut(name: str, places: Sequence[int], weight: Array | None) -> list[RowPart]:
    """All rows, cut at some places."""
    y = TARGETS[name][1]
    spans = zip([0, *places], [*places, N], strict=True)
    return [InMemory(X[a:b], y[a:b], None if weight is None else weight[a:b], first=a) for a, b in spans]


@pytest.fixture(name="workers", scope="module")
def three_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gangs.NotedWorkers]:
    """Three processes."""
    with gangs.workers(tmp_path_factory.mktemp("gang"), 3) as found:
        yield found


@pytest.mark.parametrize(("name", "given"), VARIANTS)
def test_threads_and_processes_leave_no_trace(
    workers: gangs.NotedWorkers, name: str, given: dict[str, Any]
) -> None:
    """One, two or three processes, equal and unequal parts, one or two threads: the same bytes."""
    y = TARGETS[name][1]
    alone = bytes_of(unfitted(name, **given).fit(X, y))
    assert bytes_of(unfitted(name, n_jobs=2, **given).fit(X, y)) == alone
    for places in ([], [N // 2], [50, 4_000]):
        fitted = unfitted(name, **given).fit_parts(cut(name, places, None), workers)
        assert bytes_of(fitted) == alone, places
        assert fitted.n_features_in_ == X.shape[1]


@pytest.mark.parametrize("name", TARGETS)
def test_weights_count_alike_in_every_cut(workers: gangs.NotedWorkers, name: str) -> None:
    """They are in the sums of gradients, and where scores begin."""
    alone = unfitted(name).fit(X, TARGETS[name][1], WEIGHT)
    assert bytes_of(alone) != bytes_of(unfitted(name).fit(X, TARGETS[name][1]))
    assert bytes_of(unfitted(name).fit_parts(cut(name, [1_000], WEIGHT), workers)) == bytes_of(alone)


@dataclass(frozen=True)
class Seen:
    """A part that leaves a file when it is read for the second time, to be learned from."""

    part: InMemory
    file: Path

    @property
    def first(self) -> int:
        """As it is."""
        return self.part.first

    def blocks(self) -> Iterator[RowBlock]:
        """As they are."""
        measured = self.file.with_suffix(".measured")
        (self.file if measured.exists() else measured).touch()
        return self.part.blocks()


def killed(workers: gangs.NotedWorkers, file: Path) -> threading.Thread:
    """Kill the first worker as soon as a file is there."""
    pids = workers.client.run(os.getpid)

    def run() -> None:
        while not file.exists():
            time.sleep(0.01)
        time.sleep(0.5)
        os.kill(pids[min(pids)], signal.SIGKILL)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_lost_worker_is_no_loss(workers: gangs.NotedWorkers, tmp_path: Path) -> None:
    """Killed while trees are grown, all begin again, to the same bytes."""
    y = TARGETS["event"][1]
    alone = bytes_of(unfitted("event").set_params(n_estimators=400).fit(X, y))
    parts = [Seen(InMemory(X[a:b], y[a:b], None, a), tmp_path / f"{a}") for a, b in ((0, 3_000), (3_000, N))]
    workers.calls.clear()
    thread = killed(workers, tmp_path / "0")
    fitted = unfitted("event").set_params(n_estimators=400).fit_parts(parts, workers)
    thread.join()
    assert workers.calls == ["measure", "learn", "learn"]
    assert bytes_of(fitted) == alone


class Lost:
    """Loses a process each time that several learn."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.times = 0

    def run_together(self, function: Any, items: Sequence[Any]) -> list[Any]:
        """Measure, but never learn."""
        if function is gang.measure:
            return [function(item) for item in items]
        self.times += 1
        raise gang.GangError("worker tcp://10.0.0.1:5 is gone")


def test_workers_that_are_lost_each_time_end_in_one_line() -> None:
    """After so many attempts."""
    lost = Lost()
    with pytest.raises(gang.GangError) as caught:
        unfitted("event").fit_parts(cut("event", [3_000], None), lost)
    assert str(caught.value) == (
        "train: a process was lost in each of 3 attempts, last: worker tcp://10.0.0.1:5 is gone; "
        "give each more memory, or the rows to more of them"
    )
    assert lost.times == 3


def test_gradients_on_the_grid_add_up_alike_in_any_order() -> None:
    """Off the grid they do not; on it no number is moved by more than half a step."""
    rng = np.random.default_rng(2)
    values = (rng.random(N) * 10.0 ** rng.integers(-6, 1, N)).astype(np.float32)
    orders = [rng.permutation(N) for _ in range(8)]

    def sums(numbers: Any) -> set[float]:
        return {float(np.add.accumulate(numbers[order].astype(np.float64))[-1]) for order in orders}

    fine = values * np.float32(1e-9)  # with bits far below those of the largest
    mixed = np.concatenate([values[: N // 2], fine[N // 2 :]])
    assert len(sums(mixed)) > 1
    on_grid, step = mixed.copy(), exact.grid(float(mixed.max()), N)
    exact.put_on_grid(on_grid, step)
    assert len(sums(on_grid)) == 1
    assert np.abs(on_grid - mixed).max() <= step / 2
    assert sum(map(Fraction, on_grid.tolist())) == Fraction(sums(on_grid).pop())


def test_a_target_is_summed_without_rounding() -> None:
    """As fractions are: numbers of all sizes and signs."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=500) * 10.0 ** rng.integers(-300, 300, 500)
    assert exact.total(values) == sum(map(Fraction, values.tolist()))


@pytest.mark.parametrize("most", [2**17, 64])
def test_counts_are_those_of_the_values_in_any_cut(most: int) -> None:
    """One part, or many in another order; with a cell for each value, or fewer."""
    values = X[:, 2]
    whole = Cells.of(values, most=most)
    assert len(whole.keys) <= most
    assert whole.counts.sum() == np.count_nonzero(~np.isnan(values))
    assert (whole.dropped == 0) == (most > N)
    for size in (1, 700):
        parts = [Cells.of(values[at : at + size], most=most) for at in range(0, N if size > 1 else 300, size)]
        of = values if size > 1 else values[:300]
        found = Cells.of(np.empty(0))
        for part in reversed(parts):
            found = found.plus(part, most)
        expected = Cells.of(of, most=most)
        assert found.dropped == expected.dropped
        assert found.keys.tolist() == expected.keys.tolist()
        assert found.counts.tolist() == expected.counts.tolist()


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([3.0, 1.0, np.nan, 1.0], [2.0]),
        ([-0.0, 0.0, 5e-324], [0.0]),
        ([1.0, np.nextafter(1.0, 2)], [1.0]),
        ([-1e308, 1.5e308], [-5e307 + 7.5e307]),
        ([-np.inf, 2.0, np.inf], [-np.inf, 2.0]),
        ([7.0, 7.0], []),
        ([np.nan], []),
    ],
)
def test_an_edge_is_between_two_values(values: list[float], edges: list[float]) -> None:
    """Half way, where there is one; the value itself is below it."""
    assert Cells.of(np.array(values)).edges(255).tolist() == edges


def test_bins_hold_equal_numbers_of_rows() -> None:
    """Where no value is frequent."""
    for most in (2**17, 2**11):
        edges = Cells.of(X[:, 1], most=most).edges(10)
        held = np.bincount(np.searchsorted(edges, X[~np.isnan(X[:, 1]), 1]))
        assert len(held) == 10
        assert np.ptp(held) <= 0.02 * held.mean()


@pytest.mark.parametrize("name", TARGETS)
def test_scores_are_those_of_xgboost_on_the_codes(name: str) -> None:
    """Its own sums are of float32; at the edges, beside them, and for what training has not seen."""
    fitted, y = unfitted(name), TARGETS[name][1]
    found = codes.measured(InMemory(X, y), of_classes=fitted._of_classes)
    plan = fitted._plan(found)
    made = grown.grown(codes.table(InMemory(X, y), plan.bins, N, found.classes), plan)
    fitted.fit(X, y)
    asked = np.repeat(X[:1_000], 3, axis=0)
    for at in (1, 2, 3):
        edge = np.resize(plan.bins.edges[at], 1_000)
        asked[0::3, at], asked[1::3, at], asked[2::3, at] = edge, np.nextafter(edge, np.inf), -1e301 * at
    booster = xgb.Booster(model_file=bytearray(made.model))
    kinds = ["c", *["q"] * (len(plan.bins.columns) - 1)]
    data = xgb.DMatrix(plan.bins.codes(asked), feature_types=kinds, enable_categorical=True)
    margin = booster.predict(data, output_margin=True).astype(np.float64).reshape(len(asked), -1)
    expected = margin + plan.loss.begin / made.scale
    np.testing.assert_allclose(fitted._raw(asked) / made.scale, expected, rtol=1e-6, atol=1e-6)


def test_targets_of_any_size_are_learned_alike() -> None:
    """Multiplied by a power of two, trees are the same, and leaves multiplied by it; penalties too."""
    small = BinnedXGBRegressor(n_estimators=5, gamma=2.0, reg_alpha=0.5).fit(X, LEVEL)
    large = BinnedXGBRegressor(n_estimators=5, gamma=2.0 * 4.0**60, reg_alpha=0.5 * 2.0**60)
    large.fit(X, LEVEL * 2.0**60)
    assert (large.predict(X) == small.predict(X) * 2.0**60).all()
    assert np.mean((small.predict(X) - LEVEL) ** 2) < 0.6 * LEVEL.var()


def test_rows_are_drawn_by_their_number() -> None:
    """A share of them, others in each round, and by the seed; whatever part they are in."""

    def drawn(first: int, count: int, number: int, seed: int = 0) -> Any:
        of = codes.CodedPart(first, np.empty((count, 1), np.uint8), np.empty(count), None)
        plan: Any = type("Plan", (), {"subsample": 0.3, "seed": seed})
        return grown.drawn(of, plan, number)

    every = drawn(0, 20_000, 0)
    assert abs(every.mean() - 0.3) < 0.01
    assert (drawn(7_000, 100, 0) == every[7_000:7_100]).all()
    for other in (drawn(0, 20_000, 1), drawn(0, 20_000, 0, seed=1)):
        assert abs((other & every).mean() - 0.09) < 0.01
