"""The contract: what a row is. Columns, types, roles, allowed values, and how late labels arrive."""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cached_property
from typing import Annotated, Literal, Self

import pandas as pd
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from perenne.common import periods, strict_yaml
from perenne.common.errors import PerenneError, hint
from perenne.common.names import CASES, HIDDEN, OF_CLASS, TAKEN
from perenne.common.periods import Unit
from perenne.common.reading import Read
from perenne.common.task import Task, named
from perenne.common.typed import Model, parse

Type = Literal["integer", "number", "boolean", "category", "datetime", "text"]
Role = Literal["feature", "target", "time", "entity", "version", "block", "slice", "ignored"]
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
# A string in YAML, the task itself in Python.
Named = Annotated[Task, BeforeValidator(named), PlainSerializer(str)]


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
    are the words for false and for true, in this order.
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


class Headline(Model):
    """The figure that people outside the team know the model by; without it, the mean of the target."""

    figure: Literal["period_age"]  # stages/perenne/stats/survival.py
    along: str
    first: float
    last: float
    step: float = Field(gt=0)
    about: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.first >= self.last:
            raise ValueError(
                f"last: found {self.last:g}, must be greater than first, which is {self.first:g}"
            )
        return self


FEWEST_CLASSES = 3  # with two, the target is an event
MOST_CLASSES = 100
RUN = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")
MOST_COLUMNS = 100_000  # of a run: more are a slip of the pen


def _spread(columns: object) -> object:
    """Columns with those of a run written out: `x {08..10}` is `x 08`, `x 09` and `x 10`."""
    if not isinstance(columns, dict):
        return columns
    spread: dict[object, object] = {}
    for name, column in columns.items():
        run = RUN.search(name) if isinstance(name, str) else None
        numbers = range(int(run[1]), int(run[2]) + 1) if run else range(0)
        if run and not 1 < len(numbers) <= MOST_COLUMNS:
            raise ValueError(f"{name}: {run[0]} must go from a number to a greater one, as in {{01..24}}")
        names = [RUN.sub(f"{number:0{len(run[1])}d}", name) for number in numbers] if run else [name]
        twice = next((one for one in names if one in spread), None)
        if twice is not None:
            raise ValueError(f"{name}: the column {twice} is there twice")
        spread |= dict.fromkeys(names, column)
    return spread


