"""Derived features as a contract declares them: of the row itself, or of its entity's earlier rows.

What they are is checked here, once and in one line each; `perenne.common.features` computes them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from perenne.common.column import Bins, Column, Roles, Type
from perenne.common.errors import hint
from perenne.common.names import HIDDEN, OF_CLASS, TAKEN
from perenne.common.project_code import is_named
from perenne.common.typed import Model

Part = Literal["hour", "weekday", "day", "week", "month", "quarter", "year"]
Kind = Literal[
    "part", "ratio", "log", "log1p", "difference", "lag", "mean", "sum", "min", "max", "count", "code"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_THE_PAST = ("lag", "mean", "sum", "min", "max", "count")
# What may stand beside each kind, and what must.
BESIDE: dict[str, tuple[str, ...]] = {
    "part": ("of",),
    "lag": ("rows", "by"),
    **dict.fromkeys(("mean", "sum", "min", "max", "count"), ("rows", "within", "by")),
    "code": ("of", "type"),
}
NUMBERS: tuple[Type, ...] = ("integer", "number")
TAKES: dict[str, tuple[Type, ...]] = {
    "part": ("datetime",),
    "ratio": NUMBERS,
    "log": NUMBERS,
    "log1p": NUMBERS,
    "difference": (*NUMBERS, "datetime"),
    "lag": (*NUMBERS, "boolean", "category", "datetime"),
    "mean": (*NUMBERS, "boolean"),
    "sum": (*NUMBERS, "boolean"),
    "min": NUMBERS,
    "max": NUMBERS,
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FROM_TO: dict[Part, tuple[int, int]] = {
    "hour": (0, 23),
    "day": (1, 31),
    "week": (1, 53),
    "month": (1, 12),
    "quarter": (1, 4),
}
MOST_ROWS = 1_000  # of the past that a feature looks back on
MOST_DAYS = 3_660
SPAN = re.compile(r"([1-9][0-9]{0,5}) (second|minute|hour|day|week)s?")
HISTORY = "history"  # the key of a request under which earlier rows are sent


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _counted(value: object) -> object:
    if value is not True and not isinstance(value, str):
        raise ValueError(f"found {value!r}, must be true, or a column whose values are counted")
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(strict=False, min_length=1)]
Pair = Annotated[tuple[str, str], Field(strict=False)]


class Derived(Model):
    """One derived feature: exactly one of the keys in `KINDS`, and what belongs to it.

    `rows` is how many earlier rows of the entity a figure is over (of a `lag`, how many rows back), `within`
    how much time before the row. `by` are the columns that name the entity, if not all that have this role.
    """

    part: Part | None = None
    ratio: Pair | None = None
    log: str | None = None
    log1p: str | None = None
    difference: Pair | None = None
    lag: str | None = None
    mean: str | None = None
    sum: str | None = None
    min: str | None = None
    max: str | None = None
    count: Annotated[Literal[True] | str, BeforeValidator(_counted)] | None = None
    code: str | None = None
    of: Names | None = None
    rows: int | None = None
    within: str | None = None
    by: Names | None = None
    type: Type | None = None
    role: Roles = ("feature",)
    bins: Bins | None = None
    unit: str = ""
    about: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"found {' and '.join(kinds) or 'none'}, must be one of {', '.join(KINDS)}")
        for key in ("of", "rows", "within", "by", "type"):
            if getattr(self, key) is not None and key not in BESIDE.get(self.kind, ()):
                goes = [kind for kind, keys in BESIDE.items() if key in keys]
                raise ValueError(f"{key} does not go with {self.kind}; it goes with {', '.join(goes)}")
        if self.kind == "part" and len(self.of or ()) != 1:
            found = f"found {[*self.of]}" if self.of else "missing"
            raise ValueError(f"of: {found}; name the datetime column, as in {{part: weekday, of: ordered}}")
        if wrong := set(self.role) - {"feature", "slice", "ignored"}:
            raise ValueError(f"role: found {min(wrong)!r}, must be feature, slice or ignored")
        if self.code is not None and not is_named(self.code):
            raise ValueError(f"code: found {self.code!r}, must be a function such as stages.features.make")
        if self.past:
            self._check_window()
        return self

    def _check_window(self) -> None:
        if self.kind != "lag" and (self.rows is None) == (self.within is None):
            raise ValueError(
                f"{self.kind}: give either rows, as in rows: 3, or within, as in within: 30 days"
            )
        if self.rows is not None and not 1 <= self.rows <= MOST_ROWS:
            raise ValueError(
                f"rows: found {self.rows}, must be 1 to {MOST_ROWS}: so many rows before this one"
            )
        if self.within is not None and not 0 < self.span <= MOST_DAYS * 86_400_000_000:
            raise ValueError(
                f"within: found {self.within!r}, must be a time of at most {MOST_DAYS} days such as 30 days, "
                "12 hours or 2 weeks"
            )

    @property
    def kind(self) -> Kind:
        """Which of the kinds it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def past(self) -> bool:
        """Whether it is made of the entity's earlier rows."""
        return self.kind in OF_THE_PAST

    @property
    def ingredients(self) -> tuple[str, ...]:
        """The columns that it is made of, as they are written; none: what the code takes by default."""
        if self.kind in ("part", "code"):
            return self.of or ()
        value = getattr(self, self.kind)
        return () if value is True else (value,) if isinstance(value, str) else value

    @property
    def recipe(self) -> tuple[object, ...]:
        """What of it decides about values: not how they are shown and sliced."""
        keys = (*KINDS, "of", "rows", "within", "type")
        return tuple(value for key in keys if (value := getattr(self, key)) is not None)

    @property
    def span(self) -> int:
        """The time of `within` in microseconds; 0 if it cannot be read."""
        match = SPAN.fullmatch(self.within or "")
        return int(match[1]) * _MICROSECONDS[match[2]] if match else 0


