"""Grow XGBoost's trees on codes, alone or as one of a gang: the same trees in any gang, on any threads.

What differs from machine to machine is taken away. Where a code ends is given, not estimated from a sketch.
Gradients are on a grid (`exact.grid`), so that XGBoost's sums of them in doubles are exact, however rows are
divided among machines and threads. Rows are drawn by a hash of their number.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from perenne.common.binned import exact
from perenne.common.binned.codes import Bins, CodedPart
from perenne.common.binned.exact import ROWS_AT_ONCE, Singles
from perenne.common.binned.losses import Loss, Squares

Own = Mapping[str, float | str]  # XGBoost's own parameters
Mask = npt.NDArray[np.bool_]

XGB_BINS = 256
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LARGEST = 1e38  # that XGBoost takes


class GrowthPlan(NamedTuple):
    """What all of a gang have to know: the same for each.

    `rows` are those of all parts together, `loss` lacks its scale if that is to be found (`scaled`).
    """

    params: Own
    rounds: int
    threads: int
    seed: int
    subsample: float
    bins: Bins
    rows: int
    loss: Loss


class Trees(NamedTuple):
    """What was grown: XGBoost's model as JSON, and what its leaves are to be multiplied by."""

    model: bytes
    scale: float


def grown(of: CodedPart, plan: GrowthPlan) -> Trees:
    """Grow the trees; in a gang each of its members calls this, and all return the same.

    Parameters
    ----------
    of
        The rows of this member.
    plan
        That of all.

    """
    import xgboost as xgb

    loss = scaled(plan.loss, of)
    data = _taken_in(of, plan)
    of = of._replace(codes=np.empty((0, 0), dtype=np.uint8))
    gc.collect()  # XGBoost has codes of its own, but an iterator of its that refers to itself keeps these
    booster = xgb.Booster(dict(_params(plan, loss)), [data])
    shape = (len(of.y), len(loss.begin)) if len(loss.begin) > 1 else (len(of.y),)
    gradients = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    for number in range(plan.rounds):
        raw = booster.predict(data, output_margin=True, training=True)
        _fill(gradients, raw, of, loss, drawn(of, plan, number))
        for values, largest in zip(gradients, _largest(gradients), strict=True):
            exact.put_on_grid(values, exact.grid(largest, plan.rows))
        booster.boost(data, iteration=number, grad=gradients[0], hess=gradients[1])
    return Trees(bytes(booster.save_raw("json")), loss.scale)


def scaled(loss: Loss, of: CodedPart) -> Loss:
    """The loss on a scale on which its gradients are about one: a power of two, from all members' rows."""
    if not isinstance(loss, Squares):
        return loss
    counts = exact.spread(of.y - loss.mean)
    return loss._replace(scale=exact.size(_together(counts, "SUM")))


def _taken_in(of: CodedPart, plan: GrowthPlan) -> Any:
    """The rows as XGBoost keeps them."""
    import xgboost as xgb

    columns = plan.bins.columns
    kinds = ["c" if column.feature < plan.bins.categories else "q" for column in columns]
    take = partial(
        xgb.QuantileDMatrix,
        max_bin=XGB_BINS,
        feature_types=kinds,
        enable_categorical=True,
        nthread=plan.threads,
    )
    # Each code of each column occurs in these rows: they say where codes end, to all members alike.
    every = np.arange(max(column.width for column in columns))
    like = np.stack([every % column.width for column in columns], axis=1).astype(np.uint8)
    return take(of.codes, ref=take(like))


def _params(plan: GrowthPlan, loss: Loss) -> Own:
    """XGBoost's parameters: those that are given, and those that make it do the same everywhere."""
    of_loss: Own = (
        {"objective": "multi:softprob", "num_class": len(loss.begin)}
        if len(loss.begin) > 1
        else {"objective": "reg:squarederror"}  # only the trees are taken: the gradients are given
    )
    given = dict(plan.params)
    # What is compared with sums of gradients, or of their squares, is on the scale of the target.
    for name, power in (("gamma", 2), ("reg_alpha", 1)):
        given[name] = min(float(given[name]) / loss.scale**power, LARGEST)
    return {
        **given,
        **of_loss,
        "base_score": 0.0,
        "tree_method": "hist",
        "max_bin": XGB_BINS,
        "nthread": plan.threads,
        "seed": plan.seed,
        "verbosity": 0,
    }


def _fill(
    gradients: tuple[Singles, Singles], raw: Singles, of: CodedPart, loss: Loss, kept: Mask | None
) -> None:
    """Write the gradients of all rows, some rows at a time."""
    for start in range(0, len(of.y), ROWS_AT_ONCE):
        here = slice(start, start + ROWS_AT_ONCE)
        found = loss.gradients(raw[here].astype(np.float64), of.y[here].astype(np.float64))
        for values, made in zip(gradients, found, strict=True):
            for factor in (of.weight, kept):
                if factor is not None:
                    made = (made.T * factor[here]).T
            values[here] = made


def drawn(of: CodedPart, plan: GrowthPlan, number: int) -> Mask | None:
    """Which rows a round learns from, shape (n,), by a hash of their number; None: all.

    The hash is SplitMix64: Steele, Lea & Flood 2014, Fast splittable pseudorandom number generators.
    """
    if plan.subsample >= 1:
        return None
    start = (plan.seed << 32) + number & (2**64 - 1)
    rows = np.arange(of.first, of.first + len(of.y), dtype=np.uint64)
    mixed = _mixed(_mixed(rows * GOLDEN) + _mixed(np.array([start], dtype=np.uint64) * GOLDEN))
    return (mixed >> np.uint64(11)) < np.uint64(int(plan.subsample * 2**53))


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _largest(gradients: tuple[Singles, Singles]) -> list[float]:
    """The largest of all members' gradients, without their signs."""
    own = [float(np.maximum(values.max(), -values.min())) for values in gradients]
    return [float(one) for one in _together(np.array(own), "MAX")]


def _together(values: npt.NDArray[Any], how: str) -> npt.NDArray[Any]:
    """Values of all members as one; only what is exact in any order: whole numbers, or the largest."""
    from xgboost import collective

    if not collective.is_distributed():
        return values
    return collective.allreduce(values, collective.Op[how])
