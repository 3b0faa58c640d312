"""One column of a row: its type, its roles, and what its values may be."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Annotated, Literal, Self

import pandas as pd
from pydantic import BeforeValidator, Field, model_validator

from perenne.common import periods
from perenne.common.typed import Model

Type = Literal["integer", "number", "boolean", "category", "datetime", "text"]
Role = Literal["feature", "source", "target", "time", "entity", "version", "block", "slice", "ignored"]
Roles = Annotated[
    tuple[Role, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v), Field(strict=False)
]


def _value(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"found {value!r}, must be a string or an integer")  # noqa: TRY004 -- pydantic's way
    return value


def _edge(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"found {value!r}, must be a number, or a date")  # noqa: TRY004 -- pydantic's way
    if not isinstance(value, str) and not math.isfinite(value):
        raise ValueError(f"found {value}, must be a finite number")
    return value


# YAML has lists where Python has tuples, hence not strict; what is in them is.
Values = Annotated[tuple[Annotated[str | int, BeforeValidator(_value)], ...], Field(strict=False)]
Edge = Annotated[float | str, BeforeValidator(_edge)]
Range = Annotated[tuple[Edge, Edge], Field(strict=False)]
Bins = Annotated[tuple[float, ...], Field(strict=False, min_length=2)]


WHOLE = re.compile(r"(-?[0-9]+)\.0+")


def spelling(text: str) -> str:
    """The one spelling of a category or a text, however a file or a request writes it.

    It has no blanks around it, its characters are composed (NFC), and a whole number has no decimals. Empty
    means that there is no value.

    >>> [spelling(text) for text in (" red ", "1.0", "01", "1.10", "cafe\u0301", " ")]
    ['red', '1', '01', '1.10', 'café', '']
    """
    text = text.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).strip()
    whole = WHOLE.fullmatch(text) if text.endswith("0") else None
    return whole[1] if whole else text


class Column(Model):
    """One column: its type, its roles, and what its values may be.

    `block` names what rows have in common that are not independent of each other, such as a person or a
    day: every interval and test is taken over blocks. `bins` are the edges by which a number is sliced. Of
    rows with the same entity and time, that with the latest `version` counts. The two `values` of a boolean
    are the words for false and for true, in this order. The model does not see a `source`: derived features
    are made of it, so every row and every request has it.
    """

    type: Type
    role: Roles
    range: Range | None = None
    values: Values | None = None
    missing: bool = False
    bins: Bins | None = None
    unit: str = ""
    about: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.range and self.type not in ("integer", "number", "datetime"):
            raise ValueError(f"a {self.type} has no range; use values")
        wrong = [edge for edge in self.range or () if isinstance(edge, str) != (self.type == "datetime")]
        if wrong:
            kind = "date such as 2021-09-30" if self.type == "datetime" else "number"
            raise ValueError(f"range: found {wrong[0]!r}, must be a {kind}")
        limits, moments = self.limits or (0, 0), self.moments() or (pd.Timestamp.min, pd.Timestamp.max)
        if limits[0] > limits[1] or moments[0] > moments[1]:
            raise ValueError(f"the range {list(self.range or ())} is empty")
        if self.values and self.type not in ("category", "integer", "boolean"):
            raise ValueError(f"a {self.type} has no list of values")
        if self.type == "boolean" and self.values is not None:
            _must_be_words(self.categories)
        if self.values == ():
            raise ValueError("the list of values is empty; leave it out to allow any")
        if self.values and self.type == "integer" and any(isinstance(v, str) for v in self.values):
            raise ValueError(f"the values {list(self.values)} of an integer are not all integers")
        if self.type == "category" and not all(self.categories):
            raise ValueError(f"the values {list(self.values or ())} hold an empty one; write missing: true")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"the values {list(self.values or ())} hold one value twice")
        if self.bins and self.type not in ("integer", "number"):
            raise ValueError(f"a {self.type} has no bins; it is sliced by its values")
        if self.bins and list(self.bins) != sorted(set(self.bins)):
            raise ValueError(f"the bins {list(self.bins)} do not rise")
        for role in ("ignored", "version"):
            if role in self.role and len(self.role) > 1:
                raise ValueError(f"the role {role} stands alone, found {list(self.role)}")
        if "version" in self.role and self.type not in ("integer", "number", "datetime"):
            raise ValueError(f"a {self.type} has no order; a version is an integer, a number or a datetime")
        if self.type == "text" and "feature" in self.role:
            raise ValueError("a text cannot be a feature; call it a category, or give it the role ignored")
        if (
            "slice" in self.role
            and self.type not in ("category", "boolean")
            and not (self.bins or self.values)
        ):
            raise ValueError(f"a {self.type} that is a slice needs bins, such as [60, 62, 65, 70]")
        if self.missing and "block" in self.role:
            raise ValueError("a block cannot be missing: it says which rows belong together")
        if "source" in self.role and {"feature", "target"} & set(self.role):
            raise ValueError(f"a source is neither a feature nor the target, found {list(self.role)}")
        if "feature" in self.role and "target" in self.role:
            raise ValueError("the target cannot be a feature of itself")
        return self

    @property
    def categories(self) -> tuple[str, ...]:
        """The allowed values of a category in their one spelling; none if any is allowed."""
        return tuple(spelling(str(value)) for value in self.values or ())

    @property
    def words(self) -> dict[str, bool] | None:
        """What stands for true and false in a boolean, in lower case; None: what anybody would write.

        `true` and `false` always do: Parquet has no other way to say it, nor have batches.
        """
        if self.type != "boolean" or self.values is None:
            return None
        false, true = (word.casefold() for word in self.categories)
        return {"false": False, "true": True, false: False, true: True}

    @property
    def limits(self) -> tuple[float, float] | None:
        """The range of a number."""
        low, high = self.range or ("", "")
        return None if isinstance(low, str) or isinstance(high, str) else (low, high)

    def moments(self, zone: str | None = None) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """The range of a date, in the zone's times; a day at its end is all of the day."""
        low, high = self.range or (0.0, 0.0)
        if not isinstance(low, str) or not isinstance(high, str):
            return None
        first, last = periods.times(pd.Series([low, high]), zone)
        if first is pd.NaT or last is pd.NaT:
            raise ValueError(f"range: found {[low, high]}, must be two dates such as 2021-09-30")
        return first, last + pd.Timedelta(days=1) - pd.Timedelta(1, "us") if len(high) == 10 else last


def _must_be_words(words: tuple[str, ...]) -> None:
    folded = [word.casefold() for word in words]
    if len(folded) != 2 or len(set(folded)) < 2 or not all(folded):
        raise ValueError(
            f"the values {list(words)} of a boolean must be two different words: the first is false, "
            "the second true"
        )
    if folded[0] == "true" or folded[1] == "false":
        raise ValueError(
            f"the values {list(words)} of a boolean: the first is false, the second true; swap them"
        )
