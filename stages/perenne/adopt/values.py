"""What the texts of a column are: numbers, dates, booleans or words, and how they are written."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from perenne.common import periods
from perenne.common.batches import BOOLEANS
from perenne.common.errors import PerenneError
from perenne.common.reading import with_weekday

Kind = Literal["integer", "number", "boolean", "datetime", "category"]

FITS = 0.98  # of the values have to be of a type; the others are what the contract will refuse
MARKERS = frozenset(
    [
        *("-", "--", "?", ".", "*", "n/a", "n.a.", "na", "nd", "n.d.", "k.a.", "nil", "(null)", "<na>"),
        *("#n/a", "#na", "#value!", "#div/0!", "#null!", "missing", "unknown", "unbekannt", "inconnu"),
        *("not available", "undefined", "0000-00-00", "0000-00-00 00:00:00"),  # MySQL has zeros for no date
    ]
)
MOST_SPELLINGS = 6  # of two words, in small letters, in capitals, or begun with one
SYMBOLS = "$€£¥₹%"
BLANKS = " \u00a0\u202f"  # of which two are between thousands only
PLAIN = r"[+-]?(?:{digits}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"
UNIT = r"[0-9.,]\s?([A-Za-zµ°²³][A-Za-zµ°²³/]{0,9})$"
WORDS = {  # false, true
    "false": "true", "no": "yes", "n": "y", "f": "t", "non": "oui", "nein": "ja", "nej": "ja", "nee": "ja",
    "faux": "vrai", "falsch": "wahr", "falso": "verdadero", "não": "sim", "off": "on",
}  # fmt: skip
ALSO = {"no": ("sí", "si", "sì")}
LONG, PADDED = r"[+-]?[0-9]{19,}", "0[0-9]{2,}"  # digits of what is an identifier or a code
HALF = re.compile(r" ?[AaPp][Mm]$")  # of a day
SOME = 1000  # texts that tell words from numbers
MOST_FORMATS = 3  # of dates in one column
SINCE_1970 = {"seconds": (1e8, 4.2e9), "milliseconds": (1e11, 4.2e12)}
YEARS = (1500, 2200)
# Formats that pandas does not guess, the day first where that can be; weeks and months are days.
MORE_FORMATS = {
    True: ("%d.%m.%y", "%d/%m/%y", "%d-%m-%y", "%d.%m.%y %H:%M", "%d/%m/%y %H:%M"),
    False: ("%m/%d/%y", "%m-%d-%y", "%m/%d/%y %H:%M"),
}
OF_MONTHS = ("%m/%Y", "%m.%Y", "%m-%Y", "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%d-%b-%y", "%Y/%m")
OF_WEEKS = ("%G-W%V", "%GW%V", "%G week %V", "KW%V/%G", "W%V/%G", "KW %V/%G", "%V/%G")


class Style(NamedTuple):
    """How numbers are written: the decimal mark, and what stands between thousands."""

    decimal: str
    thousands: str

    @property
    def pattern(self) -> str:
        """What a number looks like, from its sign to its exponent."""
        point = re.escape(self.decimal)
        digits = "[0-9]+"
        if self.thousands:
            between = f"[{BLANKS}]" if self.thousands == " " else re.escape(self.thousands)
            digits = rf"(?:[0-9]{{1,3}}(?:{between}[0-9]{{3}})+|[0-9]+)"
        return PLAIN.format(digits=digits, point=point)


POINT = Style(".", "")


def styles(delimiter: str) -> list[Style]:
    """The styles in the order in which they are believed; a comma separates values or decimals, not both.

    >>> styles(",")[1].thousands, styles(";")[1].decimal
    (',', ',')
    """
    comma, point = [Style(",", ""), Style(",", "."), Style(",", " ")], [Style(".", ","), Style(".", " ")]
    rest = [*point, *comma] if delimiter == "," else [*comma, *point]
    return [POINT, *rest, Style(".", "'"), Style(".", "_")]


class Written(NamedTuple):
    """How numbers are written in a file, what stands beside them, and for a missing value."""

    style: Style
    strip: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What a column of texts is: its type, and the two words of a boolean, false first.

    `dates` are the formats of its dates, `either` those that would read all of them otherwise: the day first
    or the month.
    """

    kind: Kind
    words: tuple[str, str] | None = None
    dates: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    missing: frozenset[str] = field(default_factory=frozenset)


