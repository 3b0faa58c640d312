"""Which column is the target, and what is to be predicted."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

import pandas as pd

from perenne.adopt import times, values
from perenne.adopt.classes import FEWEST, listed
from perenne.adopt.table import Table, kind
from perenne.adopt.values import Found
from perenne.adopt.wishes import Ask, Wishes, plain
from perenne.common.column import WHOLE
from perenne.common.errors import PerenneError, hint
from perenne.common.reading import Parts, Read
from perenne.common.task import TASKS, Task, named

LARGEST = 1e100  # of a target: errors are squared and added up
MOST_LEVELS = 30  # of integers that may be meant for classes
TARGETS = ("target", "label", "y", "class", "outcome", "response")


def named_in(table: Table, wishes: Wishes) -> Wishes:
    """The wishes with columns called as the file does, whatever its blanks and the form of its accents.

    Raises
    ------
    PerenneError
        If a column that the user names is not there.

    """
    same = {plain(name): name for name in table.names}
    for option, name in (("--target", wishes.target), ("--time", wishes.time)):
        if name is None or name in table.names:
            continue
        if plain(name) not in same:
            why = next((note for note in table.left_out if note.startswith(f"column {name!r} ")), "")
            raise PerenneError(
                f"{option} {name}: {why.removesuffix('; left out')}; rename it in the file"
                if why
                else f"{option} {name}: no such column; {hint(name, table.names)}"
            )
        known = same[plain(name)]
        wishes = wishes._replace(target=known) if option == "--target" else wishes._replace(time=known)
    if wishes.target is not None and wishes.target == wishes.time:
        raise PerenneError(f"--target {wishes.target}: is the time as well; name another column")
    return wishes


def target_of(
    table: Table, found: Mapping[str, Found], pieces: AbstractSet[str], wishes: Wishes, notes: list[str]
) -> str:
    """The column to predict: the one that is named, or is called so, or else the last that is no time.

    Raises
    ------
    PerenneError
        If no column is left, or the last has a name that no contract can have.

    """
    if wishes.target is not None:
        return wishes.target
    dated = {name for name in table.names if found[name].kind == "datetime"} | pieces
    others = [name for name in table.names if name != wishes.time and name not in dated]
    if not others:
        raise PerenneError("no column is left to predict: all that the file has is times")
    called = [name for name in others if plain(name).lower() in TARGETS]
    if table.last and not called:
        why = table.last.removesuffix("; left out")
        raise PerenneError(f"the last {why}; rename it, or --target names the column to predict")
    # Of `Y` and `y` the one that is written as most people do.
    target = min(called, key=lambda name: name not in TARGETS) if called else others[-1]
    why = "by its name" if called else "as the last column" + " that is no time" * (target != table.names[-1])
    notes.append(f"target: {target}, {why}; --target names another")
    return target


def understood(
    table: Table, wishes: Wishes, ask: Ask, notes: list[str]
) -> tuple[str, dict[str, Found], Read, Parts | None]:
    """What is to be predicted, what each column is, how values are written, and which say a time together.

    Parameters
    ----------
    table
        All rows.
    wishes
        What the user has said.
    ask
        Called for dates that may be read in two ways.
    notes
        It gets why the target is that.

    Raises
    ------
    PerenneError
        If no column can be the target, `--positive` is no value of it, or nobody is there to be asked.

    """
    frame, read = table.frame, table.read
    texts = {name: values.distinct(frame[name]) for name in table.names if table.is_text(name)}
    how, known = values.written(texts, read.delimiter)
    found = {name: known.get(name) or Found(kind(frame[name])) for name in table.names}
    parts = times.parts_of(frame[table.names], wishes)
    pieces = set(parts.named.values()) if parts else set()
    for name in table.names:
        unit = times.counted(name, frame[name], found[name], wishes)
        if unit and name not in pieces:
            found[name] = Found("datetime", dates=(unit,))
    target = target_of(table, found, pieces, wishes, notes)
    found[target] = _in_words(frame[target], found[target], wishes, notes)
    dates: dict[str, None] = dict.fromkeys(wishes.dates)
    for name, one in found.items():
        first = one.dates
        if one.either and not wishes.dates:
            shown = str(frame[name].dropna().iloc[0])
            answers = [one.dates[0], one.either[0]]
            chosen = ask(f"{name}: {shown!r} may have the day or the month first", answers, "--dates")
            first = one.dates if chosen == one.dates[0] else one.either
        dates |= dict.fromkeys(first)
    given = read.model_dump() | {"decimal": how.style.decimal, "thousands": how.style.thousands}
    given |= {"strip": how.strip, "dates": tuple(dates), "missing": how.missing}
    return target, found, Read(**given), parts


def _in_words(column: pd.Series, found: Found, wishes: Wishes, notes: list[str]) -> Found:
    """A target of words: the rarer of two is the event, unless a list or the user says otherwise."""
    counts = values.distinct(column.astype("str")).drop(list(found.missing), errors="ignore")
    words = [str(word) for word in counts.index]
    if wishes.positive is not None:
        if len(words) > 2:
            raise PerenneError(
                f"--positive {wishes.positive}: is for a target of two values, and {column.name} has "
                f"{len(words):,}; leave it out, or --target names another column"
            )
        if wishes.positive not in words or len(words) != 2:
            raise PerenneError(
                f"--positive {wishes.positive}: must be one of the two values of the target; "
                f"{hint(wishes.positive, words[:10])}"
            )
        return Found("boolean", words=(next(w for w in words if w != wishes.positive), wishes.positive))
    if found.kind in ("boolean", "datetime"):
        return found
    rare = counts[counts < FEWEST]
    if found.kind == "category" and len(words) - len(rare) == 2 < len(words):
        notes.append(
            f"{column.name}: beside {words[0]!r} and {words[1]!r}, too few rows are of {listed(rare)}: "
            "they are set aside"
        )
        words = words[:2]
    if len(words) == 2:
        if {word.removesuffix(".0") for word in words} == {"0", "1"}:
            return replace(found, kind="integer")
        return Found("boolean", words=(words[0], words[1]), missing=found.missing)
    if found.kind == "number" and _of_classes(wishes) and all(WHOLE.fullmatch(word) for word in words):
        return replace(found, kind="integer")  # a gap makes 3.0 of 3
    return found


def _of_classes(wishes: Wishes) -> bool:
    return wishes.task in TASKS and TASKS[wishes.task].outcome == "class"


def task_of(y: pd.Series, found: Found, wished: str | None) -> Task:
    """The task that a target asks for.

    Parameters
    ----------
    y
        The typed target, shape (n,).
    found, wished
        What it is, and what the user calls the task.

    Raises
    ------
    PerenneError
        If no task has such a target.

    """
    levels, name = y.nunique(), y.name
    if levels < 2:
        has = "one value" if levels else "no value"
        raise PerenneError(f"{name}: has {has}; a target has two or more: --target names another column")
    if wished is not None:
        try:
            task = named(wished)
        except ValueError as error:
            raise PerenneError(f"--task: {error}") from None
        if not _fits(task, found, levels):
            fit = " or ".join(str(other) for other in TASKS.values() if _fits(other, found, levels))
            raise PerenneError(
                f"{name}: a {found.kind} with {levels:,} values is not a target of a {task} task; "
                f"{f'--task {fit} takes it, or ' if fit else ''}--target names another column"
            )
    else:  # numbers are a quantity unless somebody says that they stand for classes
        fitting = [task for task in TASKS.values() if _fits(task, found, levels)]
        if not fitting:
            raise PerenneError(
                f"{name}: a {found.kind} with {levels:,} values; a target has two values, or is a number; "
                "--target names another column"
            )
        task = min(fitting, key=lambda one: one.outcome == "class")
    if task.outcome == "quantity" and (largest := float(y.astype("float64").abs().max())) > LARGEST:
        raise PerenneError(f"{name}: {largest:g} is too large to be squared; write it in a larger unit")
    return task


def unlabelled(y: pd.Series) -> list[str]:
    """What to say of a target, shape (n,), that most rows lack; empty if they do not.

    >>> unlabelled(pd.Series([1, None, None], name="won"))
    ['won: has no value in 2 of 3 rows; nothing is learned from these']
    """
    without = int(y.isna().sum())
    if without <= len(y) / 2:
        return []
    return [f"{y.name}: has no value in {without:,} of {len(y):,} rows; nothing is learned from these"]


def other_task(y: pd.Series, found: Found, task: Task) -> str:
    """What to say of a task that could be another one as well, and how to get that; empty if none could.

    Parameters
    ----------
    y
        The typed target, shape (n,).
    found, task
        What it is, and what was chosen.

    """
    levels = y.nunique()
    if task.outcome == "class":
        others = [one for one in TASKS.values() if one is not task and _fits(one, found, levels)]
        if others:
            return f"--task {others[0]} takes them for numbers"
        return "a quantity needs numbers instead of words"
    classes = [one for one in TASKS.values() if one.outcome == "class" and _fits(one, found, levels)]
    if not classes or levels > MOST_LEVELS:
        return ""
    return (
        f"{y.name}: {levels} different integers, taken for a quantity (task {task}); "
        f"--task {classes[0]} takes them for classes"
    )


def _fits(task: Task, found: Found, levels: int) -> bool:
    """Whether a task has such a target: as many classes, or none, and the type."""
    return found.kind in task.target_types and task.fits(levels)
