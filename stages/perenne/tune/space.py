"""The section `tune` of params.yaml: which settings of the section `train` are searched."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from perenne.common import sections
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError, hint
from perenne.common.names import PARAMS
from perenne.common.params import Seed, Train
from perenne.common.typed import Model, parse

Settings = dict[str, object]  # a value for each key of the space, as YAML has them
Kind = Literal["integer", "number", "choice"]

SEARCHED = "train"  # the one section whose keys may be searched
DIGITS = 3  # of a proposed number: a fourth is within the noise of any validation, and nobody reads it
LARGEST = 1e300  # of a number: the distance of two is one as well
STEPS = 1_000_000  # of a grid
EXACT = 12  # digits of a number on a grid: 0.1 + 2 * 0.1 is 0.3
OTHER_YARDSTICK = ("split", "evaluate", "validate", "ingest", "case")


class Dimension(Model):
    """What one key is searched over: numbers from `low` to `high`, or a list of `values`.

    Whole `low` and `high` give integers; write 0.0 for numbers with decimals. `log` searches orders of
    magnitude, `step` a grid that begins at `low`.
    """

    low: object = None
    high: object = None
    step: object = None
    log: object = False
    values: object = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        ends = [name for name in ("low", "high") if name in self.model_fields_set]
        if ("values" in self.model_fields_set) == bool(ends):
            raise ValueError("must have either low and high, or values")
        if ends:
            self._numbers(ends)
        else:
            self._choices()
        return self

    def _numbers(self, ends: Sequence[str]) -> None:
        if len(ends) < 2:
            missing = "high" if "low" in ends else "low"
            raise ValueError(f"{missing}: missing")
        for name in ("low", "high", *(["step"] if self.step is not None else [])):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
                raise ValueError(f"{name}: found {value!r:.60}, must be a number")
            if abs(value) > LARGEST:
                raise ValueError(f"{name}: found {value!r:.60}, must be a number of at most {LARGEST}")
        low, high, step = (float(value) for value in (self.low, self.high, self.step or 0))  # type: ignore[arg-type]  # as above
        if not low < high:
            raise ValueError(f"low: found {self.low!r}, must be below high, which is {self.high!r}")
        if not isinstance(self.log, bool):
            raise ValueError(f"log: found {self.log!r:.60}, must be true or false")  # noqa: TRY004 -- pydantic's
        if self.log and low <= 0:
            raise ValueError(f"low: found {self.low!r}, must be above 0 where log is true")
        if self.step is not None:
            if self.log:
                raise ValueError("step: a grid has no orders of magnitude; leave out step or log")
            if not 0 < step <= high - low:
                raise ValueError(f"step: found {self.step!r}, must be above 0 and at most high - low")
            if (high - low) / step > STEPS:
                raise ValueError(f"step: found {self.step!r}, makes more than {STEPS:,} steps; leave it out")

    def _choices(self) -> None:
        for name in ("step", "log"):
            if name in self.model_fields_set:
                raise ValueError(f"{name}: goes with low and high, not with values")
        if not isinstance(self.values, list) or len(self.values) < 2:
            raise ValueError(f"values: found {self.values!r:.60}, must be a list of two or more")
        texts = [canonical(value) for value in self.values]
        twice = next((text for place, text in enumerate(texts) if text in texts[:place]), None)
        if twice is not None:
            raise ValueError(f"values: {twice} appears twice")

    @property
    def kind(self) -> Kind:
        """Whether it has integers, numbers with decimals, or choices."""
        if self.values is not None:
            return "choice"
        given = (self.low, self.high, *([] if self.step is None else [self.step]))
        return "integer" if all(isinstance(value, int) for value in given) else "number"

    @property
    def choices(self) -> list[object]:
        """The values of a choice."""
        return self.values if isinstance(self.values, list) else []

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value of numbers; of a grid, the highest that lies on it."""
        low, high = float(self.low), float(self.high)  # type: ignore[arg-type]  # checked above
        if self.grid:
            high = low + math.floor((high - low) / self.grid + 1e-9) * self.grid
        return low, float(f"{high:.{EXACT}g}")

    @property
    def grid(self) -> float:
        """The step of a grid; 0 without one."""
        if self.step is None:
            return 1.0 if self.kind == "integer" and not self.log else 0.0
        return float(self.step)  # type: ignore[arg-type]  # checked above

    def has(self, value: object) -> bool:
        """Return whether a value is in it."""
        if self.kind == "choice":
            return canonical(value) in map(canonical, self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = self.ends
        steps = (value - low) / self.grid if self.grid else 0.0
        whole = self.kind == "number" or isinstance(value, int)
        return whole and low <= value <= high and abs(steps - round(steps)) < 1e-9

    def neat(self, value: float) -> int | float:
        """Return a proposed number as params.yaml shall have it: whole, on the grid, or with few digits."""
        if self.kind == "integer":
            return round(value)
        low, high = self.ends
        digits = EXACT if self.grid else DIGITS
        return min(max(float(f"{value:.{digits}g}"), low), high)


class TuneSettings(Model):
    """The section `tune`: how many settings are tried in all, the params as they stand included."""

    trials: int = Field(default=50, ge=2, le=10_000)
    seed: Seed = 0
    space: Mapping[str, Dimension] = {}


def _unsearchable(key: str) -> str:
    """Why a key cannot be searched; empty if it can."""
    first, *rest = key.split(".")
    if first in OTHER_YARDSTICK:
        return f"another {first} would be another yardstick; only keys of {SEARCHED} are searched"
    if first != SEARCHED:
        return f"only keys of {SEARCHED} are searched, such as {SEARCHED}.params.learning_rate"
    if rest == ["seed"]:
        return "a seed is no setting: its best one is luck"
    if rest and rest[0] not in ("estimator", "params"):
        return f"unknown key; {hint(rest[0], ['estimator', 'params'])}"
    return "" if all(rest) else "has an empty part"


def load() -> TuneSettings:
    """Return the section of the working tree.

    Raises
    ------
    PerenneError
        If something is wrong in it, or nothing is searched; it names the key.

    """
    settings = sections.section("tune", TuneSettings)
    if not settings.space:
        raise PerenneError(
            f"{PARAMS}: tune.space: nothing is searched; write for example "
            "`train.params.learning_rate: {low: 0.01, high: 0.3, log: true}`"
        )
    for key in settings.space:
        above = next((k for k in settings.space if key.startswith(f"{k}.")), None)
        part = f"is a part of {above}, which is searched too; leave one out" if above else ""
        reason = _unsearchable(key) or part
        if reason:
            raise PerenneError(f"{PARAMS}: tune.space.{key}: {reason}")
    return settings


class Applied(NamedTuple):
    """The section `train` with some settings in it, and the keys of params.yaml that they change."""

    spec: Train
    changes: dict[str, object]


def applied(tree: Mapping[str, object], settings: Settings) -> Applied:
    """Return the section `train` with some settings in place of what it has.

    Parameters
    ----------
    tree
        The section as YAML has it.
    settings
        A value for each dotted key.

    Raises
    ------
    PerenneError
        If a value cannot stand there.

    """
    section: dict[str, object] = json.loads(canonical(tree))
    changes = _changes(settings)
    for key, value in changes.items():
        *above, last = key.split(".")[1:]
        place: object = section
        for step in above:
            place = place.setdefault(step, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise PerenneError(f"{PARAMS}: tune.space.{key}: {'.'.join([SEARCHED, *above])} is not a mapping")
        place[last] = value
    return Applied(parse(Train, section, str(PARAMS), prefix=f"tune.space.{SEARCHED}"), changes)


def _changes(settings: Settings) -> dict[str, object]:
    """The keys that settings change: a choice of `train` itself is a mapping of its keys."""
    changes: dict[str, object] = {}
    for key, value in settings.items():
        if key != SEARCHED:
            changes[key] = value
        elif isinstance(value, dict) and "seed" not in value:
            changes |= {f"{SEARCHED}.{name}": one for name, one in value.items()}
        else:
            raise PerenneError(
                f"{PARAMS}: tune.space.{SEARCHED}: found {value!r:.60}, must have keys of {SEARCHED} but seed"
            )
    return changes


def present(tree: Mapping[str, object], space: Mapping[str, Dimension], contract: Contract) -> Settings:
    """Return the value of each key of the space as it stands; where params.yaml has none, the estimator's."""
    from perenne.pipeline import train

    spec = parse(Train, json.loads(canonical(tree)), str(PARAMS), prefix=SEARCHED)
    own = train.build(spec, contract, [*contract.features])["model"].get_params(deep=False)
    return {key: _value(tree, key, own) for key in space}


def _value(tree: Mapping[str, object], key: str, own: Mapping[str, object]) -> object:
    if key == SEARCHED:
        return {name: value for name, value in tree.items() if name != "seed"}
    place: object = tree
    for step in key.split(".")[1:]:
        if not isinstance(place, dict) or step not in place:
            default = own.get(step) if key.count(".") == 2 else None
            return default if isinstance(default, bool | int | float | str) else None
        place = place[step]
    return place


def checked(tree: Mapping[str, object], space: Mapping[str, Dimension], contract: Contract) -> None:
    """Try every choice, and one number of each range, on the estimator, without fitting it.

    Raises
    ------
    PerenneError
        If the estimator does not have a parameter, or is none for the task; it names the key.

    """
    from perenne.pipeline import train

    first: Settings = {
        key: one.choices[0] if one.choices else one.neat(one.ends[0]) for key, one in space.items()
    }
    tried = [first | {key: choice} for key, one in space.items() for choice in one.choices] or [first]
    for settings in tried:
        try:
            train.build(applied(tree, settings).spec, contract, [*contract.features])
        except PerenneError as error:
            own = f"{PARAMS}: tune."
            reason = str(error).removeprefix(own if str(error).startswith(own) else f"{PARAMS}: ")
            raise PerenneError(f"{own}{'' if reason.startswith('space.') else 'space.'}{reason}") from error


def canonical(value: object) -> str:
    """Return a value as JSON text, the same for equal values: 1, 1.0 and true are different ones.

    >>> canonical({"b": 1, "a": [1.0, True]})
    '{"a": [1.0, true], "b": 1}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
