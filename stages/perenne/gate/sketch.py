"""By what the labels of a holdout are known again: under another name, cut into other periods, or shifted.

Whoever renames the case, changes `contract.period`, moves all times or loses some rows has the same labels,
and most of their noise. So a look also keeps a *sketch*, and two looks are at the same labels if

- they are of one case and their times overlap; or
- most of their rows are the same: time, entity and outcome, but for rows of the commonest outcome. Two
  targets of the same employees agree where nothing happens, and their events are different ones; or
- they have sequences of outcomes in common, whatever the times: of `RUNS` runs of equal outcomes each, in the
  order of time and entity. Those of other labels do not come twice by chance.

A share is estimated from the `KEPT` least hashes of both sides together, so a sketch is small, however many
rows there are. Like any hash of labels, it lets whoever tries all outcomes find out those of a few rows.

Not known again is who changes several of these by hand, each time anew: renames the case and also shifts the
times and takes many rows away, or changes names or outcomes of the rows themselves (another unit, another
order of entities).

References
----------
Broder 1997, On the resemblance and containment of documents, SEQUENCES.

"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common.contract import Contract
from perenne.documents.verdict import LabelSketch

Codes = npt.NDArray[np.uint64]

KEPT = LabelSketch.KEPT
RUNS = 16
SAME_ROWS = 5 / 8  # of all rows of both: two targets with even outcomes share a third by chance
SAME_SEQUENCES = 1 / 8
NEARLY_ALL = 7 / 8


def outcomes(target: pd.Series, contract: Contract) -> npt.NDArray[np.generic]:
    """Return what came, as words or as numbers: never as places, which depend on the other classes."""
    words = contract.columns[contract.target].type == "category"
    return target.to_numpy(dtype=np.str_) if words else target.to_numpy(dtype="<f8")


def sketch(rows: pd.DataFrame, contract: Contract) -> LabelSketch:
    """Return the sketch of a holdout.

    Parameters
    ----------
    rows
        The holdout, in any order: one row or more, with at least the contract's time, entity and target.
    contract
        Names these columns.

    """
    times = rows[contract.time].to_numpy(dtype="datetime64[us]")
    moments = times.astype("<i8").astype(np.uint64)
    came = _coded(outcomes(rows[contract.target], contract))
    who: Codes = np.zeros(len(rows), np.uint64)
    for column in contract.entity:
        who = _mixed(who ^ _coded(rows[column].astype(str).to_numpy(dtype=np.str_)))
    order = np.lexsort((came, who, moments))
    values, counts = np.unique(came, return_counts=True)
    rare = came != values[counts.argmax()]
    # Without an entity several rows may be alike: then it matters how many they are.
    events: Codes = _mixed(_mixed(moments ^ who) ^ came)[rare]
    different, many = np.unique(events, return_counts=True)
    return LabelSketch(
        first=str(times.min()),
        last=str(times.max()),
        rows=_least(_mixed(different ^ many.astype(np.uint64))),
        sequences=_least(_sequences(came[order])),
    )


def alike(one: LabelSketch, other: LabelSketch, *, same_case: bool) -> bool:
    """Return whether two sketches are of the same labels, but for some rows.

    Parameters
    ----------
    one, other
        From `sketch`.
    same_case
        Then it is enough that their times overlap.

    """
    if same_case and one.first <= other.last and other.first <= one.last:
        return True
    return (
        _share(one.rows, other.rows) >= SAME_ROWS or _share(one.sequences, other.sequences) >= SAME_SEQUENCES
    )


def nearly_equal(one: LabelSketch, other: LabelSketch) -> bool:
    """Return whether nearly all rows are the same. Two that are so with a third have most in common."""
    return _share(one.rows, other.rows) >= NEARLY_ALL


def _share(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """The estimated share of what two sides have in common, of all that either has."""
    least = sorted({*one, *other})[:KEPT]
    return sum(each in one and each in other for each in least) / max(len(least), 1)


def _sequences(came: Codes) -> Codes:
    """A hash of each sequence of `RUNS` runs of equal outcomes; of fewer runs one of them all."""
    starts = np.flatnonzero(np.r_[True, came[1:] != came[:-1]])
    lengths = np.diff(np.r_[starts, len(came)]).astype(np.uint64)
    runs = _mixed(came[starts] ^ _mixed(lengths))
    # The first and the last run may go on outside.
    whole = runs[1:-1] if len(runs) > RUNS + 1 else runs
    length = min(RUNS, len(whole))
    hashed = np.zeros(len(whole) - length + 1, np.uint64)
    for place in range(length):
        hashed = _mixed(hashed ^ whole[place : place + len(hashed)])
    return hashed


def _least(hashed: Codes) -> tuple[str, ...]:
    return tuple(f"{value:016x}" for value in np.unique(hashed)[:KEPT])


def _coded(values: npt.NDArray[np.generic]) -> Codes:
    """A number for each value, the same wherever it occurs."""
    if values.dtype.kind == "f":
        return _mixed(np.add(values, 0.0).view(np.uint64))  # there is a -0 beside 0
    known, places = np.unique(values, return_inverse=True)
    hashed = [int.from_bytes(hashlib.sha256(str(each).encode()).digest()[:8], "big") for each in known]
    return np.array(hashed, np.uint64)[places]


def _mixed(codes: Codes) -> Codes:
    """Numbers that look random, the same for the same: the finalizer of SplitMix64 (Steele et al. 2014)."""
    mixed: Codes = codes + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
