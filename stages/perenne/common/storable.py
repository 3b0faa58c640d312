"""What a model file cannot hold, found before it is written and named by where in the model it is.

skops stores a function or class as its module and name. So those without a name of their own in a module (a
lambda, a function or class inside of a function) cannot be stored, nor can what lives only in this process.
"""

from __future__ import annotations

import inspect
import io
import types
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from perenne.common import project_code
from perenne.common.errors import PerenneError

OF_PROCESS = (io.IOBase, types.GeneratorType, types.ModuleType, types.CoroutineType)
PLAIN = (str, bytes, bytearray, int, float, bool, type(None))
LOSSY = ("collections.deque", "collections.Counter")  # skops forgets what is in them
KEPT = "numbers, texts, arrays, lists, dicts or estimators"
OUT = f"put what it keeps into {KEPT}"


def check(model: object, trusted: Collection[str]) -> None:
    """Check that all of a fitted model can be stored.

    Parameters
    ----------
    model
        The pipeline.
    trusted
        The types and functions that a model file may hold, by name.

    Raises
    ------
    PerenneError
        Names the place in the model, what is there, and the way out.

    """
    for place, value in walk(model):
        _check(place, value, trusted)


def walk(model: object) -> Iterator[tuple[str, Any]]:
    """All that a model is made of but plain values, each once, with its place such as `model.steps[0]`."""
    waiting: list[tuple[str, Any]] = [("model", model)]
    seen: dict[int, Any] = {}  # what is held keeps its address
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, PLAIN) or id(value) in seen:
            continue
        seen[id(value)] = value
        yield place, value
        waiting += _parts(place, value)


def _check(place: str, value: Any, trusted: Collection[str]) -> None:
    kind = value if isinstance(value, type | types.FunctionType) else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, types.FunctionType) and value.__name__ == "<lambda>":
        raise PerenneError(
            f"{place}: is a lambda, which a model file cannot hold; write it as a function of a module in "
            f"{project_code.FOLDER}/ and list its name in params.yaml: train.trusted"
        )
    if "<locals>" in kind.__qualname__:
        what = "a class" if isinstance(kind, type) else "a function"
        raise PerenneError(
            f"{place}: {name} is {what} inside of a function, which a model file cannot hold; move it to the "
            "top of its module"
        )
    if isinstance(value, OF_PROCESS) or name in LOSSY or kind.__module__ in ("_thread", "re"):
        raise PerenneError(f"{place}: a model file cannot hold a {name}; {OUT}")
    if project_code.is_named(name) and name not in trusted:
        raise PerenneError(
            f"{place}: params.yaml: train.trusted: add {name}, after you have read its code: the model file "
            "holds it"
        )


def _parts(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is in a value, each with its place."""
    if isinstance(value, dict):
        yield from ((f"{place}[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, np.ndarray):
        if value.dtype == object:
            yield from ((f"{place}[{number}]", part) for number, part in enumerate(value.flat))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"{place}[{number}]", part) for number, part in enumerate(value))
    elif hasattr(value, "func") and hasattr(value, "keywords"):  # functools.partial
        yield from ((f"{place}.{name}", getattr(value, name)) for name in ("func", "args", "keywords"))
    elif not isinstance(value, type) and not inspect.isroutine(value):
        yield from ((f"{place}.{name}", part) for name, part in getattr(value, "__dict__", {}).items())