_MICROSECONDS = {
    unit: timedelta(**{f"{unit}s": 1}) // timedelta(microseconds=1)
    for unit in ("second", "minute", "hour", "day", "week")
}


def columns(
    declared: Mapping[str, Derived], raw: Mapping[str, Column], *, target: str, entity: Sequence[str]
) -> dict[str, Column]:
    """The columns that derived features become, each with a type of its own.

    Parameters
    ----------
    declared
        By name, in the contract's order: one may be made of those before it.
    raw
        The columns that are delivered.
    target, entity
        Which of those have these roles.

    Raises
    ------
    ValueError
        If a feature cannot be made; in one line that begins with its key.

    """
    made: dict[str, Column] = {}
    of_past: set[str] = set()
    for name, spec in declared.items():
        try:
            _check_name(name, raw)
            for each in spec.ingredients:
                _check_ingredient(each, spec, name, {**raw, **made}, declared, target)
            if spec.past:
                _check_depth(spec, of_past)
                _check_by(spec, raw, target, entity)
            if spec.past or of_past & set(spec.ingredients):
                of_past.add(name)
            made[name] = _column(spec, {**raw, **made})
        except ValueError as error:
            # Pydantic's own say more than a line: the first reason does.
            errors = getattr(error, "errors", None)
            said = errors()[0]["msg"].removeprefix("Value error, ") if errors else str(error)
            raise ValueError(f"derived.{name}: {said}") from None
    _check_sources(declared, raw)
    if any(spec.past for spec in declared.values()) and HISTORY in raw:
        raise ValueError(
            f"columns.{HISTORY}: a request has earlier rows under this name; give the column another one"
        )
    return made


def _check_name(name: str, raw: Mapping[str, Column]) -> None:
    if name in raw:
        raise ValueError("there is a column of this name; give the feature another one")
    if name in TAKEN or name == HISTORY:
        raise ValueError(
            f"is {TAKEN.get(name, 'the key of earlier rows in a request')}; give it another name"
        )
    if not name.strip() or name.startswith((HIDDEN, OF_CLASS)) or min(name) < " ":
        raise ValueError(
            f"a name is not blank, holds no control character and does not begin with {HIDDEN} or "
            f"{OF_CLASS!r}"
        )


def _check_ingredient(
    each: str,
    spec: Derived,
    name: str,
    known: Mapping[str, Column],
    declared: Mapping[str, Derived],
    target: str,
) -> None:
    if each == name:
        raise ValueError(f"{spec.kind}: is made of itself; give the feature another name than its column")
    if each in declared and each not in known:
        raise ValueError(f"{spec.kind}: {each!r} is declared below it; move it up")
    takes = TAKES.get(spec.kind, get_args(Type))
    if each not in known:
        fit = [n for n, c in known.items() if c.type in takes and "ignored" not in c.role]
        raise ValueError(f"{spec.kind}: {each!r} is not a column; {hint(each, fit)}")
    column = known[each]
    if each == target and not spec.past:
        raise ValueError(
            f"{spec.kind}: {each!r} is the target, which is not known at the row's own time; "
            f"earlier ones are: lag: {each}"
        )
    if {"ignored", "version"} & set(column.role) and each not in declared:
        raise ValueError(
            f"{spec.kind}: {each!r} has the role {column.role[0]}, so requests may lack it; "
            "give it the role source"
        )
    if column.type not in takes:
        raise ValueError(f"{spec.kind}: {each!r} is a {column.type}, must be {_either(takes)}")
    if spec.kind == "difference":
        dates = [n for n in spec.ingredients if n in known and known[n].type == "datetime"]
        if len(dates) == 1:
            raise ValueError("difference: of two numbers or of two datetimes, not of one and one")


