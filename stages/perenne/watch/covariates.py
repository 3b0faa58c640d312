"""Do the rows still look like those that the model was trained on? One family of tests for every batch.

Features, scores, joint shifts, row counts and missing labels are corrected for together: the false discovery
rate holds for all tests of a batch, not for each kind of test.
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
from perenne.common.names import FEATURES, LABELS, PREDICTION, ROWS
from perenne.stats.counts import Volume, volume
from perenne.stats.joint import joint
from perenne.stats.metrics import Array
from perenne.stats.tally import Tally, cut, tally
from perenne.stats.two_sample import Test, compare

Key = tuple[str, str]  # a column (or one of the names of ours, which no column has), and the kind of test
Tests = dict[Key, Test]


class TestKind(NamedTuple):
    """One kind of test, and the reason it gives when it has raised an alarm: of a column and an effect."""

    name: str
    sentence: str


TestKind.__test__ = False  # type: ignore[attr-defined]  # its name does not make it a test for pytest

KINDS = {
    kind.name: kind
    for kind in (
        TestKind("distribution", "{column} has moved (effect {effect:.2f})"),
        TestKind("missing", "{column}: {effect:+.1%} missing values"),
        TestKind("unseen", "{column}: {effect:.1%} of the rows have a value never seen before"),
        TestKind("joint", "{column} together have moved (effect {effect:.2f})"),
        TestKind("volume", "{column}: {effect:+.0%} compared with the expected number"),
        TestKind("missing labels", "{column}: {effect:+.0%} missing compared with the expected number"),
    )
}


class Baseline(NamedTuple):
    """The reference, counted once and compared with every batch.

    `edges` and `tallies` are by column; `features` are the model's inputs, shape (rows, features). `rows`,
    `unlabelled` (rows without a label, of all rows) and `days` are by period. `score` is the mean score.
    """

    edges: Mapping[str, Array | None]
    tallies: Mapping[str, Tally]
    features: pd.DataFrame
    blocks: npt.NDArray[np.object_] | None
    rows: list[int]
    unlabelled: list[tuple[int, int]]
    days: list[float]
    score: float


def baseline(reference: Mapping[pd.Period, pd.DataFrame], contract: Contract) -> Baseline:
    """Count the reference: the periods that the model was trained on, and those that measured it.

    Only the latter have scores: scores of training rows say nothing about new rows.

    Parameters
    ----------
    reference
        The rows of each period; the column `prediction` has scores, or is missing for rows without one.
    contract
        What the rows are.

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
    """Count a batch in the reference's cells, by column; counts of several batches can be added.

    Parameters
    ----------
    batch
        Rows of the contract with their scores in the column `prediction`.
    before
        The reference; its edges define the cells.
    contract
        What the rows are.

    Returns
    -------
    A tally for each feature, and one for `prediction`.

    """
    X = model.inputs(batch, contract).assign(**{PREDICTION: batch[PREDICTION].to_numpy()})
    return {name: tally(X[name], edges, blocks(batch, contract)) for name, edges in before.edges.items()}


def columnwise(before: Baseline, now: Mapping[str, Tally]) -> Tests:
    """The tests of each single column: its distribution, missing values, unseen categories."""
    return {
        (name, test.name): test
        for name in before.tallies
        for test in compare(before.tallies[name], now[name])
    }


def together(before: Baseline, batch: pd.DataFrame, contract: Contract, *, seed: int) -> Tests:
    """The joint test of all features: whether a classifier can tell the batch from the reference.

    Parameters
    ----------
    before
        The reference.
    batch
        Rows of the contract.
    contract
        Says which columns are features and which one is the block.
    seed
        Decides the random choices of the test.

    Returns
    -------
    One test, under the key `("all features", "joint")`.

    """
    sides = None if before.blocks is None else (before.blocks, batch[str(contract.block)].to_numpy())
    return {(FEATURES, "joint"): joint(before.features, model.inputs(batch, contract), sides, seed=seed)}


def arrivals(
    before: Baseline, period: pd.Period, batch: pd.DataFrame, contract: Contract, *, matured: bool
) -> dict[Key, Volume]:
    """The number of rows, and the number of matured labels that are missing, against the reference.

    Parameters
    ----------
    before
        The reference.
    period
        The period of the batch; its length in days is the exposure of the number of rows.
    batch
        All rows of the period.
    contract
        Says which column is the target.
    matured
        The labels are known by now; only then are missing ones counted.

    Returns
    -------
    `("rows", "volume")`, and, if labels are counted, `("labels", "missing labels")`.

    """
    volumes = {
        (ROWS, "volume"): volume(len(batch), before.rows, exposure=days(period), exposures=before.days)
    }
    missing = [(n, of) for n, of in before.unlabelled if of]
    gone = int(batch[contract.target].isna().sum())
    if matured and missing and (gone or (len(batch) and sum(n for n, _ in missing))):
        counts, rows = zip(*missing, strict=True)
        volumes[LABELS, "missing labels"] = volume(gone, counts, exposure=len(batch), exposures=rows)
    return volumes


def as_tests(volumes: Mapping[Key, Volume]) -> Tests:
    """Volumes as tests; the effect is the relative difference from the expected number.

    It is infinite where none was expected and some were observed.

    Returns
    -------
    A test for each volume; one where nothing was expected and nothing was observed is left out.

    """
    shares = {key: v.observed / v.expected if v.expected else math.inf for key, v in volumes.items()}
    return {
        key: Test(key[1], shares[key], v.p_value, shares[key] - 1)
        for key, v in volumes.items()
        if v.expected or v.observed
    }


def blocks(batch: pd.DataFrame, contract: Contract) -> pd.Series | None:
    """The block of each row; None if the contract has none, so that rows are independent."""
    return batch[contract.block] if contract.block else None


def days(period: pd.Period) -> float:
    """The length of a period in days: a February has fewer flights than a March."""
    length: pd.Timedelta = period.end_time - period.start_time
    return length / pd.Timedelta(days=1)


def pooled(sofar: Mapping[str, Tally], more: Mapping[str, Tally]) -> dict[str, Tally]:
    """The counts of earlier and further batches together, by column."""
    return {name: sofar[name] + counted if name in sofar else counted for name, counted in more.items()}


def sentence(key: Key, effect: float) -> str:
    """The reason that a test gives when it has raised an alarm.

    >>> sentence(("age", "distribution"), 0.3)
    'age has moved (effect 0.30)'
    """
    column, kind = key
    if math.isinf(effect):
        return f"{column}: some are missing; in the reference none were"
    return KINDS[kind].sentence.format(column=column, effect=effect)
