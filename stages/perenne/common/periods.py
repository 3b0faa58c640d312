"""Periods as pandas writes them, such as `2021Q3`, `2013-05` or `2013-05-17 14:00`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from perenne.common.errors import PerenneError

TIME: Final = "datetime64[us]"  # of every time, without a zone
Unit = Literal["hour", "day", "week", "month", "quarter", "year"]

# pandas' name of each unit, and a period to show in an error.
FREQUENCY: dict[Unit, str] = {
    "hour": "h",
    "day": "D",
    "week": "W-SUN",
    "month": "M",
    "quarter": "Q-DEC",
    "year": "Y-DEC",
}
EXAMPLE: dict[Unit, str] = {
    "hour": "2013-05-17 14:00",
    "day": "2013-05-17",
    "week": "2013-05-13/2013-05-19",
    "month": "2013-05",
    "quarter": "2021Q3",
    "year": "2021",
}

# The same for people, who write no week so.
PLAIN: dict[Unit, str] = EXAMPLE | {"week": "2013 week 20, or as a day in it"}

# How people write periods beside that; a day stands for the week, month, quarter or year that it lies in.
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
WEEK = re.compile(r"([0-9]{4})(?:-W| ?[Ww]| week )([0-9]{1,2})")
QUARTER = re.compile(r"([0-9]{4})[ -]?[Qq]([1-4])")
HOUR = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{1,2})(?::00)?(?::00)?h?")  # a file's name as well


def parse(text: str, unit: Unit, name: str) -> pd.Period:
    """Read a period; `name` is what an error calls it.

    It is written as pandas writes it, or as in `2017 week 8`, `2021-Q3` and `2013-05-17T14`, or as a day in
    one that is longer. Nothing shorter: pandas reads `2021` and `2021-02` as the first quarter of 2021, a
    guess about which data a model may know.

    Raises
    ------
    PerenneError
        If the text is not a period of this unit.

    Examples
    --------
    >>> parse("2021Q3", "quarter", "split.as_of")
    Period('2021Q3', 'Q-DEC')
    >>> str(parse("2017 week 8", "week", "split.as_of")), str(parse("2017-02-22", "month", "split.as_of"))
    ('2017-02-20/2017-02-26', '2017-02')
    >>> parse("2021", "quarter", "split.as_of")
    Traceback (most recent call last):
    perenne.common.errors.PerenneError: split.as_of: '2021' is not a quarter; write it like 2021Q3

    """
    period = _written(text, unit) or _exact(text, unit)
    if period is None:
        raise PerenneError(f"{name}: {text!r} is not {a(unit)}; write it like {PLAIN[unit]}")
    return period


def exact(text: str, unit: Unit, name: str) -> pd.Period:
    """As `parse`, of what a machine wrote: in one form only, so that no period has two names.

    Raises
    ------
    PerenneError
        If the text is not what pandas writes for a period of this unit.

    """
    period = _exact(text, unit)
    if period is None:
        raise PerenneError(f"{name}: {text!r} is not {a(unit)}; write it like {EXAMPLE[unit]}")
    return period


def a(unit: Unit) -> str:
    """The unit with its article.

    >>> a("hour"), a("day")
    ('an hour', 'a day')
    """
    return f"an {unit}" if unit == "hour" else f"a {unit}"


def _exact(text: str, unit: Unit) -> pd.Period | None:
    """The period that pandas writes so."""
    try:
        period = pd.Period(text, freq=FREQUENCY[unit])
    except ValueError:
        return None
    # Of "NaT" pandas makes no period.
    return period if isinstance(period, pd.Period) and str(period) == text else None


def _written(text: str, unit: Unit) -> pd.Period | None:
    """The period that people write so, where pandas does not."""
    try:
        if unit == "week" and (found := WEEK.fullmatch(text)):
            return pd.Period(date.fromisocalendar(int(found[1]), int(found[2]), 1), freq=FREQUENCY[unit])
        if unit == "quarter" and (found := QUARTER.fullmatch(text)):
            return pd.Period(f"{found[1]}Q{found[2]}", freq=FREQUENCY[unit])
        if unit == "hour" and (found := HOUR.fullmatch(text)):
            return pd.Period(f"{date.fromisoformat(found[1])} {int(found[2]):02d}:00", freq=FREQUENCY[unit])
        if unit not in ("hour", "day") and DAY.fullmatch(text):
            return pd.Period(date.fromisoformat(text), freq=FREQUENCY[unit])
    except ValueError:  # no such hour, day or week
        return None
    return None


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
    return exact(written, unit, name)


YEARS = pd.Timestamp(datetime.min), pd.Timestamp(datetime.max)  # numpy's go on, Python's do not

# A time's offset from UTC as ISO 8601 writes it, after the time of day: `Z`, `+01`, `-0500`, `+05:30`.
OFFSET = r"(?<=[0-9])\s*(Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)\s*$"
WITH_OFFSET = r"[T ][0-9:.,]*[0-9]\s*(?:Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)\s*$"


def zone(name: str) -> str:
    """The name of a time zone, checked.

    Raises
    ------
    ValueError
        If the zone is not in the IANA database.

    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write it like Europe/Paris or UTC") from None
    return name