class Contract(Model):
    """What a row is, and when its label can be known.

    A column named `sensor {000..299}` stands for three hundred of them.

    `zone` names the clocks that cut time into periods, such as Europe/Paris. Times are then moments, stored
    in UTC, and one without an offset is read by these clocks. Without it, times are what the clock showed.
    `block: none` says that rows are independent. Without it, and without a column of that role, `evaluate`
    measures which rows are alike (`perenne.stats.dependence`). `read` says how files are written: nothing
    after `ingest` depends on it.
    """

    row: str
    task: Named
    period: Unit
    label_delay: Annotated[int, Field(ge=0, le=100_000)]
    zone: Annotated[str, AfterValidator(periods.zone)] | None = None
    columns: Annotated[dict[str, Column], BeforeValidator(_spread)] = Field(min_length=2)
    headline: Headline | None = None
    answer: Literal["none"] | None = Field(None, alias="block")
    read: Read = Read()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in self.columns:
            if name in TAKEN:
                raise ValueError(
                    f"columns.{name}: is {TAKEN[name]}; give it another name, in the data as well"
                )
            if not name.strip() or name.startswith((HIDDEN, OF_CLASS)) or min(name) < " ":
                raise ValueError(
                    f"columns.{name!r}: a name is not blank, holds no control character and does not begin "
                    f"with {HIDDEN} or {OF_CLASS!r}; give the column another one, in the data as well"
                )
        for role in ("target", "time", "block", "version"):
            named = self.named(role)
            if len(named) > 1 or (not named and role in ("target", "time")):
                raise ValueError(f"columns: exactly one has the role {role}, found {named or 'none'}")
        if self.answer and self.block:
            raise ValueError(
                f"block: found none, but columns.{self.block} has the role block; drop one of them"
            )
        if self.version and not self.entity:
            raise ValueError(f"columns.{self.version}: of what is it the version? No column is an entity")
        if self.columns[self.time].type != "datetime":
            raise ValueError(f"columns.{self.time}: the time must be a datetime")
        target, task = self.columns[self.target], self.task
        if target.type not in task.target_types:
            raise ValueError(
                f"columns.{self.target}: the target of a {task} task is {' or '.join(task.target_types)}"
            )
        if task.outcome == "event" and target.type == "integer" and set(target.values or ()) != {0, 1}:
            raise ValueError(
                f"columns.{self.target}: an integer target of a {task} task needs values: [0, 1]"
            )
        if task.outcome == "class" and not FEWEST_CLASSES <= len(target.values or ()) <= MOST_CLASSES:
            raise ValueError(
                f"columns.{self.target}: the target of a {task} task needs values, its {FEWEST_CLASSES} to "
                f"{MOST_CLASSES} classes; found {len(target.values or ())}"
            )
        if self.read.batch and self.period != "day":
            raise ValueError(f"period: found {self.period}, must be day where read.batch stands for a time")
        for part, name in (self.read.time.named if self.read.time else {}).items():
            if name not in self.columns or name == self.time:
                others = [other for other in self.columns if other != self.time]
                raise ValueError(f"read.time.{part}: {name!r} is not a column; {hint(name, others)}")
        if self.columns[self.time].missing:
            raise ValueError(f"columns.{self.time}: the time cuts rows into periods and cannot be missing")
        if not self.features:
            raise ValueError("columns: at least one has the role feature")
        if self.headline and task.outcome == "class":
            raise ValueError(f"headline: {self.headline.figure} is of an event, not of classes; leave it out")
        if self.headline:
            along = self.headline.along
            numbers = [n for n in self.features if self.columns[n].type in ("integer", "number")]
            if along not in numbers:
                raise ValueError(
                    f"headline.along: {along!r} is not a numeric feature; {hint(along, numbers)}"
                )
        return self

    def named(self, role: Role | str) -> list[str]:
        """The names of the columns that have this role, in the contract's order."""
        return [name for name, column in self.columns.items() if role in column.role]

    @cached_property
    def features(self) -> list[str]:
        """What the model sees."""
        return self.named("feature")

    @cached_property
    def target(self) -> str:
        """What the model predicts."""
        return self.named("target")[0]

    @cached_property
    def classes(self) -> tuple[str | int, ...]:
        """The values of the target, in the order of a model's probabilities; none if it is a quantity."""
        target = self.columns[self.target]
        match self.task.outcome:
            case "event":
                return 0, 1
            case "class":
                return target.categories if target.type == "category" else target.values or ()
            case _:
                return ()

    @cached_property
    def time(self) -> str:
        """What cuts rows into periods."""
        return self.named("time")[0]

    @cached_property
    def entity(self) -> list[str]:
        """What, with the time, says that two rows are the same."""
        return self.named("entity")

    @cached_property
    def version(self) -> str | None:
        """What says which row counts of those with the same entity and time; None: they must not differ."""
        return next(iter(self.named("version")), None)

    @cached_property
    def block(self) -> str | None:
        """What rows that are not independent of each other have in common; None: no column says so."""
        return next(iter(self.named("block")), None)

    @property
    def independent(self) -> bool:
        """Whether the contract says that rows are independent (`block: none`)."""
        return self.answer == "none"

    @cached_property
    def slices(self) -> list[str]:
        """The columns by whose values the metrics are also given."""
        return self.named("slice")


def read_contract(case: str) -> Contract:
    """The contract of a case; a `PerenneError` names what is wrong in it."""
    path = CASES / case / "contract.yaml"
    if not path.exists():
        cases = [p.parent.name for p in CASES.glob("*/contract.yaml")]
        raise PerenneError(f"params.yaml: case: {case!r} has no {path}; {hint(case, cases)}")
    return parse(Contract, strict_yaml.load(path), str(path))
