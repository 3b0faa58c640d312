"""YAML into frozen, typed models; every mistake in it into one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from stages.common.errors import PerenneError, hint

M = TypeVar("M", bound="Model")


class Model(BaseModel):
    """A frozen model that accepts the keys it names and no other."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def parse(model: type[M], data: Any, name: str) -> M:
    """Read `data` as `model`; a `PerenneError` names the file, the key, the value and what would do."""
    if not isinstance(data, dict):
        raise PerenneError(f"{name}: expected a mapping of {', '.join(_keys(model))}, found {data!r}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [f"{name}: {_explain(model, e)}" for e in error.errors(include_url=False)]
        raise PerenneError("\n       ".join(lines)) from error


def _explain(model: type[Model], error: ErrorDetails) -> str:
    owner, path = _walk(model, error["loc"])
    key = ".".join(path)
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key; {hint(path[-1], _keys(owner))}"
        case "missing":
            return f"{key}: missing"
        case "union_tag_invalid":
            field = str(error["ctx"]["discriminator"]).strip("'")
            valid = str(error["ctx"]["expected_tags"]).replace("'", "").split(", ")
            return f"{key}.{field}: {error['ctx']['tag']!r} is not known; {hint(error['ctx']['tag'], valid)}"
        case "value_error":
            reason = error["msg"].removeprefix("Value error, ")
            return f"{key}: {reason}" if key else reason
        case _:
            return f"{key}: {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _walk(model: type[Model], loc: Iterable[int | str]) -> tuple[type[Model], list[str]]:
    """The model that owns the key at `loc`, and the key's path as its author wrote it.

    Pydantic puts the tag of a union into the path (`ingest.files.glob`); the author did not.
    """
    owner, here, path = model, [model], []
    for step in map(str, loc):
        tagged = [m for m in here if step in _tags(m)]
        if len(here) > 1 and tagged:
            here = tagged
            owner = tagged[0]
            continue
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


def _tags(model: type[Model]) -> tuple[Any, ...]:
    field = model.model_fields.get("source")
    return get_args(field.annotation) if field else ()


def _keys(model: type[Model]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