def times(values: pd.Series, zone: str | None = None) -> pd.Series:
    """Values as times, shape (n,); NaT for a missing value or one that is not a time.

    Dates and times are read as ISO 8601 writes them, to the month at least. A number is not a time (which
    epoch, which unit?), nor is a year alone, nor a word such as `now`, which pandas would read.

    Parameters
    ----------
    values
        Of any dtype, shape (n,).
    zone
        None: the reading of the clock is kept and its offset dropped. Else the times are moments, in UTC:
        those without an offset are taken for readings of this zone's clocks. A reading that occurs twice,
        when clocks are set back, is the first; one that is skipped, when they are set forward, is not a time.

    Returns
    -------
    Series
        Of dtype datetime64[us] without a zone, with the same index.

    Examples
    --------
    >>> texts = pd.Series(["2013-05-17", "2013-05-17T23:30:00-05:00", "2013", "17/05/2013"])
    >>> times(texts).tolist()
    [Timestamp('2013-05-17 00:00:00'), Timestamp('2013-05-17 23:30:00'), NaT, NaT]
    >>> times(texts, "Europe/Paris").tolist()
    [Timestamp('2013-05-16 22:00:00'), Timestamp('2013-05-18 04:30:00'), NaT, NaT]

    """
    if pd.api.types.is_numeric_dtype(values):
        return pd.Series(pd.NaT, index=values.index, dtype=TIME)
    if not pd.api.types.is_datetime64_any_dtype(values):
        return _read(values.astype("str"), zone)
    if values.dt.tz is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None) if zone else values.dt.tz_localize(None)
    elif zone is not None:
        return moment(values.astype(TIME), zone)
    return values.astype(TIME)


def _read(texts: pd.Series, zone: str | None) -> pd.Series:
    texts = texts.where(texts.str.match(r"\s*[0-9]{4}(-[0-9]{2}|[0-9]{4})", na=False))
    aware = texts.str.contains(WITH_OFFSET, na=False)
    clocks = texts.where(~aware, texts.str.replace(OFFSET, "", regex=True)) if aware.any() else texts
    read = pd.to_datetime(clocks, errors="coerce", format="ISO8601", utc=True).dt.tz_localize(None)
    read = read.astype(TIME)
    if zone is None:
        return read
    moments = pd.to_datetime(texts.where(aware), errors="coerce", format="ISO8601", utc=True)
    moments = moments.dt.tz_localize(None).astype(TIME)
    return moments.where(moments.between(*YEARS)).where(aware, moment(read, zone))


def moment(clock: pd.Series, zone: str) -> pd.Series:
    """The moments in UTC at which the clocks of a zone show some readings; NaT for one that they skip."""
    first = np.ones(len(clock), dtype=bool)  # of two equal readings
    local = clock.dt.tz_localize(zone, ambiguous=first, nonexistent="NaT")
    moments: pd.Series = local.dt.tz_convert("UTC").dt.tz_localize(None).astype(TIME)
    return moments


def offsets(values: pd.Series) -> pd.Series:
    """The offset from UTC of each text, as `+01:00`; `Z` is `+00:00`, none is ""; shape (n,)."""
    texts = values.astype("str")
    aware = texts.str.contains(WITH_OFFSET, na=False)
    if not aware.any():
        return pd.Series("", index=values.index)
    found = texts.str.extract(OFFSET, expand=False).where(aware, "")
    plain = found.replace({"Z": "+00:00", "z": "+00:00"}).str.replace(":", "")
    filled = plain.where(plain == "", plain.str[:3] + ":" + plain.str[3:].replace("", "00"))
    return filled.replace("-00:00", "+00:00")