def _either(types: Sequence[str]) -> str:
    *most, last = types
    return f"{', '.join(most)} or {last}" if most else f"a {last}"


def _check_depth(spec: Derived, of_past: Collection[str]) -> None:
    for each in spec.ingredients:
        if each in of_past:
            raise ValueError(f"{spec.kind}: {each!r} is made of earlier rows itself; take what it is made of")


def _check_by(spec: Derived, raw: Mapping[str, Column], target: str, entity: Sequence[str]) -> None:
    if not (spec.by or entity):
        raise ValueError(
            f"{spec.kind}: of whose earlier rows? No column is an entity; name one, as in by: [customer]"
        )
    fit = [
        n
        for n, c in raw.items()
        if c.type in ("integer", "category", "text", "boolean") and n != target and "ignored" not in c.role
    ]
    for each in spec.by or entity:
        if each not in fit:
            what = f"is a {raw[each].type} or ignored" if each in raw else "is not a column"
            raise ValueError(f"by: {each!r} {what}; {hint(each, fit)}")


def _check_sources(declared: Mapping[str, Derived], raw: Mapping[str, Column]) -> None:
    used = {name for spec in declared.values() for name in (*spec.ingredients, *(spec.by or ()))}
    takes_all = any(spec.code and not spec.of for spec in declared.values())
    for name, column in raw.items():
        if "source" in column.role and name not in used and not takes_all:
            raise ValueError(
                f"columns.{name}: is a source, but no derived feature is made of it; "
                "give it the role feature or ignored"
            )


def _column(spec: Derived, known: Mapping[str, Column]) -> Column:
    """The column that a feature becomes."""
    source = known[spec.ingredients[0]] if spec.ingredients else None
    kind: Type = "number"
    values: tuple[str | int, ...] | None = None
    missing = True
    match spec.kind:
        case "part":
            assert spec.part  # noqa: S101 -- as its kind says
            assert source  # noqa: S101 -- as checked
            kind = "category" if spec.part == "weekday" else "integer"
            low, high = FROM_TO.get(spec.part, (0, -1))
            values = DAYS if kind == "category" else tuple(range(low, high + 1)) or None
            missing = source.missing
        case "lag":
            assert source  # noqa: S101 -- as checked
            kind, values = source.type, source.values
        case "min" | "max":
            assert source  # noqa: S101 -- as checked
            kind = source.type
        case "count":
            kind = "integer"
        case "code":
            kind = spec.type or "number"
    unit = spec.unit or (source.unit if source and spec.kind in ("lag", "mean", "sum", "min", "max") else "")
    return Column(
        type=kind,
        role=spec.role,
        values=values,
        missing=missing,
        bins=spec.bins,
        unit=unit,
        about=spec.about or described(spec),
    )


def described(spec: Derived) -> str:
    """What the feature is, for people: shown in the service's document.

    >>> described(Derived(mean="pay", rows=3)), described(Derived(ratio=("pay", "hours")))
    ('mean of pay over the last 3 rows before this one', 'pay / hours')
    """
    of = ", ".join(spec.ingredients) or "rows"
    back = f"over the last {spec.rows} rows before this one" if spec.rows else f"in the {spec.within} before"
    match spec.kind:
        case "part":
            return f"the {spec.part} of {of}"
        case "ratio":
            return " / ".join(spec.ingredients)
        case "difference":
            return " - ".join(spec.ingredients)
        case "lag":
            rows = spec.rows or 1
            return f"{of} of the row before" if rows == 1 else f"{of} of {rows} rows before"
        case "code":
            return f"made by {spec.code}"
        case "log" | "log1p":
            return f"{spec.kind} of {of}"
        case _:
            return f"{spec.kind} of {of} {back}"
