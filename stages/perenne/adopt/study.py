"""What some files hold: how they are written, what each column is, and how their history is to be cut."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import pandas as pd
import pyarrow as pa

from perenne.adopt import classes, columns, cutting, roles, times, written
from perenne.adopt.columns import Guess
from perenne.adopt.cutting import Batching, Cutting, History, Wanted
from perenne.adopt.table import Table, in_types, table
from perenne.adopt.values import Found
from perenne.adopt.wishes import Ask, Wishes
from perenne.cases.reading.order import Order, joined
from perenne.common import periods
from perenne.common.errors import PerenneError
from perenne.common.periods import Unit
from perenne.common.reading import Parts, Read
from perenne.common.task import Task

FEWEST_ROWS = 40  # of all files: fewer are too few to learn from and to measure by


class Studied(NamedTuple):
    """What was found.

    How files are read, in words; the texts of both files of a case; what to say of it; the units of time that
    were weighed, and the one that was chosen; how history is cut.
    """

    name: str
    read: str
    contract: str
    params: str
    notes: list[str]
    units: list[Batching]
    chosen: Batching
    cut: Cutting


def study(paths: list[Path], wishes: Wishes, ask: Ask) -> Studied:
    """Find out what some files hold.

    Parameters
    ----------
    paths
        The files of a case, all written in one way, with the same columns.
    wishes
        What the user has said.
    ask
        Called where two answers are possible.

    Raises
    ------
    PerenneError
        If a file cannot be read, or something cannot be told; it says which option would.

    """
    name, whole = wishes.name or slug(paths[0]), table(paths, wishes, ask)
    notes = list(whole.left_out)
    wishes = roles.named_in(whole, wishes)
    target, found, read, parts = roles.understood(whole, wishes, ask, notes)
    frame = in_types(whole.frame, found, read, wishes.zone)
    times.one_clock(whole, found, wishes.zone)
    time = times.time_of(frame, found, target, wishes, ask)
    task = roles.task_of(frame[target], found[target], wishes.task)
    asked = wishes.task is not None
    kept = classes.frequent(frame[target], task, asked=asked) if task.outcome == "class" else ()
    parts = parts if time is None else None
    if parts:
        read, time = in_parts(frame, parts, read, whole, wishes, notes)
    elif time is None:
        times.must_have_no_time(whole, found, target)
        if wishes.period not in (None, "day"):
            raise PerenneError(f"--period {wishes.period}: no column says when a row was; --time names one")
        read, time = in_order(frame, target, read, whole, kept, notes)
    found.setdefault(time, Found("datetime"))
    frame = with_time(frame, time, wishes.zone, notes)
    if len(frame) < FEWEST_ROWS:
        raise PerenneError(f"{paths[0]}: {len(frame)} rows with a time; at least {FEWEST_ROWS} are needed")
    roles.task_of(frame[target], found[target], wishes.task)  # the rows that are left have two values, too
    wanted = Wanted(("day",) if read.batch else get_args(Unit), wishes.period, wishes.zone, str(paths[0]))
    history, kept = cut(frame[time], frame[target], task, kept, wanted)
    notes += roles.unlabelled(frame[target])
    said = roles.other_task(frame[target], found[target], task)
    if kept:
        notes += classes.notes(frame[target], task, kept, said)
        frame = frame[frame[target].isna() | frame[target].isin(kept)]
    elif said and not asked:
        notes.append(said)
    guesses = guessed(frame, found, time, target, kept, parts)
    notes += [guess.note for guess in guesses.values() if guess.note]
    must_have_features(guesses, target, str(paths[0]))
    files = paths[0].name if len(paths) == 1 else f"{len(paths)} files such as {paths[0].name}"
    contract = written.contract(name, files, task, history.chosen, history.cut, guesses, read, wishes.zone)
    features = sum("feature" in guess.role for guess in guesses.values())
    params = written.params(name, task, history.chosen.unit, history.cut, features)
    return Studied(name, written.in_words(read), contract, params, notes, *history)


def guessed(
    frame: pd.DataFrame,
    found: Mapping[str, Found],
    time: str,
    target: str,
    kept: classes.Kept,
    parts: Parts | None,
) -> dict[str, Guess]:
    """What each column is for, with the words of booleans and the parts of a time."""
    types = {name: one.kind for name, one in found.items()}
    guesses = columns.guessed(frame, types, time=time, target=target, classes=kept)
    guesses = {n: replace(g, values=found[n].words) if found[n].words else g for n, g in guesses.items()}
    return times.of_parts(guesses, parts, time) if parts else guesses


def must_have_features(guesses: Mapping[str, Guess], target: str, name: str) -> None:
    """Refuse files that teach nothing.

    Raises
    ------
    PerenneError
        Says why each column was set aside.

    """
    if not any("feature" in guess.role for guess in guesses.values()):
        why = "; ".join(guess.note for guess in guesses.values() if guess.note)
        why = why or f"it has {target} and a time alone: add columns that are known before {target} is"
        raise PerenneError(f"{name}: no column is left to learn from; {why}")


def cut(
    times: pd.Series, y: pd.Series, task: Task, kept: classes.Kept, wanted: Wanted
) -> tuple[History, classes.Kept]:
    """How history is cut, and which of several classes are left then."""
    if kept:
        return classes.cut(times, y, kept, wanted)
    rare = y == y.value_counts().index[-1] if task.outcome != "quantity" else None
    return cutting.history(
        times, y, None if rare is None else rare.fillna(value=False).astype(bool), wanted
    ), ()


def slug(path: Path) -> str:
    """The name of a case from that of its file, as a Git tag may have it.

    >>> slug(Path("Été 2024 (final).csv.gz")), slug(Path("2024-01.csv"))
    ('ete-2024-final', 'case-2024-01')
    """
    plain = unicodedata.normalize("NFKD", path.name.split(".")[0]).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "case"
    return words if words[0].isalpha() else f"case-{words}"


def with_time(frame: pd.DataFrame, time: str, zone: str | None, notes: list[str]) -> pd.DataFrame:
    """The rows whose time can be right, in its order; the stages set the others aside."""
    days = periods.of(frame[time], "day", zone)
    far = days.isin(periods.astray(Counter(days.dropna())))
    if far.any():
        notes.append(
            f"{time}: {far.sum():,} rows such as {frame.loc[far, time].iloc[0]:%Y-%m-%d} lie far from all "
            "others; set aside, unless the contract gives the time a range"
        )
    return frame[days.notna() & ~far].sort_values(time, kind="stable")


def in_parts(
    frame: pd.DataFrame, parts: Parts, read: Read, whole: Table, wishes: Wishes, notes: list[str]
) -> tuple[Read, str]:
    """Make a time of the columns that say it together; as for `in_order`."""
    names = list(parts.named.values())
    time = next(name for name in ("time", "time of row", "moment") if name not in frame)
    rows = pa.table({name: pa.array(whole.frame[name], from_pandas=True) for name in names})
    texts = pd.DataFrame({time: joined(rows, parts).to_pandas().astype("str")})
    frame[time] = in_types(texts, {time: Found("datetime")}, read, wishes.zone)[time]
    notes.append(f"time: {' and '.join(names)} say it together; --time names another column")
    return read.model_copy(update={"time": parts}), time


def in_order(
    frame: pd.DataFrame, target: str, read: Read, whole: Table, kept: classes.Kept, notes: list[str]
) -> tuple[Read, str]:
    """Let the order of rows, or the file that they are in, stand for the time that they lack.

    Parameters
    ----------
    frame
        Typed rows; it gets a column of days.
    target, read, whole, kept
        What is known of the files; the last are the target's classes, if there are several.
    notes
        It gets what this costs.

    Returns
    -------
    tuple
        How the files are read then, and the name of the column of days.

    Raises
    ------
    PerenneError
        If the rows are sorted by the target.

    """
    y = frame[target].dropna()
    if y.is_monotonic_increasing or y.is_monotonic_decreasing:
        raise PerenneError(
            f"no column says when a row was, and rows are sorted by {target}: a part of them is of one kind; "
            "--time names the column that says when, or shuffle the rows"
        )
    rows = y[y.isin(kept)].value_counts() if kept else y.value_counts()
    events = int(rows.min()) if kept or len(rows) == 2 else None
    by_file = len(whole.rows) >= cutting.LEAST
    batch: int | Literal["file"] = (
        "file" if by_file else cutting.in_order(len(frame), events, several=bool(kept))
    )
    parts = len(whole.rows) if by_file else math.ceil(len(frame) / int(batch))
    if parts < cutting.LEAST:
        raise PerenneError(
            f"no column says when a row was, and {len(frame):,} rows in their order make {parts} of "
            f"the {cutting.LEAST} batches that are needed: give it more rows, or a column of times"
        )
    time = next(name for name in ("batch", "batch of rows", "batch by order") if name not in frame)
    order, days = Order(batch), []
    for count in whole.rows:
        order.begin()
        days.append(order.days(count).to_pandas())
    frame[time] = pd.concat(days, ignore_index=True)
    frame.attrs["in order"] = True
    what = "each file is a batch" if by_file else f"{batch:,} rows in the order of the file are a batch"
    notes.append(
        f"no column says when a row was, so {what}. If rows did not come in that order, validation is as if "
        "they were dealt at random, and drift means nothing; --time names the column, if there is one"
    )
    return read.model_copy(update={"batch": batch}), time
