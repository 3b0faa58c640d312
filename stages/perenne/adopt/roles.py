"""Which column is the target, which one says when a row was, and what is to be predicted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from perenne.adopt import values
from perenne.adopt.table import Table, kind
from perenne.adopt.values import Found
from perenne.common import periods
from perenne.common.errors import PerenneError, hint
from perenne.common.periods import Unit
from perenne.common.reading import Read
from perenne.common.task import TASKS, Task, named

TIMES = (
    *("time", "when", "date", "timestamp", "datetime", "day", "at", "month", "year", "period", "ts", "week"),
    *("quarter", "jour", "mois", "année", "annee", "heure", "semaine", "datum", "tag", "monat", "jahr"),
)
OF_LIVES = re.compile(
    r"(?i)birth|born|dob\b|naissance|geburt"
)  # dates that say who, and never when a row was
WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+")
LARGEST = 1e100  # of a target: errors are squared and added up
A_YEAR = r"(?:^|[^0-9])(?:19|20)[0-9]{2}(?:[^0-9]|$)"
SINCE_1970 = ((1e8, 4.2e9), (1e11, 4.2e12), (1e14, 4.2e15), (1e17, 4.2e18))  # seconds to nanoseconds
TARGETS = ("target", "label", "y", "class", "outcome", "response")

Ask = Callable[[str, Sequence[str], str], str]  # a question, its answers, and the option that gives one


class Wishes(NamedTuple):
    """What the user has said; None: it is to be found out."""

    name: str | None = None
    target: str | None = None
    time: str | None = None
    task: str | None = None
    period: Unit | None = None
    zone: str | None = None
    positive: str | None = None
    dates: tuple[str, ...] = ()
    encoding: str | None = None


def named_in(table: Table, wishes: Wishes) -> Wishes:
    """The wishes with columns called as the file does, whatever its blanks and the form of its accents.

    Raises
    ------
    PerenneError
        If a column that the user names is not there.

    """
    same = {_plain(name): name for name in table.names}
    for option, name in (("--target", wishes.target), ("--time", wishes.time)):
        if name is None or name in table.names:
            continue
        if _plain(name) not in same:
            why = next((note for note in table.left_out if note.startswith(f"column {name!r} ")), "")
            raise PerenneError(
                f"{option} {name}: {why.removesuffix('; left out')}; rename it in the file"
                if why
                else f"{option} {name}: no such column; {hint(name, table.names)}"
            )
        known = same[_plain(name)]
        wishes = wishes._replace(target=known) if option == "--target" else wishes._replace(time=known)
    if wishes.target is not None and wishes.target == wishes.time:
        raise PerenneError(f"--target {wishes.target}: is the time as well; name another column")
    return wishes


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def target_of(table: Table, found: Mapping[str, Found], wishes: Wishes, notes: list[str]) -> str:
    """The column to predict: the one that is named, or is called so, or else the last that is no time.

    Raises
    ------
    PerenneError
        If no column is left, or the last has a name that no contract can have.

    """
    if wishes.target is not None:
        return wishes.target
    others = [name for name in table.names if name != wishes.time and found[name].kind != "datetime"]
    if not others:
        raise PerenneError("no column is left to predict: all that the file has is times")
    called = [name for name in others if _plain(name).lower() in TARGETS]
    if table.last and not called:
        why = table.last.removesuffix("; left out")
        raise PerenneError(f"the last {why}; rename it, or --target names the column to predict")
    target = called[0] if called else others[-1]
    why = "by its name" if called else "as the last column" + " that is no time" * (target != table.names[-1])
    notes.append(f"target: {target}, {why}; --target names another")
    return target


def understood(
    table: Table, wishes: Wishes, ask: Ask, notes: list[str]
) -> tuple[str, dict[str, Found], Read]:
    """What is to be predicted, what each column is, and how its values are written.

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
    for name in table.names:
        says = name == wishes.time or (says_time(name) and name != wishes.target)
        unit = _since(frame[name]) if found[name].kind == "integer" and says else None
        # A house has a year, too: only a column that is called a year and nothing else says when.
        if unit and (unit != "%Y" or name == wishes.time or _plain(name).lower() in TIMES):
            found[name] = Found("datetime", dates=(unit,))
    target = target_of(table, found, wishes, notes)
    found[target] = _two_words(frame[target], found[target], wishes)
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
    return target, found, Read(**given)


def says_time(name: str) -> bool:
    """Whether a word of a name is one for time.

    >>> [says_time(name) for name in ("order_date", "eventTime", "ts", "times", "birth_date")]
    [True, True, True, False, False]
    """
    return not OF_LIVES.search(name) and any(word.lower() in TIMES for word in WORD.findall(_plain(name)))


def _since(column: pd.Series) -> str | None:
    numbers = pd.to_numeric(column, errors="coerce").dropna()
    return values.since(numbers) if len(numbers) else None