def distinct(texts: pd.Series) -> pd.Series:
    """How many rows have each text, without blanks around it; missing ones do not count."""
    trimmed = pc.utf8_trim_whitespace(pa.array(texts, pa.string(), from_pandas=True))
    found = pc.value_counts(pc.drop_null(trimmed.filter(pc.not_equal(trimmed, ""))))
    words, counts = (found.field(place).to_numpy(zero_copy_only=False) for place in (0, 1))
    order = np.argsort(-counts, kind="stable")
    return pd.Series(counts[order], index=pd.Index(words[order], dtype="str"))


def written(columns: Mapping[str, pd.Series], delimiter: str) -> tuple[Written, dict[str, Found]]:
    """How the values of some columns are written, and what each column is.

    Parameters
    ----------
    columns
        How many rows have each text, by column: see `distinct`.
    delimiter
        What separates values.

    """
    found: dict[str, Found] = {}
    bare: dict[str, pd.Series] = {}
    strip: dict[str, None] = {}
    for name, counts in columns.items():
        known = boolean(counts) or _plain(counts)
        if known is not None:
            found[name] = known
            continue
        if not _looks_numeric(without_symbols(counts[:SOME])[1]):
            continue  # as most columns of words: the rest need not be looked at
        beside, stripped = without_symbols(counts)
        if _looks_numeric(stripped):
            bare[name] = stripped
            strip |= dict.fromkeys(beside)
    style = _style(bare.values(), delimiter) if bare else POINT
    if style.decimal == ",":  # then `1.234` is no number with decimals
        points = {n: columns[n] for n, one in found.items() if one.kind == "number"}
        bare |= points
        style = _style(bare.values(), delimiter)
        found = {n: one for n, one in found.items() if n not in points}
    missing: dict[str, None] = {}
    for name, counts in bare.items():
        marks = _markers(counts, style.pattern)
        kept = counts.drop(list(marks))
        if _fits(kept, style.pattern):
            whole = kept.index.str.fullmatch(r"[+-]?[0-9]+").all()
            found[name] = Found("integer" if whole else "number", missing=marks)
            missing |= dict.fromkeys(sorted(marks))
    _must_be_alike(bare, columns, found, delimiter)
    for name, counts in columns.items():
        if name not in found:
            found[name] = dated(counts)
            missing |= dict.fromkeys(sorted(found[name].missing))
    return Written(style, tuple(strip), tuple(missing)), found


def _must_be_alike(
    bare: Mapping[str, pd.Series],
    columns: Mapping[str, pd.Series],
    found: Mapping[str, Found],
    delimiter: str,
) -> None:
    """Refuse numbers that are written in two ways: a file has one decimal mark."""
    written = next((n for n, one in found.items() if one.kind == "number" and _has_mark(columns[n])), None)
    for name, counts in bare.items():
        if name in found or dated(columns[name]).kind == "datetime":
            continue
        _must_have_one_mark(name, counts)
        if written is None:
            continue
        # Three digits behind a mark may be thousands or decimals; two or one are decimals.
        other = [
            s for s in styles(delimiter) if _fits(counts.drop(list(_markers(counts, s.pattern))), s.pattern)
        ]
        if other and _has_mark(counts):
            raise PerenneError(
                f"{name}: its numbers are written as {columns[name].index[0]!r}, but those of {written} as "
                f"{columns[written].index[0]!r}; write the decimals of a file in one way"
            )


def _must_have_one_mark(name: str, counts: pd.Series) -> None:
    """Refuse a column that has decimal commas in some rows and decimal points in others."""
    kept = counts.drop(list(_markers(counts, POINT.pattern)))
    point, comma = (kept.index.str.fullmatch(Style(mark, "").pattern) for mark in ".,")
    both = kept.index[point & ~comma], kept.index[comma & ~point]
    if all(map(len, both)) and float(kept[point | comma].sum()) >= FITS * float(kept.sum()):
        raise PerenneError(
            f"{name}: its numbers are written in two ways, as {both[0][0]!r} and as {both[1][0]!r}; "
            "write the decimals of a file in one way"
        )


