"""What some files hold: how they are written, what each column is, and how their history is to be cut."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from perenne.adopt import columns, cutting, roles, written
from perenne.adopt.cutting import Batching, Cutting
from perenne.adopt.roles import Ask, Wishes
from perenne.adopt.table import Table, in_types, table
from perenne.adopt.values import Found
from perenne.cases.reading.order import Order
from perenne.common import periods
from perenne.common.errors import PerenneError
from perenne.common.reading import Read

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
    name, whole = wishes.name or slug(paths[0]), table(paths, wishes.encoding)
    notes = list(whole.left_out)
    wishes = roles.named_in(whole, wishes)
    target, found, read = roles.understood(whole, wishes, ask, notes)
    frame = in_types(whole.frame, found, read, wishes.zone)
    roles.one_clock(whole, found, wishes.zone)
    time = roles.time_of(frame, found, target, wishes, ask)
    if time is None:
        roles.must_have_no_time(whole, found, target)
        read, time = in_order(frame, target, read, whole, notes)
        found |= {time: Found("datetime")}
    frame = with_time(frame, time, wishes.zone, notes)
    task = roles.task_of(frame[target], found[target], wishes.task)
    if len(frame) < FEWEST_ROWS:
        raise PerenneError(f"{paths[0]}: {len(frame)} rows with a time; at least {FEWEST_ROWS} are needed")
    guesses = columns.guessed(frame, {n: one.kind for n, one in found.items()}, time=time, target=target)
    guesses = {n: replace(g, values=found[n].words) if found[n].words else g for n, g in guesses.items()}
    notes += [guess.note for guess in guesses.values() if guess.note]
    if not any("feature" in guess.role for guess in guesses.values()):
        why = "; ".join(guess.note for guess in guesses.values() if guess.note)
        why = why or f"it has {target} and a time alone: add columns that are known before {target} is"
        raise PerenneError(f"{paths[0]}: no column is left to learn from; {why}")
    y = frame[target]
    rare = (y == y.value_counts().index[-1]).fillna(value=False).astype(bool) if task.classes else None
    units = cutting.batchings(frame[time], rare, wishes.zone)
    if read.batch:
        units = [one for one in units if one.unit == "day"]
    chosen = cutting.chosen(units, wishes.period, str(paths[0]))
    cut = cutting.cutting(frame[time], y.notna(), rare, chosen.unit, wishes.zone)
    files = paths[0].name if len(paths) == 1 else f"{len(paths)} files such as {paths[0].name}"
    contract = written.contract(name, files, task, chosen, cut, guesses, read, wishes.zone)
    features = sum("feature" in guess.role for guess in guesses.values())
    params = written.params(name, task, chosen.unit, cut, features)
    return Studied(name, written.in_words(read), contract, params, notes, units, chosen, cut)


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


def in_order(
    frame: pd.DataFrame, target: str, read: Read, whole: Table, notes: list[str]
) -> tuple[Read, str]:
    """Let the order of rows, or the file that they are in, stand for the time that they lack.

    Parameters
    ----------
    frame
        Typed rows; it gets a column of days.
    target, read, whole
        What is known of the files.
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
    events = int(y.value_counts().min()) if y.nunique() == 2 else None
    by_file = len(whole.rows) >= cutting.LEAST
    batch: int | Literal["file"] = "file" if by_file else cutting.in_order(len(frame), events)
    parts = len(whole.rows) if by_file else math.ceil(len(frame) / int(batch))
    if parts < cutting.LEAST:
        raise PerenneError(
            f"no column says when a row was, and {len(frame):,} rows in their order make {parts} of "
            f"the {cutting.LEAST} batches that are needed: give it more rows, or a column of times"
        )
    time = next(name for name in ("batch", "batch of rows", "batch by order") if name not in frame)
    order, days = Order(batch), []
    for rows in whole.rows:
        order.begin()
        days.append(order.days(rows).to_pandas())
    frame[time] = pd.concat(days, ignore_index=True)
    frame.attrs["in order"] = True
    what = "each file is a batch" if by_file else f"{batch:,} rows in the order of the file are a batch"
    notes.append(
        f"no column says when a row was, so {what}. If rows did not come in that order, validation is as if "
        "they were dealt at random, and drift means nothing; --time names the column, if there is one"
    )
    return read.model_copy(update={"batch": batch}), time
