"""What each column of a table is for: its role, what its values may be, and what is odd about it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from perenne.common.column import Role, Type
from perenne.stats.metrics import roc_auc

Array = npt.NDArray[np.float64]

MOST_VALUES = 30  # of a category that a contract lists
MOST_LEVELS = 1000  # of a category; text beyond it
LONG = 40  # characters on average; a longer text is no category
ID = re.compile(
    r"(?i:(?:^|[ _.-])(?:ids?|key|uuid|guid|nr|no|number|num|code|identifiant|identifier|identité)$)|I[dD]$"
    r"|^(?i:row|index|unnamed: 0)$"
)
STAND_IN = re.compile(r"-?(?:9{2,}|8{2,}|1e\\+[0-9]+)|-9")  # as people write for no value
FAR = 3.0  # times the largest of all others
KNOWS = 0.99  # AUC, or rank correlation, from which on a column knows the target too well
PANEL = 0.8  # of all pairs of a time and a thing are there
FEW_LEVELS, LEAST_SHARE, MOST_SLICES = 8, 0.05, 2
SPARE = 1.0  # of a column's span on both sides: what comes later may go beyond what was seen


@dataclass(frozen=True)
class Guess:
    """What one column is; `note` says what a person should look at, empty if nothing."""

    type: Type
    role: tuple[Role, ...]
    range: tuple[float | str, float | str] | None = None
    values: tuple[str | int, ...] | None = None
    missing: bool = False
    about: str = ""
    note: str = ""


def guessed(
    frame: pd.DataFrame,
    types: Mapping[str, Type],
    *,
    time: str | None,
    target: str,
    classes: tuple[str | int, ...] = (),
) -> dict[str, Guess]:
    """What the columns of a table are.

    Parameters
    ----------
    frame
        Typed rows in the order of their times, shape (n, columns).
    types
        The type of each column.
    time, target
        Known already; without a time the order of rows is all there is.
    classes
        Of the target, if there are several.

    """
    key = _identifier(frame, types, {time, target})
    y = frame[target].astype("str").where(frame[target].notna()) if classes else frame[target]
    seen: dict[str, str] = {}
    found: dict[str, Guess] = {}
    for name, kind in types.items():
        values = frame[name]
        if name == time:
            found[name] = Guess(kind, ("time",))
        elif name == target:
            found[name] = replace(_target(values, kind), values=classes) if classes else _target(values, kind)
        elif name == key:
            found[name] = Guess(kind, ("entity",), missing=bool(values.isna().any()))
        else:
            found[name] = _feature(frame, name, kind, time, y, seen)
    if key is None and time is not None:
        found = _panel(found, frame, time)
    return _sliced(found, frame)


def _panel(found: dict[str, Guess], frame: pd.DataFrame, time: str) -> dict[str, Guess]:
    """The same; things that have a row at nearly each time, such as stations, are entities."""
    moments = frame[time].nunique()
    for name, guess in found.items():
        whole = moments * frame[name].nunique()
        if (
            guess.role == ("feature",)
            and (guess.type == "category" or (guess.type == "integer" and ID.search(name)))
            and moments < len(frame)
            and PANEL * whole <= len(frame) <= whole
            and not frame.duplicated([time, name]).any()
        ):
            return found | {name: replace(guess, role=("feature", "entity"))}
    return found


def _identifier(frame: pd.DataFrame, types: Mapping[str, Type], others: set[str | None]) -> str | None:
    """The column that has another value in each row, and is no measurement; None if there is none."""
    rows = len(frame)
    candidates = []
    for name, kind in types.items():
        values = frame[name]
        if name in others or kind not in ("integer", "category", "text") or values.isna().any():
            continue
        if values.nunique() < rows:
            continue
        named = bool(ID.search(name))
        counted = kind == "integer" and int(values.max() - values.min()) + 1 == rows
        word = kind != "integer" and not values.str.contains(" ").any() and values.str.len().mean() <= LONG
        if named or counted or word:
            candidates.append((not named, not counted, name))
    return min(candidates)[2] if candidates else None


def _target(values: pd.Series, kind: Type) -> Guess:
    listed = tuple(int(v) for v in sorted(values.dropna().unique())) if kind == "integer" else None
    few = listed if listed and len(listed) == 2 else None
    odd = stand_in(values.dropna(), kind)
    note = f"{values.name}: {odd}" if odd else ""
    return Guess(kind, ("target",), values=few, missing=bool(values.isna().any()), note=note)


def stand_in(there: pd.Series, kind: Type) -> str:
    """What to say of a number such as -999 that lies far from all others and is there often; empty if none.

    >>> stand_in(pd.Series([-999, 1, 2, 3, 4, -999]), "integer")
    'is -999 in 2 rows: does it stand for a missing value? read: {missing: [...]} says so'
    """
    if kind not in ("integer", "number") or there.empty:
        return ""
    numbers = there.to_numpy(dtype=np.float64)
    for value in (float(numbers.min()), float(numbers.max())):
        if not STAND_IN.fullmatch(f"{value:g}"):
            continue
        others = np.abs(numbers[numbers != value])
        count = len(numbers) - len(others)
        if count > 1 and others.size and others.min() < others.max() and abs(value) > FAR * others.max():
            return (
                f"is {value:g} in {count:,} rows: does it stand for a missing value? "
                "read: {missing: [...]} says so"
            )
    return ""


def _feature(
    frame: pd.DataFrame, name: str, kind: Type, time: str | None, y: pd.Series, seen: dict[str, str]
) -> Guess:
    values = frame[name]
    missing = bool(values.isna().any())
    there = values.dropna()

    def ignored(why: str, as_type: Type = kind) -> Guess:
        return Guess(as_type, ("ignored",), missing=missing, about=why, note=f"{name}: {why}; set aside")

    if there.nunique() <= 1 and not (missing and len(there)):
        return ignored("has one value" if len(there) else "has no value")
    if kind in ("category", "text"):
        levels, length = there.nunique(), float(there.str.len().mean())
        if (
            levels == len(there) > MOST_VALUES
            or levels > MOST_LEVELS
            or (length > LONG and levels > MOST_VALUES)
        ):
            return ignored(f"{levels:,} texts in {len(there):,} rows", "text")
    if kind == "integer" and ID.search(name) and there.nunique() > 0.5 * len(there):
        return ignored("an identifier by its name and values")
    first = seen.setdefault(_content(values, kind), name)
    if first != name:
        return ignored(f"a copy of {first}")
    if kind == "datetime" and frame.attrs.get("in order"):
        return ignored("dates, and rows have no time to compare them with", "text")
    if kind == "datetime" and time is not None:
        later = float((there > frame.loc[there.index, time]).mean())
        if later > 0.001:
            return ignored(f"{later:.1%} of its dates come after {time}: not known then", "text")
    knows = _knows(values, y, kind)
    notes = [f"knows {y.name} nearly by itself ({knows}): is it known before?"] if knows else []
    notes += [odd] if (odd := stand_in(there, kind)) else []
    note = f"{name}: {'; '.join(notes)}" if notes else ""
    return Guess(
        kind,
        ("feature",),
        range=_range(there, kind),
        values=_values(there) if kind == "category" else None,
        missing=missing,
        note=note,
    )


def _content(values: pd.Series, kind: Type) -> str:
    """What says whether two columns hold the same: a digest of their numbers, or of their texts."""
    if kind in ("integer", "number"):
        return hashlib.sha256(values.to_numpy(dtype=np.float64, na_value=np.nan).tobytes()).hexdigest()
    return hashlib.sha256("\0".join(values.astype("str").fillna("\1")).encode()).hexdigest()


def _values(there: pd.Series) -> tuple[str, ...] | None:
    """All values of a category, if no other is to be expected; None otherwise.

    The share of rows with a value not yet seen is about that of values seen once (Good 1953).
    """
    counts = there.value_counts()
    return tuple(sorted(counts.index)) if len(counts) <= MOST_VALUES and not (counts == 1).any() else None


def _range(there: pd.Series, kind: Type) -> tuple[float | str, float | str] | None:
    """What a number may be: what was seen and as much again on both sides, but not below a floor of 0.

    Of a few integers that are each seen more than once no other is to be expected.

    >>> _range(pd.Series([0.5, 30.0]), "number"), _range(pd.Series([0, 0, 1, 1]), "integer")
    ((0, 60), (0, 1))
    """
    if kind not in ("integer", "number"):
        return None
    low, high = float(there.min()), float(there.max())
    if kind == "integer" and len(counts := there.value_counts()) <= MOST_VALUES and not (counts == 1).any():
        return int(low), int(high)
    span = max(high - low, abs(high), abs(low)) * SPARE or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    below, above = math.floor((low - span) / step) * step, math.ceil((high + span) / step) * step
    if low >= 0:
        below = 0.0
    digits = max(0, -math.floor(math.log10(step)))
    ends = [round(edge, digits) for edge in (below, above)]
    if max(map(abs, ends)) > 1e15:
        return None
    first, last = (int(edge) if edge == int(edge) else edge for edge in ends)
    return first, last


def _knows(values: pd.Series, target: pd.Series, kind: Type) -> str:
    """How well a column alone tells the rows' targets, if it is too well; else empty.

    Of classes, each two have to be told from each other (Hand & Till 2001): the least AUC of all pairs.
    """
    there = (values.notna() & target.notna()).to_numpy()
    few = kind in ("category", "boolean")
    if there.sum() < 50 or kind == "datetime" or (few and values[there].nunique() > 0.1 * there.sum()):
        return ""
    x = pd.factorize(values[there])[0].astype(np.float64) if few else values[there].to_numpy(np.float64)
    if pd.api.types.is_string_dtype(target):
        y = pd.factorize(target[there], sort=True)[0].astype(np.float64)
    else:
        y = target[there].to_numpy(np.float64)
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2:
        return ""
    if len(classes) == 2 or pd.api.types.is_string_dtype(target):
        auc = _separates(x, y, classes[np.argsort(-counts, kind="stable")], of_levels=few)
        return f"AUC {auc:.3f}" if auc >= KNOWS else ""
    x = _means(x, y) if few else x
    with np.errstate(invalid="ignore"):
        rank = abs(float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])) if x.min() < x.max() else 0.0
    return f"rank correlation {rank:.3f}" if rank >= KNOWS else ""


def _separates(x: Array, y: Array, classes: Array, *, of_levels: bool) -> float:
    """The least AUC of a column between two classes; of the first pairs alone, if it is not near one.

    Parameters
    ----------
    x, y
        Numbers, or the places of levels, and classes; shape (n,).
    classes
        The most frequent first.
    of_levels
        Whether `x` has levels: they are ordered by what they say of the two.

    Examples
    --------
    >>> x, y = np.array([1.0, 1, 2, 2, 3, 3]), np.array([0.0, 0, 1, 1, 2, 2])
    >>> [_separates(one, y, np.unique(y), of_levels=False) for one in (x, x // 2)]
    [1.0, 0.5]

    """
    least = 1.0
    for one, other in combinations(classes, 2):
        of = (y == one) | (y == other)
        event = (y[of] == max(one, other)).astype(np.float64)
        ordered = _means(x[of], event) if of_levels else x[of]
        auc = float(roc_auc(event, ordered)(np.ones(len(event))))
        least = min(least, max(auc, 1 - auc))
        if least < KNOWS:
            break
    return least


def _means(levels: Array, y: Array) -> Array:
    """The mean of each row's level, shape (n,)."""
    places = levels.astype(np.intp)
    means = np.bincount(places, weights=y) / np.maximum(np.bincount(places), 1)
    return np.asarray(means[places])


def _sliced(found: dict[str, Guess], frame: pd.DataFrame) -> dict[str, Guess]:
    """The same, where the first few categories with few and common levels are slices too."""
    chosen = 0
    for name, guess in found.items():
        if chosen == MOST_SLICES:
            break
        if guess.role[0] != "feature" or guess.type not in ("category", "boolean"):
            continue
        shares = frame[name].value_counts(normalize=True)
        if 2 <= len(shares) <= FEW_LEVELS and float(shares.min()) >= LEAST_SHARE:
            found[name] = replace(guess, role=(*guess.role, "slice"))
            chosen += 1
    return found