def _two_words(column: pd.Series, found: Found, wishes: Wishes) -> Found:
    """A target of two values that no list knows: the rarer is the event, unless the user says otherwise."""
    counts = values.distinct(column.astype("str")).drop(list(found.missing), errors="ignore")
    words = [str(word) for word in counts.index]
    if wishes.positive is not None:
        if wishes.positive not in words or len(words) != 2:
            raise PerenneError(
                f"--positive {wishes.positive}: must be one of the two values of the target; "
                f"{hint(wishes.positive, words[:10])}"
            )
        return Found("boolean", words=(next(w for w in words if w != wishes.positive), wishes.positive))
    if len(words) != 2 or found.kind in ("boolean", "datetime"):
        return found
    if {word.removesuffix(".0") for word in words} == {"0", "1"}:
        return replace(found, kind="integer")
    return Found("boolean", words=(words[0], words[1]), missing=found.missing)


def time_of(
    frame: pd.DataFrame, found: Mapping[str, Found], target: str, wishes: Wishes, ask: Ask
) -> str | None:
    """The column that says when a row was; None if no column holds times.

    Parameters
    ----------
    frame
        Typed rows.
    found, target, wishes
        What is known of the columns.
    ask
        Called where several columns may be it.

    Raises
    ------
    PerenneError
        If the column that the user names holds no times, or nobody is there to be asked.

    """
    if wishes.time is not None:
        if found[wishes.time].kind != "datetime":
            raise PerenneError(
                f"--time {wishes.time}: is no date or time, such as {frame[wishes.time].dropna().iloc[0]!r}; "
                "--dates says how it is written, as in --dates %d.%m.%Y"
            )
        return wishes.time
    dated = [
        n for n, one in found.items() if one.kind == "datetime" and n != target and not OF_LIVES.search(n)
    ]
    gaps = {name: float(frame[name].isna().mean()) for name in dated}
    # Rows whose time cannot be read are set aside, a total at the end for one; many are too much.
    times = [name for name in dated if gaps[name] <= 1 - values.FITS]
    if not times:
        often = next((name for name in dated if _plain(name).lower() in TIMES), None)
        if often:
            raise PerenneError(
                f"{often}: {gaps[often]:.0%} of its times are missing; --time {often} sets these rows aside"
            )
        return None
    # A file of one year may say so in each row.
    times = [name for name in times if frame[name].nunique() > 1] or times
    if len(times) < 2:
        return times[0]
    called = [name for name in times if name.lower() in TIMES]
    ordered = [name for name in times if frame[name].dropna().is_monotonic_increasing]
    for likely in (called, ordered):
        if len(likely) == 1:
            return likely[0]
    return ask("several columns hold times; which one says when a row was", times, "--time")


def must_have_no_time(table: Table, found: Mapping[str, Found], target: str) -> None:
    """Refuse a time that cannot be read, where the order of rows would silently stand for it.

    Raises
    ------
    PerenneError
        Names the column, a value and what would do.

    """
    for name in table.names:
        column = table.frame[name].dropna()
        if name == target or not says_time(name) or column.empty:
            continue
        shown = column.iloc[0]
        words = found[name].kind == "category" and table.is_text(name)
        if words and column.str.contains(A_YEAR).mean() > 0.5:
            raise PerenneError(
                f"{name}: {shown!r} is not read as a time; write it as 2021-03-31 (of a quarter or a month "
                "its first day), or --dates says how it is written; what is no time needs another name"
            )
        numbers = pd.to_numeric(column, errors="coerce").dropna()
        if len(numbers) and any(low <= numbers.min() and numbers.max() <= high for low, high in SINCE_1970):
            raise PerenneError(
                f"{name}: {shown!r} seems to count time since 1970; write whole seconds or milliseconds, "
                "or dates such as 2021-03-31"
            )


def one_clock(table: Table, found: Mapping[str, Found], zone: str | None) -> None:
    """Refuse times with several offsets where no zone says what they mean.

    Raises
    ------
    PerenneError
        Names the column and two offsets.

    """
    for name, one in found.items():
        if zone is None and one.kind == "datetime" and table.is_text(name):
            offsets = sorted(set(periods.offsets(table.frame[name].dropna())))
            if len(offsets) > 1:
                shown = " and ".join(offset or "none" for offset in offsets[:2])
                raise PerenneError(
                    f"{name}: its times have several offsets from UTC ({shown}); --zone names the clocks, "
                    "such as --zone Europe/Paris"
                )


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
    elif fitting := [task for task in TASKS.values() if _fits(task, found, levels)]:
        task = fitting[0]
    else:
        some = ", ".join(map(str, sorted(y.dropna().unique())[:3]))
        raise PerenneError(
            f"{name}: a {found.kind} with {levels:,} values ({some}{', ...' * (levels > 3)}); "
            "a target has two values, or is a number; --target names another column"
        )
    if not _fits(task, found, levels):
        raise PerenneError(f"{name}: a {found.kind} with {levels:,} values is no target of a {task} task")
    if not task.classes and (largest := float(y.astype("float64").abs().max())) > LARGEST:
        raise PerenneError(f"{name}: {largest:g} is too large to be squared; write it in a larger unit")
    return task


def _fits(task: Task, found: Found, levels: int) -> bool:
    """Whether a task has such a target: as many classes, or none, and the type."""
    return found.kind in task.target_types and len(task.classes) in (0, levels)
