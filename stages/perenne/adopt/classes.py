"""The classes of a target of several: those that a model can learn, and what to say of the others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

import pandas as pd

from perenne.adopt import cutting
from perenne.adopt.cutting import History, Wanted
from perenne.common import periods
from perenne.common.contract import FEWEST_CLASSES, MOST_CLASSES
from perenne.common.errors import PerenneError
from perenne.common.task import Task

FEWEST = 10  # rows of a class, so that it is in each part of the history
LEARNED, JUDGED = 5, 1  # of them, in the window and in the holdout
MOST = 30  # classes where nobody has said that the target has some: more are names
SPARED = 0.05  # of the rows may be set aside where nobody has said so
SHOWN = 5  # classes that a line names
DIGITS = re.compile("([0-9]+)")

Kept: TypeAlias = tuple[str | int, ...]
"""The classes that a model can learn, in the order of the contract; none where there are not several."""


def natural(classes: Iterable[str | int]) -> Kept:
    """Classes in the order in which people count: it does not change with the rows, as their shares do.

    >>> natural(["b 10", "b 9", "a"]), natural([10, 9])
    (('a', 'b 9', 'b 10'), (9, 10))
    """

    def key(one: str | int) -> tuple[list[str | int], str]:
        parts = DIGITS.split(str(one).casefold())
        return [int(part) if place % 2 else part for place, part in enumerate(parts)], str(one)

    listed = list(classes)
    return (
        tuple(sorted(listed))
        if all(isinstance(one, int) for one in listed)
        else tuple(sorted(listed, key=key))
    )


def frequent(y: pd.Series, task: Task, *, asked: bool) -> Kept:
    """The classes of a target that have enough rows.

    Parameters
    ----------
    y
        The typed target, shape (n,).
    task
        What is predicted.
    asked
        Whether the user has said that it is this task.

    Raises
    ------
    PerenneError
        If they are too few or too many, or too many rows are of rare ones; it says what would do.

    """
    counts = _counts(y)
    kept, rare = counts[counts >= FEWEST], counts[counts < FEWEST]
    most = MOST_CLASSES if asked else MOST
    if not FEWEST_CLASSES <= len(kept) <= most:
        some = ", ".join(map(str, natural(counts.index.tolist())[:3]))
        more = f"; --task {task} takes up to {MOST_CLASSES}" if MOST < len(kept) <= MOST_CLASSES else ""
        raise PerenneError(
            f"{y.name}: {len(counts):,} values ({some}, ...), {len(kept):,} of which have {FEWEST} rows or "
            f"more; a target has two values, or {FEWEST_CLASSES} to {most} classes, or is a number{more}; "
            "--target names another column"
        )
    share = float(rare.sum() / counts.sum())
    if share > SPARED and not asked:
        raise PerenneError(
            f"{y.name}: {share:.0%} of its rows are of classes with fewer than {FEWEST} rows each "
            f"({listed(rare)}); merge them with others in the file, or --task {task} sets their rows aside"
        )
    return natural(kept.index.tolist())


def cut(times: pd.Series, y: pd.Series, kept: Kept, wanted: Wanted) -> tuple[History, Kept]:
    """How a history is cut, and the classes that its parts have then.

    Parameters
    ----------
    times, y
        Of the rows, shape (n,).
    kept
        The classes that have enough rows in all.
    wanted
        By what it may be cut.

    Raises
    ------
    PerenneError
        If the history is too short, or a part of it lacks a class that many rows are of.

    """
    left = list(kept)
    while True:
        of_left = y.where(y.isin(left))
        rarest = (of_left == _counts(of_left).index[-1]).fillna(value=False).astype(bool)
        found = cutting.history(times, of_left, rarest, wanted, several=True)
        parts = _in_parts(times, of_left, found, wanted.zone).reindex(left, fill_value=0)
        lacking = parts[(parts["learned"] < LEARNED) | (parts["judged"] < JUDGED)]
        if lacking.empty:
            learned, judged = int(parts["learned"].min()), int(parts["judged"].min())
            known = found.cut._replace(classes=len(left), fewest=learned, events=judged)
            return found._replace(cut=known), tuple(left)
        _must_be_rare(lacking, of_left, times)
        left = [one for one in left if one not in lacking.index]


def _in_parts(times: pd.Series, y: pd.Series, found: History, zone: str | None) -> pd.DataFrame:
    """How many rows of each class are learned from and judged on."""
    of = periods.of(times, found.chosen.unit, zone)
    learned, judged = found.cut.parts(of, y.notna())
    return pd.DataFrame({"learned": y[learned].value_counts(), "judged": y[judged].value_counts()}).fillna(0)


def _must_be_rare(lacking: pd.DataFrame, y: pd.Series, times: pd.Series) -> None:
    """Refuse to set aside classes that many rows are of, or so many that too few are left."""
    rows = _counts(y)
    left = len(rows) - len(lacking)
    one = max(lacking.index, key=lambda name: int(rows[name]))
    share = float(rows[lacking.index].sum() / rows.sum())
    if share <= SPARED and left >= FEWEST_CLASSES:
        return
    where, few = ("learned from", LEARNED) if lacking.loc[one, "learned"] < LEARNED else ("judged on", JUDGED)
    has = int(lacking.loc[one, "learned" if few == LEARNED else "judged"])
    first, last = (f"{when:%Y-%m-%d}" for when in times[y == one].agg(["min", "max"]))
    raise PerenneError(
        f"{y.name}: of the {rows[one]:,} rows of {one!r} ({first} to {last}) {has:,} are among those "
        f"{where}, at least {few} must be: merge it with another class, leave out the rows before it came or "
        "after it went, or another --period would do"
    )


def notes(y: pd.Series, task: Task, classes: Kept, other: str) -> list[str]:
    """What to say of a target with classes.

    Parameters
    ----------
    y
        The typed target, shape (n,).
    task, classes
        What is predicted.
    other
        How to get another task, as the end of a sentence.

    """
    counts = _counts(y)
    few = counts[[name for name in counts.index if name not in classes]]
    said = [
        f"{y.name}: task {task}, with a chance for each of {len(classes)} classes ({_some(classes)}); {other}"
    ]
    if len(few):
        said.append(
            f"{y.name}: too few rows to learn and to judge {listed(few)}: these rows are set aside, and the "
            "model never predicts it; merge it with another class in the file to keep them"
        )
    if gaps := int(y.isna().sum()):
        said.append(f"{y.name}: {gaps:,} rows have no label (an empty cell, NA, None and the like)")
    alike: dict[str, list[str]] = defaultdict(list)
    for one in classes:
        alike[str(one).casefold()].append(repr(one))
    said += [
        f"{y.name}: {' and '.join(words)} differ in their capitals alone: are they one class?"
        for words in alike.values()
        if len(words) > 1
    ]
    return said


def _counts(y: pd.Series) -> pd.Series:
    """How many rows each class has, the most frequent first; of equals the first in their order."""
    counts: pd.Series = y.dropna().value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return counts


def listed(rows: pd.Series) -> str:
    """Some classes with their rows.

    >>> listed(pd.Series({"oats": 3, "rye": 1}))
    "'oats' (3 rows), 'rye' (1 row)"
    """
    shown = [f"{name!r} ({count:,} row{'s' * (count != 1)})" for name, count in rows[:SHOWN].items()]
    return ", ".join([*shown, *([f"{len(rows) - SHOWN:,} more"] if len(rows) > SHOWN else [])])


def _some(classes: Kept) -> str:
    return ", ".join([*map(str, classes[:SHOWN]), *(["..."] if len(classes) > SHOWN else [])])
