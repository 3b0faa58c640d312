"""Periods as pandas writes them, such as `2021Q3`, `2013-05` or `2013-05-17 14:00`."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from perenne.common.errors import PerenneError

Unit = Literal["hour", "day", "week", "month", "quarter"]

# pandas' name of each unit, and a period to show in an error.
FREQUENCY: dict[Unit, str] = {"hour": "h", "day": "D", "week": "W-SUN", "month": "M", "quarter": "Q-DEC"}
EXAMPLE: dict[Unit, str] = {
    "hour": "2013-05-17 14:00",
    "day": "2013-05-17",
    "week": "2013-05-13/2013-05-19",
    "month": "2013-05",
    "quarter": "2021Q3",
}


def parse(text: str, unit: Unit, name: str) -> pd.Period:
    """Read a period; `name` is what an error calls it.

    Only what pandas itself would write is accepted. It reads `2021` and `2021-02` as the first quarter of
    2021: a guess about which data a model may know.

    Raises
    ------
    PerenneError
        If the text is not a period of this unit.

    Examples
    --------
    >>> parse("2021Q3", "quarter", "split.as_of")
    Period('2021Q3', 'Q-DEC')
    >>> parse("2021", "quarter", "split.as_of")
    Traceback (most recent call last):
    perenne.common.errors.PerenneError: split.as_of: '2021' is not a quarter; write it like 2021Q3

    """
    try:
        period = pd.Period(text, freq=FREQUENCY[unit])
    except ValueError:
        period = None
    if not isinstance(period, pd.Period) or str(period) != text:  # of "NaT" pandas makes no period
        raise PerenneError(f"{name}: {text!r} is not a {unit}; write it like {EXAMPLE[unit]}")
    return period


def stem(period: pd.Period) -> str:
    """The period as a file name without its ending: no slash, colon or blank.

    >>> stem(pd.Period("2013-05-13", "W-SUN")), stem(pd.Period("2013-05-17 14:00", "h"))
    ('2013-05-13_2013-05-19', '2013-05-17T14')
    """
    return str(period).replace("/", "_").replace(" ", "T").removesuffix(":00")


def from_stem(text: str, unit: Unit, name: str) -> pd.Period:
    """The period of a batch file: the inverse of `stem`.

    Parameters
    ----------
    text
        The file's name without its ending.
    unit
        The contract's.
    name
        What an error calls the file.

    Raises
    ------
    PerenneError
        If the name is not a period of this unit.

    Examples
    --------
    >>> from_stem("2013-05-17T14", "hour", "data/raw")
    Period('2013-05-17 14:00', 'h')

    """
    written = {"hour": f"{text.replace('T', ' ')}:00", "week": text.replace("_", "/")}.get(unit, text)
    return parse(written, unit, name)


def times(values: pd.Series) -> pd.Series:
    """Values as times without a zone, shape (n,); NaT for a missing value or one that is not a time.

    Dates and times are read as ISO 8601 writes them. A time with a zone is converted to UTC. A number is not
    a time (which epoch, which unit?), nor is a word such as `now`, which pandas would read.

    Returns
    -------
    Series
        Of dtype datetime64[us], with the same index.

    Examples
    --------
    >>> times(pd.Series(["2013-05-17", "2013-05-17T23:30:00-05:00", "now", "17/05/2013"])).tolist()
    [Timestamp('2013-05-17 00:00:00'), Timestamp('2013-05-18 04:30:00'), NaT, NaT]

    """
    if pd.api.types.is_numeric_dtype(values):
        values = pd.Series(pd.NaT, index=values.index)
    elif not pd.api.types.is_datetime64_any_dtype(values):
        values = values.where(values.astype("str").str.match(r"\s*[0-9]", na=False))
    read = pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True)
    return read.dt.tz_localize(None).astype("datetime64[us]")


def of(times: pd.Series, unit: Unit) -> pd.Series:
    """The period that each time falls into, shape (n,).

    Parameters
    ----------
    times
        Without a time zone, as `times` returns them.
    unit
        The length of a period.

    Returns
    -------
    Series
        With the same index; NaT stays NaT.

    """
    falls_into: pd.Series = times.dt.to_period(FREQUENCY[unit])
    return falls_into
