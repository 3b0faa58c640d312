"""The contract: what a row is. Columns, types, roles, allowed values, and how late labels arrive."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from perenne.common import derived, periods, strict_yaml
from perenne.common.column import Column, Role
from perenne.common.derived import Derived
from perenne.common.errors import PerenneError, hint
from perenne.common.names import CASES, HIDDEN, OF_CLASS, TAKEN
from perenne.common.periods import Unit
from perenne.common.reading import Read
from perenne.common.task import Task, named
from perenne.common.typed import Model, parse

# A string in YAML, the task itself in Python.
Named = Annotated[Task, BeforeValidator(named), PlainSerializer(str)]


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

    `columns` has the derived features as well, after those that are delivered: see `perenne.common.derived`.
    """

    row: str
    task: Named
    period: Unit
    label_delay: Annotated[int, Field(ge=0, le=100_000)]
    zone: Annotated[str, AfterValidator(periods.zone)] | None = None
    columns: Annotated[dict[str, Column], BeforeValidator(_spread)] = Field(min_length=2)
    derived: dict[str, Derived] = Field(default_factory=dict)
    headline: Headline | None = None
    answer: Literal["none"] | None = Field(None, alias="block")
    read: Read = Read()

    @model_validator(mode="after")
    def _with_derived(self) -> Self:
        """Add the derived features to the columns, once the roles that they need can be named."""
        targets = self.named("target")
        if self.derived and targets:
            delivered, entity = self.columns, self.named("entity")
            made = derived.columns(self.derived, delivered, target=targets[0], entity=entity)
            self.__dict__["columns"] = {**delivered, **made}  # the model is frozen for everybody else
        return self

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
    def raw(self) -> dict[str, Column]:
        """The columns that are delivered: all but the derived features."""
        return {name: column for name, column in self.columns.items() if name not in self.derived}

    def made_of(self, name: str) -> object:
        """All that a column's values depend on: equal for columns that are equal in every row.

        Code of the project stands for itself by its name: whether it is the same code is another question.
        """
        spec = self.derived.get(name)
        if spec is None:
            return self.columns[name].type if name in self.columns else None
        matures = (self.period, self.label_delay) if self.target in spec.ingredients else ()
        known = (self.zone, self.time, matures) if spec.past else self.zone
        by = (spec.by or tuple(self.entity)) if spec.past else ()
        return spec.recipe, known, by, [self.made_of(each) for each in spec.ingredients]

    @cached_property
    def coded(self) -> list[str]:
        """The derived features that code of the project makes."""
        return [name for name, spec in self.derived.items() if spec.code]

    @cached_property
    def features(self) -> list[str]:
        """What the model sees."""
        return self.named("feature")

    @cached_property
    def remembered(self) -> list[str]:
        """The derived features that are made of an entity's earlier rows."""
        return [name for name, spec in self.derived.items() if spec.past]

    @cached_property
    def required(self) -> list[str]:
        """The delivered columns that a row to predict must have: features, and what features are made of."""
        made_of = {name for spec in self.derived.values() if not spec.past for name in spec.ingredients}
        asked = [n for n, column in self.raw.items() if {"feature", "source"} & set(column.role)]
        asked += made_of
        if self.remembered or any(self.columns[n].type == "datetime" for n in self.features):
            asked.append(self.time)  # earlier than when, and how long before
        return [name for name in self.raw if name in asked]

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