def _has_mark(counts: pd.Series) -> bool:
    return bool(counts.index.str.contains("[.,]").any())


def boolean(counts: pd.Series) -> Found | None:
    """Whether two words mean no and yes; 0 and 1 may be anything."""
    if len(counts) > MOST_SPELLINGS:
        return None
    lower = {str(text).lower(): str(text) for text in counts.index}
    if not lower or len(lower) > len(BOOLEANS) or set(lower) <= {"0", "1", "0.0", "1.0"}:
        return None
    if {BOOLEANS.get(word) for word in lower} == {False, True}:  # however many ways to say it
        return Found("boolean")
    for no, yes in [*WORDS.items(), *((no, yes) for no, all_ in ALSO.items() for yes in all_)]:
        if set(lower) == {no, yes}:
            return Found("boolean", words=None if yes in BOOLEANS else (lower[no], lower[yes]))
    return None


def _plain(counts: pd.Series) -> Found | None:
    """Whether all texts are numbers as Arrow reads them, which is quick: most columns of most files."""
    texts = pa.array(counts.index, pa.string())
    if counts.index.str.fullmatch(LONG).any():  # as a float two identifiers would be one
        return Found("category")
    padded = counts.index.str.fullmatch(PADDED)
    if padded.any() and counts.index.str.fullmatch("[0-9]+").all() and counts.index.str.len().nunique() == 1:
        return Found("category")  # a code: as a number it would lose its zeros
    for kind, arrow in (("integer", pa.int64()), ("number", pa.float64())):
        with suppress(pa.ArrowInvalid):
            texts.cast(arrow)
            return Found(cast("Kind", kind)) if len(texts) else None
    return None


def without_symbols(counts: pd.Series) -> tuple[tuple[str, ...], pd.Series]:
    """What stands beside numbers (a currency, a percent sign, a unit, brackets), and the texts without it."""
    texts = counts.index.to_series().astype("str")
    beside = [symbol for symbol in SYMBOLS if texts.str.contains(symbol, regex=False).any()]
    bare = texts.str.strip(SYMBOLS + BLANKS)
    if beside:  # a sign may stand before the currency
        bare = bare.str.replace(rf"^([+-])\s*[{re.escape(SYMBOLS)}]\s*", r"\1", regex=True)
    bracketed = bare.str.fullmatch(r"\(.*[0-9].*\)")
    if bracketed.any():
        beside.append("()")
        inner = bare.str.slice(1, -1).str.strip(SYMBOLS + " ")
        bare = bare.where(~bracketed, "-" + inner)
    units = bare.str.extract(UNIT, expand=False)
    if units.notna().mean() >= FITS and units.nunique() == 1:
        unit = str(units.dropna().iloc[0])
        beside.append(unit)
        bare = bare.str.removesuffix(unit).str.strip()
    return tuple(beside), counts.set_axis(bare.to_numpy()).groupby(level=0).sum()


def _looks_numeric(counts: pd.Series) -> bool:
    """Whether most texts have digits, and nothing but what a number is written with."""
    around = f"[0-9.,'_{BLANKS}]*"
    like = counts.index.str.fullmatch(f"[+-]?{around}[0-9]{around}([eE][+-]?[0-9]+)?")
    return bool(len(counts)) and float(counts[like].sum()) >= 0.5 * float(counts.sum())


def _style(columns: Iterable[pd.Series], delimiter: str) -> Style:
    """The style that most columns fit; of several, the first that is believed."""
    numeric = list(columns)
    fitting = {
        style: sum(
            _fits(counts.drop(list(_markers(counts, style.pattern))), style.pattern) for counts in numeric
        )
        for style in styles(delimiter)
    }
    return max(fitting, key=lambda style: fitting[style])


