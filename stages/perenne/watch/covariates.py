"""Do the rows still look like those the model learned from? One family of tests for every batch.

Features, scores, joint shifts, numbers of rows and of labels that did not come are judged together: what
counts is how often anything at all raises an alarm, not how often each of them does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import model
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.stats.counts import Volume, volume
from perenne.stats.joint import joint
from perenne.stats.metrics import Array
from perenne.stats.tally import Tally, cut, tally
from perenne.stats.two_sample import Test, compare

Key = tuple[str, str]  # a column (or all of them, or rows, or labels), and the name of the test
Tests = dict[Key, Test]


class Baseline(NamedTuple):
    """The reference, counted once and compared with every batch."""

    edges: Mapping[str, Array | None]
    tallies: Mapping[str, Tally]
    features: pd.DataFrame
    blocks: npt.NDArray[np.object_] | None
    rows: list[int]
    unlabelled: list[tuple[int, int]]
    days: list[float]
    score: float


def baseline(reference: Mapping[pd.Period, pd.DataFrame], contract: Contract) -> Baseline:
    """Count the reference: the periods the model learned from, and those that measured it.

    Only the latter have scores; those of rows that a model has learned by heart say nothing of new rows.
    """
    whole = pd.concat(reference.values(), ignore_index=True)
    scored = whole[whole[PREDICTION].notna()]
    X = model.inputs(whole, contract)
    edges: dict[str, Array | None] = {
        name: None if contract.columns[name].type == "category" else cut(X[name])
        for name in contract.features
    }
    edges[PREDICTION] = cut(scored[PREDICTION])
    tallies = {name: tally(X[name], edges[name], blocks(whole, contract)) for name in contract.features}
    tallies[PREDICTION] = tally(scored[PREDICTION], edges[PREDICTION], blocks(scored, contract))
    labels = [(int(batch[contract.target].isna().sum()), len(batch)) for batch in reference.values()]
    return Baseline(
        edges,
        tallies,
        X,
        None if contract.block is None else whole[contract.block].to_numpy(),
        [len(batch) for batch in reference.values()],
        labels,
        [days(period) for period in reference],
        float(scored[PREDICTION].mean()),
    )


def tallied(batch: pd.DataFrame, before: Baseline, contract: Contract) -> dict[str, Tally]:
    """Count a batch by the reference's cells; the counts of several batches add up."""
    X = model.inputs(batch, contract).assign(**{PREDICTION: batch[PREDICTION].to_numpy()})
    return {name: tally(X[name], edges, blocks(batch, contract)) for name, edges in before.edges.items()}


def columnwise(before: Baseline, now: Mapping[str, Tally]) -> Tests:
    """The tests of each column by itself: its distribution, missing values, unseen categories."""
    return {
        (name, test.name): test
        for name in before.tallies
        for test in compare(before.tallies[name], now[name])
    }


def together(before: Baseline, batch: pd.DataFrame, contract: Contract, *, seed: int) -> Tests:
    """The test of all features jointly: can a classifier tell the batch from the reference."""
    sides = None if before.blocks is None else (before.blocks, batch[str(contract.block)].to_numpy())
    return {
        ("all features", "joint"): joint(before.features, model.inputs(batch, contract), sides, seed=seed)
    }


def arrivals(
    before: Baseline, period: pd.Period, batch: pd.DataFrame, contract: Contract, *, matured: bool
) -> dict[Key, Volume]:
    """Rows against those of the reference's periods, and labels that should have come and did not."""
    found = {
        ("rows", "volume"): volume(len(batch), before.rows, exposure=days(period), exposures=before.days)
    }
    missing = [(n, of) for n, of in before.unlabelled if of]
    gone = int(batch[contract.target].isna().sum())
    if matured and missing and (gone or (len(batch) and sum(n for n, _ in missing))):
        counts, rows = zip(*missing, strict=True)
        found["labels", "missing labels"] = volume(gone, counts, exposure=len(batch), exposures=rows)
    return found


def as_tests(volumes: Mapping[Key, Volume]) -> Tests:
    """Volumes as tests, whose effect is the share by which there are too many or too few.

    It is infinite where none was expected and some came.
    """
    shares = {key: v.observed / v.expected if v.expected else math.inf for key, v in volumes.items()}
    return {
        key: Test(key[1], shares[key], v.p_value, shares[key] - 1)
        for key, v in volumes.items()
        if v.expected or v.observed
    }


def blocks(batch: pd.DataFrame, contract: Contract) -> pd.Series | None:
    """The block of each row, None where the contract says that rows are independent."""
    return batch[contract.block] if contract.block else None


def days(period: pd.Period) -> float:
    """The length of a period in days: a February has fewer flights than a March."""
    length: pd.Timedelta = period.end_time - period.start_time
    return length / pd.Timedelta(days=1)


def pooled(sofar: Mapping[str, Tally], more: Mapping[str, Tally]) -> dict[str, Tally]:
    """The counts of two lots of batches together."""
    return {name: sofar[name] + counted if name in sofar else counted for name, counted in more.items()}
