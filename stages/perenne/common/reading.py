"""How files are written: the contract's key `read`. Only `ingest` uses it: batches are written one way."""

from __future__ import annotations

import codecs
import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from perenne.common.errors import hint
from perenne.common.typed import Model

Epoch = Literal["seconds", "milliseconds"]
EPOCHS: dict[str, int] = {"seconds": 1, "milliseconds": 1000}  # in a second, counted since 1970, UTC
# Which number the first of January 1970 is. A Julian day begins at noon.
DAYS: dict[str, float] = {"ordinal days": 719_163, "excel days": 25_569, "julian days": 2_440_587.5}
SIGNS = ("-", "+", ".", ",")  # they say something
BRACKETS = "()"  # in `strip`: what stands in brackets is negative
SHOWN = datetime(2021, 3, 31, 13, 5, 59)  # a moment to try a format with
OF_YEARS = ("%Y", "%y", "%G")
OF_LOCALES = ("%c", "%x", "%X")  # they depend on the machine
TABBED = (".tsv", ".tab")


def _delimiter(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text.isalnum() or text in "\r\n\0":
        raise ValueError(
            f'found {text!r}, must be one character, such as ";" or "\\t" (a tab, in double quotes)'
        )
    return text


def _quote(text: str) -> str:
    if len(text) > 1 or not text.isascii() or text.isalnum() or text in (" ", "\r", "\n", "\0"):
        raise ValueError(
            f"found {text!r}, must be one character, such as '\"', or empty: values have no quotes"
        )
    return text


def _encoding(name: str) -> str:
    try:
        b"a".decode(name)
    except (LookupError, UnicodeError, ValueError) as error:
        if isinstance(error, UnicodeError):  # one byte is too short for UTF-16
            return name
        known = ("utf-8", "utf-16", "latin-1", "cp1252", "cp1250", "cp1251", "shift_jis", "gb18030", "big5")
        raise ValueError(f"found {name!r}, must be an encoding; {hint(name, known)}") from None
    return name


def _unit(text: str) -> str:
    unit = text.strip()
    if not unit or unit[0].isdigit() or unit in SIGNS:
        raise ValueError(f"found {text!r}, must be what stands beside a number, such as $, kg or ()")
    return unit


def _date(text: str) -> str:
    if text in (*EPOCHS, *DAYS):
        return text
    units = ", ".join([*EPOCHS, *DAYS])
    wanted = f"must be {units}, or a format with a year, such as %d/%m/%Y or %G week %V"
    if not any(year in text for year in OF_YEARS) or any(word in text for word in OF_LOCALES):
        raise ValueError(f"found {text!r}, {wanted}")
    if re.match(r"%Y-?%d-?%m", text):
        raise ValueError(
            f"found {text!r}, but 2021-05-12 is read as the 12th of May (ISO 8601); write another"
        )
    try:
        complete, day = with_weekday(text)
        datetime.strptime(SHOWN.astimezone().strftime(text) + day, complete)
    except ValueError as error:
        raise ValueError(f"found {text!r}, {wanted}: {error}") from None
    return text


def with_weekday(form: str) -> tuple[str, str]:
    """A format of ISO weeks with a day, and what a value then ends in: the week's Monday; others as they are.

    >>> with_weekday("%G week %V")
    ('%G week %V %u', ' 1')
    """
    weekly = "%G" in form and "%V" in form and not any(day in form for day in ("%u", "%w", "%a", "%A"))
    return (f"{form} %u", " 1") if weekly else (form, "")


def _batch(value: object) -> object:
    if value is None or value == "file" or (isinstance(value, int) and value > 0 and value is not True):
        return value
    raise ValueError(f"found {value!r}, must be a number of rows, or file")


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Delimiter = Annotated[str, AfterValidator(_delimiter)]
Quote = Annotated[str, AfterValidator(_quote)]
Encoding = Annotated[str, AfterValidator(_encoding)]
# YAML has lists where Python has tuples, hence not strict; what is in them is. One text needs no list.
Units = Annotated[
    tuple[Annotated[str, AfterValidator(_unit)], ...], BeforeValidator(_listed), Field(strict=False)
]
Dates = Annotated[
    tuple[Annotated[str, AfterValidator(_date)], ...], BeforeValidator(_listed), Field(strict=False)
]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(strict=False)]


