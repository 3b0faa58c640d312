"""Which column says when a row was, or which ones do together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from perenne.adopt import values
from perenne.adopt.columns import Guess
from perenne.adopt.table import Table
from perenne.adopt.values import FITS, YEARS, Found
from perenne.adopt.wishes import Ask, Wishes, plain
from perenne.common import periods
from perenne.common.errors import PerenneError
from perenne.common.reading import DAYS, EPOCHS, Parts

TIMES = (
    *("time", "when", "date", "timestamp", "datetime", "day", "at", "month", "year", "period", "ts", "week"),
    *("quarter", "jour", "mois", "année", "annee", "heure", "semaine", "datum", "tag", "monat", "jahr"),
)
OF_LIVES = re.compile(
    r"(?i)birth|born|dob\b|naissance|geburt"
)  # dates that say who, and never when a row was
WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+")
A_YEAR = r"(?:^|[^0-9])(?:19|20)[0-9]{2}(?:[^0-9]|$)"
SINCE_1970 = ((1e8, 4.2e9), (1e11, 4.2e12), (1e14, 4.2e15), (1e17, 4.2e18))  # seconds to nanoseconds

# What columns of the parts of a time are called, and which numbers they hold.
PARTS: dict[str, tuple[frozenset[str], tuple[int, int]]] = {
    "year": (frozenset(["year", "yr", "yyyy", "annee", "jahr", "ano", "anno"]), YEARS),
    "quarter": (frozenset(["quarter", "qtr", "trimestre", "quartal"]), (1, 4)),
    "month": (frozenset(["month", "mon", "mm", "mois", "monat", "mes", "mese"]), (1, 12)),
    "week": (frozenset(["week", "isoweek", "wk", "kw", "semaine", "woche", "semana"]), (1, 53)),
    "day": (frozenset(["day", "dd", "dom", "mday", "dayofmonth", "jour", "tag", "dia"]), (1, 31)),
    "hour": (frozenset(["hour", "hr", "hh", "heure", "stunde", "hora"]), (0, 23)),
}
# Days that are counted, if a word of the column's name says so; and the counts of the years 1500 to 2200.
COUNTED = {
    "ordinal days": (frozenset(["ordinal", "toordinal"]), 547_500, 803_900),
    "julian days": (frozenset(["julian", "jd", "jdn"]), 2_268_900, 2_525_000),
    "excel days": (frozenset(["excel", "serial", "date", "datum", "fecha"]), 20_000, 75_000),  # since 1954
}
FINER = ("month", "quarter", "week")  # one of them is taken, in this order


def parts_of(frame: pd.DataFrame, wishes: Wishes) -> Parts | None:
    """The columns of integers that say together when a row was; None if there are none, or another does.

    Parameters
    ----------
    frame
        Rows as the files have them.
    wishes
        What the user has said.

    """
    if wishes.time is not None:
        return None
    named: dict[str, str] = {}
    for name in map(str, frame):
        part = next((part for part, (words, _) in PARTS.items() if _letters(name) in words), None)
        if part and part not in named and name != wishes.target and _holds(frame[name], PARTS[part][1]):
            named[part] = name
    finer = next((part for part in FINER if part in named), None)
    if "year" not in named or finer is None:
        return None
    chosen = ["year", finer]
    for part, needs in (("day", "month"), ("hour", "day")):
        chosen += [part] if part in named and needs in chosen else []
    return Parts(**{part: named[part] for part in chosen})


def _letters(name: str) -> str:
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in ascii_.lower() if letter.isalnum())


def _holds(column: pd.Series, limits: tuple[int, int]) -> bool:
    """Whether a column holds whole numbers between two, but for a few slips of the pen."""
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_string_dtype(column)):
        return False
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    right = numbers.between(*limits) & (numbers % 1 == 0)
    return bool(column.notna().any()) and float(right[column.notna()].mean()) >= FITS


def of_parts(guesses: Mapping[str, Guess], parts: Parts, time: str) -> dict[str, Guess]:
    """The columns where a time is in parts: each may be all that its part can be, and no year comes again.

    Parameters
    ----------
    guesses
        What columns are for.
    parts, time
        Which columns are parts, and the name of the time that they say.

    """
    found = dict(guesses)
    for part, name in parts.named.items():
        guess = replace(found[name], range=PARTS[part][1], note="", values=None)
        if part == "year" or "feature" not in guess.role:
            guess = replace(guess, role=("ignored",), about=f"a part of {time}")
        found[name] = guess
    return found


def says_time(name: str) -> bool:
    """Whether a word of a name is one for time.

    >>> [says_time(name) for name in ("order_date", "eventTime", "ts", "times", "birth_date")]
    [True, True, True, False, False]
    """
    return not OF_LIVES.search(name) and any(word.lower() in TIMES for word in WORD.findall(plain(name)))


def counted(name: str, column: pd.Series, found: Found, wishes: Wishes) -> str | None:
    """What the numbers of a column count, if it is called a time; None: nothing.

    Parameters
    ----------
    name, column, found
        Of a column.
    wishes
        A user who names the time, and how it is written, needs no such name.

    """
    if found.kind not in ("integer", "number") or name == wishes.target:
        return None
    numbers = pd.to_numeric(column, errors="coerce").dropna()
    if numbers.empty:
        return None
    if name == wishes.time and (said := [unit for unit in wishes.dates if unit in (*EPOCHS, *DAYS)]):
        return said[0]
    low, high = float(numbers.min()), float(numbers.max())
    said_by_name = {word.lower() for word in WORD.findall(plain(name))}
    for days, (words, first, last) in COUNTED.items():
        if words & said_by_name and first <= low and high <= last:
            return days
    if found.kind == "number" or not (name == wishes.time or says_time(name)):
        return None
    unit = values.since(numbers)
    # A house has a year, too: only a column that is called a year and nothing else says when.
    return unit if unit != "%Y" or name == wishes.time or plain(name).lower() in TIMES else None


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
            some = frame[wishes.time].dropna()
            if some.empty:
                raise PerenneError(f"--time {wishes.time}: has no value; name another column")
            raise PerenneError(
                f"--time {wishes.time}: {some.iloc[0]} is not a date or a time; "
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
        often = next((name for name in dated if plain(name).lower() in TIMES), None)
        if often:
            raise PerenneError(
                f"{often}: {gaps[often]:.0%} of its times are missing; --time {often} sets these rows aside"
            )
        return None
    # A file of one year may say so in each row.
    times = [name for name in times if frame[name].nunique() > 1] or times
    times = [name for name in times if found[name].dates != ("%Y",)] or times  # a date says more than a year
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
