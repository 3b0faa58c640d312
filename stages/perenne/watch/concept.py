"""Is the model still right about what it sees? Asked of matured labels only, after every one of them.

Three things can go wrong apart from each other, and each is a stream for the e-detector: the loss rises, the
events are more or fewer than expected, the ranking is lost. A law that halves the departures makes the loss
*fall* a year later, while the model expects three times too many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.task import Task
from perenne.stats import calibration, power, sequential
from perenne.stats.metrics import Array

RISE = 0.1  # of the loss: what `increments_until_seen` is asked about
CONFIDENCE = 1 - 0.05 / 4  # of each stream's bound, so that the four of them hold together in 95 %

# Each detector's share of the false alarms: a third for each thing that can go wrong, its two ways together.
SHARES = {"loss": 1 / 3, "ranking": 1 / 3, "too many": 1 / 6, "too few": 1 / 6}


Labels = npt.NDArray[np.object_]


class Stream(NamedTuple):
    """Increments in their order, each with the label of its block; `rows`: each is a row's, no average."""

    values: Array
    blocks: Labels
    rows: bool


class Watched(NamedTuple):
    """A stream's reference, its false alarms per increment, and how soon a rise would be seen."""

    reference: sequential.Reference
    alpha: float
    increments_until_seen: float


def bounds(task: Task) -> dict[str, tuple[float, float]]:
    """The bounds of a row's increments, by stream; a stream without bounds is left out.

    Block averages vary less: `sequential.refer` finds closer bounds.
    """
    limits = {"ranking": (0.0, 1.0)}
    if loss := calibration.LOSSES[task.loss].bounds:
        limits["loss"] = loss
    if task.score_range:
        width = task.score_range[1] - task.score_range[0]
        limits |= {"too many": (-width, width), "too few": (-width, width)}
    return {name: limits[name] for name in task.streams if name in limits}


def streams(batch: pd.DataFrame, contract: Contract, *, seed: int) -> dict[str, Stream]:
    """The increments of one batch's labelled rows.

    Rows come in their order in time, those of the same moment shuffled; rows of one block (a day's flights)
    are averaged to one increment, since they are not independent of each other.
    """
    rows = batch[batch[contract.target].notna()]
    rows = rows.iloc[calibration.in_order(rows[contract.time], seed=seed)]
    y, score = rows[contract.target].to_numpy(dtype=np.float64), rows[PREDICTION].to_numpy(dtype=np.float64)
    labels = (
        rows[contract.block].to_numpy(dtype=object) if contract.block else np.arange(len(rows)).astype(object)
    )
    lone = len(pd.unique(labels)) == len(labels)
    return {
        name: by_block(*INCREMENTS[name](y, score, labels, contract.task), rows=lone)
        for name in contract.task.streams
    }


def _loss(y: Array, score: Array, labels: Labels, task: Task) -> tuple[Array, Labels]:
    return calibration.LOSSES[task.loss].rows(y, score), labels


def _ranking(y: Array, score: Array, labels: Labels, _: Task) -> tuple[Array, Labels]:
    pairs = calibration.discordance(y, score)
    return pairs.values, labels[pairs.ends]


# The increments of each stream, and the label of the block of each.
INCREMENTS: Mapping[str, Callable[[Array, Array, Labels, Task], tuple[Array, Labels]]] = {
    "loss": _loss,
    "ranking": _ranking,
    "too many": lambda y, score, labels, _: (y - score, labels),
    "too few": lambda y, score, labels, _: (score - y, labels),
}


def by_block(values: Array, blocks: Labels, *, rows: bool) -> Stream:
    """One increment a block: the mean of its values."""
    return Stream(calibration.block_means(values, blocks), pd.unique(blocks), rows)


def watched(
    reference: Mapping[pd.Period, pd.DataFrame], contract: Contract, *, periods: int, seed: int
) -> dict[str, Watched]:
    """What each stream was on the rows that measured the model, and the alpha of its detector.

    All detectors together raise a false alarm once in `periods` periods on average at the most, and within n
    periods with a chance of at most n / periods. A stream that the reference says nothing of is not watched:
    one of less than two blocks, or one without bounds whose increments are all the same.
    """
    parts = [streams(batch, contract, seed=seed) for batch in reference.values()]
    found = {name: _watched(name, [part[name] for part in parts], periods, contract) for name in parts[0]}
    return {name: watch for name, watch in found.items() if watch}


def _watched(name: str, parts: list[Stream], periods: int, contract: Contract) -> Watched | None:
    values = np.concatenate([part.values for part in parts])
    limits = bounds(contract.task).get(name)
    low, high = limits if limits and all(part.rows for part in parts) else (None, None)
    blocks = np.concatenate([part.blocks for part in parts])
    constant = not len(values) or values.min() == values.max()
    if len(pd.unique(blocks)) < 2 or (constant and not limits):
        return None
    if constant and limits:  # never wrong so far: the next might have been as wrong as can be
        low, high = limits
        values, blocks = np.append(values, high), np.append(blocks, "")
    reference = sequential.refer(values, blocks, low=low, high=high, confidence=CONFIDENCE)
    alpha = SHARES[name] * len(parts) / (periods * len(values))
    rise = RISE * abs(reference.mean)
    seen = power.increments_until_seen(values, rise, reference, alpha=alpha) if rise else math.inf
    return Watched(reference, alpha, seen)


class Detectors:
    """The state of every stream's detector, batch after batch."""

    def __init__(self, watch: Mapping[str, Watched], *, seed: int) -> None:
        """Start afresh, as after every training."""
        self.watch, self.seed = watch, seed
        self.states = dict.fromkeys(watch, sequential.State())
        self.ends: dict[str, list[tuple[int, str]]] = {name: [] for name in watch}

    def update(self, period: pd.Period, batch: pd.DataFrame, contract: Contract) -> list[dict[str, Any]]:
        """Take in a batch whose labels have come; return how each stream stands."""
        found = []
        increments = streams(batch, contract, seed=self.seed)
        for name, (reference, alpha, _) in self.watch.items():
            stream = increments[name]
            gains = sequential.gains(stream.values, reference)
            state = self.states[name] = sequential.update(self.states[name], gains, alpha=alpha)
            self.ends[name].append((state.seen, str(period)))
            found.append(
                {
                    "stream": name,
                    "reference": reference.mean,
                    "bound": reference.bound,
                    "value": float(stream.values.mean()) if len(stream.values) else math.nan,
                    "log_e": evidence(state),
                    "threshold": math.log(1 / alpha),
                    "alarm": state.alarm is not None,
                    "since": None if state.since is None else self.period(name, state.since),
                }
            )
        return found

    def period(self, name: str, increment: int) -> str:
        """The period that an increment of a stream belongs to."""
        return next(period for end, period in self.ends[name] if increment < end)


def evidence(state: sequential.State) -> float:
    """The log of the detector's wealth: it alarms where this reaches the threshold."""
    return float(np.logaddexp.reduce(state.wealth)) - math.log(len(state.wealth)) if state.wealth else 0.0


def figures(batch: pd.DataFrame, contract: Contract) -> dict[str, float]:
    """Observed and expected of the labelled rows of a batch, for people."""
    rows = batch[batch[contract.target].notna()]
    return {"observed": float(rows[contract.target].sum()), "expected": float(rows[PREDICTION].sum())}


def alarms(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """The streams that have raised the alarm."""
    return [stream["stream"] for stream in found if stream["alarm"]]
