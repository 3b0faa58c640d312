"""Are the model's predictions still right? Tested on matured labels only, after every one of them.

Three things can go wrong independently: the loss rises, there are more or fewer events than predicted, or the
ranking gets worse. Each is watched as a stream by the e-detector. All three are needed: a law that halves the
departures makes the loss *fall* a year later, while the model predicts three times too many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.task import Task
from perenne.documents.drift import StreamState
from perenne.stats import calibration, power, sequential
from perenne.stats.metrics import Array

RISE = 0.1  # of the mean: the relative rise that `increments_until_seen` refers to


Labels = npt.NDArray[np.object_]
Limits = tuple[float, float]


class StreamKind(NamedTuple):
    """One thing that can go wrong on matured labels.

    Parameters
    ----------
    name
        What reports call it.
    sentence
        The reason that it gives when it has raised the alarm.
    share
        Of the false alarms.
    increments
        From labels, scores and the blocks' labels, each of shape (rows,), to increments and the label of the
        block of each, shape (n,).
    bounds
        Between which values a row's increments lie; None if there are no such limits. Averages over blocks
        vary less: `sequential.refer` finds closer bounds.

    """

    name: str
    sentence: str
    share: float
    increments: Callable[[Array, Array, Labels, Task], tuple[Array, Labels]]
    bounds: Callable[[Task], Limits | None]


def _loss(y: Array, score: Array, labels: Labels, task: Task) -> tuple[Array, Labels]:
    return calibration.LOSSES[task.loss].rows(y, score), labels


def _ranking(y: Array, score: Array, labels: Labels, _: Task) -> tuple[Array, Labels]:
    pairs = calibration.discordance(y, score)
    return pairs.values, labels[pairs.ends]


def _too_many(y: Array, score: Array, labels: Labels, _: Task) -> tuple[Array, Labels]:
    return y - score, labels


def _too_few(y: Array, score: Array, labels: Labels, _: Task) -> tuple[Array, Labels]:
    return score - y, labels


def _width(task: Task) -> Limits | None:
    if task.score_range is None:
        return None
    width = task.score_range[1] - task.score_range[0]
    return -width, width


# A third of the false alarms for each thing that can go wrong; the two directions of calibration share one.
STREAMS = {
    kind.name: kind
    for kind in (
        StreamKind("loss", "the loss has risen", 1 / 3, _loss, lambda t: calibration.LOSSES[t.loss].bounds),
        StreamKind("ranking", "the ranking has got worse", 1 / 3, _ranking, lambda _: (0.0, 1.0)),
        StreamKind("too many", "more events than predicted", 1 / 6, _too_many, _width),
        StreamKind("too few", "fewer events than predicted", 1 / 6, _too_few, _width),
    )
}
CONFIDENCE = 1 - 0.05 / len(STREAMS)  # of each stream's bound, so that all of them hold together in 95 %


class Increments(NamedTuple):
    """Increments in order, shape (n,), each with the label of its block; `rows`: each is of a single row."""

    values: Array
    blocks: Labels
    rows: bool


class WatchedStream(NamedTuple):
    """A stream's reference, its false alarms per increment, and how many increments a rise takes to show."""

    reference: sequential.Reference
    alpha: float
    increments_until_seen: float


def bounds(task: Task) -> dict[str, Limits]:
    """The bounds of a row's increments, by stream; a stream without bounds is left out."""
    limits = {name: STREAMS[name].bounds(task) for name in task.streams}
    return {name: both for name, both in limits.items() if both}


def streams(batch: pd.DataFrame, contract: Contract, *, seed: int) -> dict[str, Increments]:
    """The increments of one batch's labelled rows, by the name of the stream.

    Rows are in order of time; those of the same moment are shuffled. Rows of one block (a day's flights) are
    averaged to one increment, because they are not independent of each other.

    Parameters
    ----------
    batch
        Rows of the contract with their scores in the column `prediction`; those without a label are left out.
    contract
        Says which column is the target, the time and the block.
    seed
        Decides the order of rows of the same moment.

    Returns
    -------
    One entry for each stream of the contract's task.

    """
    rows = batch[batch[contract.target].notna()]
    rows = rows.iloc[calibration.in_order(rows[contract.time], seed=seed)]
    y, score = rows[contract.target].to_numpy(dtype=np.float64), rows[PREDICTION].to_numpy(dtype=np.float64)
    labels = (
        rows[contract.block].to_numpy(dtype=object) if contract.block else np.arange(len(rows)).astype(object)
    )
    single = len(pd.unique(labels)) == len(labels)
    return {
        name: by_block(*STREAMS[name].increments(y, score, labels, contract.task), rows=single)
        for name in contract.task.streams
    }