def of(times: pd.Series, unit: Unit, zone: str | None = None) -> pd.Series:
    """The period that each time falls into, shape (n,).

    Parameters
    ----------
    times
        As `times` returns them, with the same zone.
    unit
        The length of a period.
    zone
        Whose clocks cut time into periods.

    Returns
    -------
    Series
        With the same index; NaT stays NaT.

    """
    if zone is not None:
        times = times.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    falls_into: pd.Series = times.dt.to_period(FREQUENCY[unit])
    return falls_into


def current(now: datetime, unit: Unit, zone: str | None = None) -> pd.Period:
    """The period of a moment by the clocks of a zone, UTC by default; `now` has a zone, or is in UTC.

    >>> current(datetime(2021, 4, 30, 23, 30), "month", "Europe/Paris")
    Period('2021-05', 'M')
    """
    aware = now if now.tzinfo else now.replace(tzinfo=UTC)
    return pd.Period(aware.astimezone(ZoneInfo(zone or "UTC")).replace(tzinfo=None), freq=FREQUENCY[unit])


def bounds(period: pd.Period, zone: str | None = None) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The first and the last moment of a period, as `times` returns them with the same zone.

    >>> [str(moment) for moment in bounds(pd.Period("2022-03-27", "D"), "Europe/Paris")]
    ['2022-03-26 23:00:00', '2022-03-27 21:59:59.999999']
    """
    if zone is None:
        return period.start_time, period.end_time
    edges = pd.Series([period.start_time, (period + 1).start_time]).astype(TIME)
    # Where clocks skip midnight, the day begins with the first reading after it.
    local = edges.dt.tz_localize(zone, ambiguous=np.ones(2, dtype=bool), nonexistent="shift_forward")
    first, after = local.dt.tz_convert("UTC").dt.tz_localize(None)
    return first, after - pd.Timedelta(1, "us")


def microseconds(moment: pd.Timestamp) -> int:
    """A moment as whole microseconds since 1970, rounded down.

    >>> microseconds(pd.Timestamp("1970-01-02")), microseconds(pd.Timestamp("1969-12-31 23:59:59.999999999"))
    (86400000000, -1)
    """
    # Not `value`: that is in nanoseconds, whatever the unit.
    return int(moment.as_unit("us").asm8.astype("int64"))


LONG = pd.Timedelta(days=3653)  # ten years
FEW, ENOUGH = 0.02, 10


def astray(rows: Mapping[pd.Period, int]) -> list[pd.Period]:
    """The periods that can only be a slip of the pen, such as 2121 for 2021; none in most histories.

    They lie at an end of the history and hold at most 2 % of its rows, or one of ten or more. A gap of more
    than ten years, which is longer than the rest of the history, separates them from it.

    Parameters
    ----------
    rows
        How many rows each period has.

    Examples
    --------
    >>> year = {pd.Period(f"2021-{month:02d}"): 100 for month in range(1, 13)}
    >>> astray(year | {pd.Period("2121-01"): 1, pd.Period("2012-01"): 1})
    [Period('2121-01', 'M')]

    """
    known = sorted(period for period in rows if rows[period])
    if not known:
        return []
    until = np.cumsum([rows[period] for period in known])
    total = int(until[-1])
    few = max(FEW * total, 1 if total >= ENOUGH else 0)
    low = int(np.searchsorted(until, few, "right"))
    high = max(low, int(np.searchsorted(until, total - few, "left")))
    most = max(LONG, _distance(known[low], known[high]))
    before = next((i for i in range(low, 0, -1) if _distance(known[i - 1], known[i]) > most), 0)
    after = next(
        (i for i in range(high, len(known) - 1) if _distance(known[i], known[i + 1]) > most), len(known)
    )
    return [*known[:before], *known[after + 1 :]]


def _distance(first: pd.Period, last: pd.Period) -> timedelta:
    return last.start_time.to_pydatetime() - first.start_time.to_pydatetime()