class Parts(Model):
    """Columns of integers that say together when a row was; each is named, and the year is one of them.

    With a quarter or a week alone it is its first day; an hour goes with a day, a day with a month.
    """

    year: str
    quarter: str | None = None
    month: str | None = None
    week: str | None = None
    day: str | None = None
    hour: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        finer = [part for part in ("quarter", "month", "week") if part in self.named]
        if len(finer) != 1:
            raise ValueError(f"found {', '.join(self.named)}, must be year and quarter, month or week")
        for part, needs in (("day", "month"), ("hour", "day")):
            if part in self.named and needs not in self.named:
                raise ValueError(f"found {', '.join(self.named)}, but {part} needs {needs}")
        return self

    @property
    def named(self) -> dict[str, str]:
        """The column of each part that there is, the longest first."""
        return {str(part): str(name) for part, name in self if name is not None}


class Read(Model):
    """How the files of a case are written; the defaults are the pipeline's own way.

    Parameters
    ----------
    delimiter
        Between two values of a CSV. In `.tsv` and `.tab` files it is a tab unless another one is named.
    encoding
        Of files that are text; any codec that Python knows.
    quote
        What stands around a value that holds a delimiter; empty: nothing does.
    decimal, thousands
        What stands before the decimals of a number, and between its thousands. A blank stands for no-break
        blanks as well.
    strip
        What stands beside numbers and says nothing, such as `€` or `%`. With `()`, what is in brackets is
        negative.
    dates
        How dates are written that are not ISO 8601, tried in this order: strptime's formats, or `seconds`
        and `milliseconds` since 1970 in UTC, or days that are counted: `ordinal days` since the year 1 as
        Python counts, `excel days`, `julian days`.
    missing
        Texts that stand for a missing value, beside the usual ones.
    sheet
        The sheet of an Excel file; None: its first.
    above
        How many rows of the sheet stand above the names of its columns, such as a title.
    time
        For a time in parts: the columns of its `year`, and of its `month`, `quarter` or `week`, perhaps of
        `day` and `hour`. The contract's time is not in the files then.
    batch
        For rows without a time. So many of them, in the order of the files' names, make a batch, or those of
        each `file` do. The first batch is the day 2000-01-01; the contract's time is not in the files.

    """

    delimiter: Delimiter = ","
    encoding: Encoding = "utf-8"
    quote: Quote = '"'
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'", "_"] = ""
    strip: Units = ()
    dates: Dates = ()
    missing: Texts = ()
    sheet: str | None = None
    above: Annotated[int, Field(ge=0, le=1000)] = 0
    time: Parts | None = None
    batch: Annotated[
        Annotated[int, Field(ge=1, le=10**9)] | Literal["file"] | None, BeforeValidator(_batch)
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.thousands == self.decimal:
            other = "," if self.decimal == "." else "."
            raise ValueError(
                f"thousands: found {self.thousands!r}, which is the decimal as well; is that {other!r}?"
            )
        if self.time and self.batch:
            raise ValueError("batch: rows whose time is in parts (read.time) have one; drop one of the keys")
        if self.quote == self.delimiter:
            raise ValueError(f"quote: found {self.quote!r}, which is the delimiter as well")
        return self

    def delimiter_of(self, name: str) -> str:
        r"""The delimiter of a file: `.tsv` and `.tab` say tab by their name where the contract says a comma.

        >>> [Read().delimiter_of("A.TSV.gz"), Read(delimiter=";").delimiter_of("a.tsv")]
        ['\t', ';']
        """
        ending = name.lower().removesuffix(".gz")
        return "\t" if self.delimiter == "," and ending.endswith(TABBED) else self.delimiter

    @property
    def codec(self) -> str:
        """Python's own name of the encoding, such as `utf-8` or `iso8859-1`; a byte order mark is nothing."""
        name = codecs.lookup(self.encoding).name
        return "utf-8" if name == "utf-8-sig" else name
