"""Numbers and dates that are written the contract's way, as the pipeline writes them."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from perenne.common import periods
from perenne.common.batches import EXACT
from perenne.common.column import Column
from perenne.common.reading import BRACKETS, DAYS, EPOCHS, Read, with_weekday

BLANK = (
    "[\\s\\x{00A0}\\x{1680}\\x{2000}-\\x{200A}\\x{202F}\\x{205F}\\x{3000}]"  # of RE2, whose \\s is ASCII's
)
BETWEEN = {" ": BLANK, "'": "['\\x{2019}]"}  # what else stands between thousands
MINUS = "\\x{2212}"  # typographers' sign
WHOLE = r"^-?[0-9]+(?:\.0+)?$"
OF_DAY = re.compile(r"%[HIMSfp]")
DIGITS = 18  # an integer of 64 bits holds as many
DAY = 86_400  # seconds
SECONDS = (-62_135_596_800, 253_402_300_800)  # of the years 1 to 9999, since 1970


def canonical(values: pa.ChunkedArray, column: Column, read: Read) -> pa.ChunkedArray:
    """The values of a column as the pipeline writes them; what is not written the contract's way is kept.

    Parameters
    ----------
    values
        As `pieces` returns them.
    column
        Names the type.
    read
        How the values are written.

    Returns
    -------
    ChunkedArray
        Of numbers `1234.50` for `1.234,50 €`, of times ISO 8601. Where a comma is the decimal, a text that
        has a point instead is no number and says why: it could be a thousand times as much.

    Examples
    --------
    >>> price = Column(type="number", role=("ignored",))
    >>> read = Read(decimal=",", thousands=".", strip=("€",))
    >>> canonical(pa.chunked_array([["1.234,50 €", "7", "1.5"]]), price, read).to_pylist()
    ['1234.50', '7', '1.5 (read.decimal is a comma)']

    """
    if column.type in ("integer", "number") and pa.types.is_string(values.type):
        return _numbers(values, read)
    if column.type == "datetime" and read.dates:
        return _times(values, read)
    return values


def _numbers(values: pa.ChunkedArray, read: Read) -> pa.ChunkedArray:
    if read.decimal == "." and not read.thousands and not read.strip:
        return values
    signed, bracketed = _patterns(read)
    plain = pc.replace_substring_regex(values, signed, r"\1\2")
    matches = pc.match_substring_regex(values, signed)
    if bracketed:
        negative = pc.match_substring_regex(values, bracketed)
        plain = pc.if_else(negative, pc.replace_substring_regex(values, bracketed, r"-\1"), plain)
        matches = pc.or_(matches, negative)
    if read.thousands:
        plain = pc.replace_substring_regex(plain, _between(read), "")
    plain = pc.replace_substring_regex(pc.replace_substring(plain, read.decimal, "."), f"^{MINUS}", "-")
    if read.decimal == ",":
        other = pc.match_substring_regex(
            values, rf"^{BLANK}*[-+]?[0-9]*\.[0-9]*(?:[eE][-+]?[0-9]+)?{BLANK}*$"
        )
        said = pc.binary_join_element_wise(
            pc.utf8_trim_whitespace(values), pa.scalar("(read.decimal is a comma)"), " "
        )
        values = pc.if_else(other, said, values)
    return pc.if_else(matches, plain, values)


def _patterns(read: Read) -> tuple[str, str | None]:
    """What a number looks like: sign and digits; and what one in brackets does, if those are negative."""
    units = [re.escape(unit) for unit in sorted(read.strip, key=len, reverse=True) if unit != BRACKETS]
    unit = f"(?:(?:{'|'.join(units)}){BLANK}*)*" if units else ""
    point = re.escape(read.decimal)
    whole = "[0-9]+"
    if read.thousands:  # groups of two as well, as in India; the last one has three
        between = _between(read)
        whole = f"[0-9]{{1,3}}(?:{between}[0-9]{{2,3}})*{between}[0-9]{{3}}|[0-9]+"
    digits = f"(?:(?:{whole})(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?"
    number = f"({digits}){BLANK}*{unit}"
    signed = f"^{BLANK}*{unit}(?:([-{MINUS}])|\\+)?{BLANK}*{unit}{number}$"
    bracketed = (
        rf"^{BLANK}*{unit}\({BLANK}*{unit}{number}\){BLANK}*{unit}$" if BRACKETS in read.strip else None
    )
    return signed, bracketed


def _between(read: Read) -> str:
    return BETWEEN.get(read.thousands, re.escape(read.thousands))


def _times(values: pa.ChunkedArray, read: Read) -> pa.ChunkedArray:
    if not (pa.types.is_string(values.type) or _is_number(values.type)):
        return values
    given = values
    if pa.types.is_floating(values.type):  # a gap makes floats of integers
        is_whole = pc.and_(pc.equal(pc.trunc(values), values), pc.less(pc.abs(values), float(EXACT)))
        whole = pc.if_else(is_whole, values, pa.scalar(None, values.type)).cast(pa.int64())
        given = pc.coalesce(whole.cast(pa.string()), values.cast(pa.string()))
    texts = given.cast(pa.string()).to_pandas().astype("str").str.strip()
    open_ = texts.notna() if _is_number(values.type) else texts.notna() & periods.times(texts).isna()
    found = pd.Series(None, index=texts.index, dtype="object")
    for form in read.dates:
        todo = texts[open_]
        if todo.empty:
            break
        if form in DAYS:
            read_as = _counted(todo, DAYS[form])
        else:
            read_as = _since_1970(todo, EPOCHS[form]) if form in EPOCHS else _formatted(todo, form)
        read_as = read_as.dropna()
        found[read_as.index] = read_as
        open_[read_as.index] = False
    if found.isna().all():
        return values
    known = pa.array(found, pa.string(), from_pandas=True)
    return pc.coalesce(pa.chunked_array([known]), values.cast(pa.string()))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _since_1970(texts: pd.Series, in_a_second: int) -> pd.Series:
    """The moments of counts since 1970 in UTC, as ISO 8601 writes them."""
    digits = texts[texts.str.match(WHOLE)].str.replace(r"\.0+$", "", regex=True)
    counts = digits[digits.str.len() <= DIGITS].to_numpy(dtype="int64")
    index = digits.index[digits.str.len() <= DIGITS]
    sane = (counts >= SECONDS[0] * in_a_second) & (counts < SECONDS[1] * in_a_second)
    unit = {1: "s", 1000: "ms"}[in_a_second]
    return _iso(counts[sane].astype(f"datetime64[{unit}]"), unit, index[sane]) + "+00:00"


def _counted(texts: pd.Series, zero: float) -> pd.Series:
    """The moments of days that are counted, as ISO 8601 writes them; `zero` is the number of 1970-01-01."""
    numbers = pd.to_numeric(texts, errors="coerce").dropna()
    seconds = ((numbers - zero) * DAY).round()
    sane = seconds[seconds.between(*SECONDS)].astype("int64")
    unit = "D" if (sane % DAY == 0).all() else "s"
    return _iso(sane.to_numpy().astype("datetime64[s]"), unit, sane.index)


def _formatted(texts: pd.Series, form: str) -> pd.Series:
    """The times that a format reads, as ISO 8601 writes them; missing where it does not."""
    complete, day = with_weekday(form)
    if "%z" in form or "%Z" in form:  # the offset is kept, which pandas does not
        known = {text: _with_offset(text, form) for text in texts.unique()}
        return texts.map(known)
    times = pd.to_datetime(texts + day, format=complete, errors="coerce").astype(periods.TIME).dropna()
    unit = ("us" if "%f" in form else "s") if OF_DAY.search(form) else "D"
    return _iso(times.to_numpy(), unit, times.index)


def _iso(times: npt.NDArray[np.datetime64], unit: str, index: pd.Index) -> pd.Series:
    return pd.Series(times.astype(f"datetime64[{unit}]").astype("U"), index=index, dtype="object")


def _with_offset(text: str, form: str) -> str | None:
    try:
        return datetime.strptime(text, form).isoformat()
    except ValueError:
        return None