def by_block(values: Array, blocks: Labels, *, rows: bool) -> Increments:
    """One increment per block: the mean of its values.

    Parameters
    ----------
    values
        Increments, shape (n,).
    blocks
        The label of each increment's block, shape (n,).
    rows
        Whether every block is a single row.

    """
    return Increments(calibration.block_means(values, blocks), pd.unique(blocks), rows)


def watched(
    reference: Mapping[pd.Period, pd.DataFrame], contract: Contract, *, periods: int, seed: int
) -> dict[str, WatchedStream]:
    """The reference of each stream, from the rows that measured the model, and the alpha of its detector.

    A stream is not watched if the reference cannot describe it: if it has fewer than two blocks, or if it has
    no bounds and all its increments are the same.

    Parameters
    ----------
    reference
        The scored rows of the periods that measured the model.
    contract
        What the rows are.
    periods
        All detectors together raise at most one false alarm in so many periods on average; the chance of one
        within n periods is at most n / periods.
    seed
        As for `streams`.

    Returns
    -------
    By name, the streams that can be watched.

    """
    parts = [streams(batch, contract, seed=seed) for batch in reference.values()]
    by_name = {
        name: _watched(STREAMS[name], [part[name] for part in parts], periods, contract) for name in parts[0]
    }
    return {name: watch for name, watch in by_name.items() if watch}


def _watched(
    kind: StreamKind, parts: list[Increments], periods: int, contract: Contract
) -> WatchedStream | None:
    values = np.concatenate([part.values for part in parts])
    limits = kind.bounds(contract.task)
    low, high = limits if limits and all(part.rows for part in parts) else (None, None)
    blocks = np.concatenate([part.blocks for part in parts])
    constant = not len(values) or values.min() == values.max()
    if len(pd.unique(blocks)) < 2 or (constant and not limits):
        return None
    if constant and limits:  # never wrong so far: add one row that is as wrong as possible
        low, high = limits
        values, blocks = (
            np.append(values, high),
            np.append(blocks, np.array([object()])),
        )  # a block of its own
    reference = sequential.refer(values, blocks, low=low, high=high, confidence=CONFIDENCE)
    alpha = kind.share * len(parts) / (periods * len(values))
    rise = RISE * abs(reference.mean)
    seen = power.increments_until_seen(values, rise, reference, alpha=alpha) if rise else math.inf
    return WatchedStream(reference, alpha, seen)


class Detectors:
    """The state of every stream's detector, batch after batch."""

    def __init__(self, watch: Mapping[str, WatchedStream], *, seed: int) -> None:
        """Start without any evidence, as after every training."""
        self.watch, self.seed = watch, seed
        self.states = dict.fromkeys(watch, sequential.State())
        self.ends: dict[str, list[tuple[int, str]]] = {name: [] for name in watch}

    def update(self, period: pd.Period, batch: pd.DataFrame, contract: Contract) -> tuple[StreamState, ...]:
        """Add a batch whose labels have matured; return the state of each stream after it.

        Parameters
        ----------
        period
            The period of the batch; batches must arrive oldest first.
        batch
            Rows of the contract with their scores in the column `prediction`; those without a label are left
            out.
        contract
            What the rows are.

        """
        after = []
        increments = streams(batch, contract, seed=self.seed)
        for name, (reference, alpha, _) in self.watch.items():
            values = increments[name].values
            gains = sequential.gains(values, reference)
            state = self.states[name] = sequential.update(self.states[name], gains, alpha=alpha)
            self.ends[name].append((state.seen, str(period)))
            after.append(
                StreamState(
                    stream=name,
                    reference=reference.mean,
                    bound=reference.bound,
                    value=float(values.mean()) if len(values) else None,
                    log_e=evidence(state),
                    threshold=math.log(1 / alpha),
                    alarm=state.alarm is not None,
                    since=None if state.since is None else self.period(name, state.since),
                )
            )
        return tuple(after)

    def period(self, name: str, increment: int) -> str:
        """The period that an increment of a stream belongs to; `increment` is counted from 0 over batches."""
        return next(period for end, period in self.ends[name] if increment < end)


def evidence(state: sequential.State) -> float:
    """The natural log of the detector's wealth; the alarm is raised when this reaches the threshold."""
    return float(np.logaddexp.reduce(state.wealth)) - math.log(len(state.wealth)) if state.wealth else 0.0


def figures(batch: pd.DataFrame, contract: Contract) -> dict[str, float]:
    """The sums of labels and of scores over the labelled rows of a batch, for the report.

    Returns
    -------
    `observed`, the sum of labels, and `expected`, the sum of scores.

    """
    rows = batch[batch[contract.target].notna()]
    return {"observed": float(rows[contract.target].sum()), "expected": float(rows[PREDICTION].sum())}


def alarms(states: Iterable[StreamState]) -> list[str]:
    """The names of the streams that have raised the alarm."""
    return [state.stream for state in states if state.alarm]
