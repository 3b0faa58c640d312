"""From YAML to frozen, typed models; every mistake becomes one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from perenne.common.errors import PerenneError, hint

M = TypeVar("M", bound="Model")


# What would be accepted, by the kind of error that pydantic reports.
EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "bool_type": "true or false",
    "tuple_type": "a list such as [a, b]",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


class Model(BaseModel):
    """A frozen model: it accepts only the keys that it names, and only values of their types.

    Strict: `"5"` is not an integer and `true` is not a number, because DVC shows the value in the file.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )


def parse(model: type[M], data: Any, name: str, *, prefix: str = "") -> M:
    """Read `data` as `model`.

    Parameters
    ----------
    model
        What the data must be.
    data
        As YAML or JSON has it.
    name
        What an error calls the file.
    prefix
        The key in that file under which the data stands; empty for the whole file.

    Raises
    ------
    PerenneError
        Names the file, the key, the value and what would be accepted.

    """
    if not isinstance(data, dict):
        raise PerenneError(f"{name}: expected a mapping of {', '.join(_keys(model))}, found {data!r:.200}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise PerenneError(explained(model, error, name, prefix=prefix)) from error


def explained(model: type[Model], error: Exception, name: str, *, prefix: str = "") -> str:
    """What is wrong with some data, one line for each key; arguments as for `parse`.

    `error` is what validation raised. If it is not pydantic's, its own message is the explanation.

    Returns
    -------
    str
        Lines after the first are indented, to stand below `error: `.

    """
    if not isinstance(error, ValidationError):
        return f"{name}: {error}"
    causes = _causes(model, error.errors(include_url=False))
    return "\n       ".join(f"{name}: {_explain(model, cause, prefix)}" for cause in causes)


def _causes(model: type[Model], errors: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """The errors without those that follow from others: a misspelt key is not reported as missing too."""
    misspelt = set()
    for error in errors:
        if error["type"] == "extra_forbidden":
            owner, path = _walk(model, error["loc"])
            misspelt |= {(*path[:-1], meant) for meant in get_close_matches(path[-1], _keys(owner), n=1)}
    for error in errors:
        if error["type"] != "missing" or tuple(_walk(model, error["loc"])[1]) not in misspelt:
            yield error


def _explain(model: type[Model], error: ErrorDetails, prefix: str) -> str:
    owner, path = _walk(model, error["loc"])
    steps = (step if step.isprintable() else repr(step) for step in path)
    key = ".".join([prefix, *steps] if prefix else steps)
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key; {hint(path[-1], _keys(owner))}"
        case "missing":
            return f"{key}: missing"
        case "invalid_key":
            return f"{key}: unknown key, and not a string"
        case "value_error":
            reason = error["msg"].removeprefix("Value error, ")
            return f"{key}: {reason}" if key else reason
        case kind:
            said = error["msg"].replace("Input should be", "must be").replace("Tuple should", "must")
            needed = f"must be {EXPECTED[kind]}" if kind in EXPECTED else said[0].lower() + said[1:]
            return f"{key}: found {error['input']!r:.200}, {needed}"


def _walk(model: type[Model], loc: Iterable[int | str]) -> tuple[type[Model], list[str]]:
    """The model that owns the key at `loc`, and the key's path as its author wrote it."""
    owner, here, path = model, [model], []
    for step in map(str, loc):
        path.append(step)
        owner = here[0] if here else owner
        field = next((f for n, f in owner.model_fields.items() if step in (n, f.alias)), None)
        here = _models(field.annotation) if field else here if _is_mapping_key(here) else []
    return owner, path


def _is_mapping_key(here: list[type[Model]]) -> bool:
    return len(here) == 1


def _models(annotation: Any) -> list[type[Model]]:
    """The models named anywhere in a type, such as `dict[str, Column]` or `A | B`."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [m for argument in get_args(annotation) for m in _models(argument)]


def _keys(model: type[Model]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