def _fits(counts: pd.Series, pattern: str) -> bool:
    if counts.empty:
        return False
    return float(counts[counts.index.str.fullmatch(pattern)].sum()) >= FITS * float(counts.sum())


def _markers(counts: pd.Series, pattern: str) -> frozenset[str]:
    """Texts that stand for a missing number."""
    others = counts.index[~counts.index.str.fullmatch(pattern)]
    return frozenset(str(text) for text in others if str(text).lower() in MARKERS)


def dated(counts: pd.Series) -> Found:
    """Whether texts are dates, and in which formats; else they are categories."""
    marks = frozenset(str(text) for text in counts.index if str(text).lower() in MARKERS)
    kept = counts.drop(list(marks))
    texts = pd.Series(kept.index.astype("str"), dtype="str")
    weights = kept.to_numpy()
    if not len(texts) or not texts.str.contains("[0-9]").mean() >= FITS:
        return Found("category")
    need = FITS * weights.sum()
    iso = periods.times(texts).notna().to_numpy()
    if weights[iso].sum() >= need:
        return Found("datetime", missing=marks)
    formats = {first: _formats(texts[~iso], day_first=first) for first in (True, False)}
    fit = {
        first: weights[iso | _read(texts, tried).notna().to_numpy()].sum() for first, tried in formats.items()
    }
    good = [first for first in (True, False) if formats[first] and fit[first] >= need]
    if not good:
        return Found("category")
    # What needs fewer formats has the right order: `31/12/2021` makes the other order need a second one.
    best = min(good, key=lambda first: (len(formats[first]), -fit[first]))
    other = formats[not best]
    alike = len(good) == 2 and len(formats[True]) == len(formats[False]) and fit[True] == fit[False]
    either = alike and not _read(texts, formats[True]).equals(_read(texts, formats[False]))
    return Found("datetime", dates=formats[best], either=other if either else (), missing=marks)


def _formats(texts: pd.Series, *, day_first: bool) -> tuple[str, ...]:
    """The formats that read the texts, each guessed from the first that those before it do not read."""
    formats: list[str] = []
    left = texts
    while len(left) and len(formats) < MOST_FORMATS:
        one = _format(str(left.iloc[0]), day_first=day_first)
        if one is None or one in formats or "%z" in one or "%Z" in one:
            break
        formats.append(one)
        left = left[_read(left, (one,)).isna()]
    return tuple(formats)


def _format(text: str, *, day_first: bool) -> str | None:
    """The format of a date, as pandas guesses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the other order would do as well: both are tried
        plain = HALF.sub("", text)
        one = pd.tseries.api.guess_datetime_format(plain, dayfirst=day_first)
    if one is None:
        more = (*MORE_FORMATS[day_first], *OF_MONTHS, *OF_WEEKS)
        return next((form for form in more if _read(pd.Series([text]), (form,)).notna().all()), None)
    if one is not None and plain != text:  # pandas reads AM and PM, but guesses no format with them
        return one.replace("%H", "%I") + " %p"
    return one


def _read(texts: pd.Series, formats: Iterable[str]) -> pd.Series:
    """The times that the formats read, the first that can."""
    times = pd.Series(pd.NaT, index=texts.index, dtype=periods.TIME)
    for one in formats:
        complete, day = with_weekday(one)
        read = pd.to_datetime(texts + day, format=complete, errors="coerce")
        times = times.fillna(read.astype(periods.TIME))
    return times


def since(numbers: pd.Series) -> str | None:
    """How integers say a time: as years, `202103`, `20210331`, or since 1970; None: they do not."""
    low, high = float(numbers.min()), float(numbers.max())
    for form, digits in (("%Y", 1), ("%Y%m", 100), ("%Y%m%d", 10_000)):
        if YEARS[0] * digits <= low and high < (YEARS[1] + 1) * digits:
            read = pd.to_datetime(numbers.astype("int64").astype("str"), format=form, errors="coerce")
            return form if read.notna().mean() >= FITS else None
    return next((unit for unit, (first, last) in SINCE_1970.items() if first <= low and high <= last), None)
