"""JSON, read strictly: whoever wrote the text, what is wrong with it is one line."""

from __future__ import annotations

import json
from typing import Any, Never

from perenne.common.errors import PerenneError

DEEPEST = 100  # what is nested more deeply can be parsed and then not be shown or compared


def loads(text: str | bytes, name: str) -> Any:
    """Parse JSON text; `name` is what an error calls it.

    Raises
    ------
    PerenneError
        If the text is not valid JSON, repeats a key, or is nested too deeply.

    """
    try:
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_none)
    except ValueError as error:
        raise PerenneError(f"{name}: not valid JSON: {error}") from error
    except RecursionError as error:
        raise PerenneError(f"{name}: not valid JSON: nested too deeply") from error
    if _deep(content):
        raise PerenneError(f"{name}: not valid JSON: nested more than {DEEPEST} deep")
    return content


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r:.60} appears twice")
    return content


def _none(constant: str) -> Never:
    raise ValueError(f"{constant} is no number")


def _deep(content: object) -> bool:
    level = [content]
    for _ in range(DEEPEST):
        below: list[object] = []
        for value in level:
            if isinstance(value, dict | list):
                below += value.values() if isinstance(value, dict) else value
        level = below
        if not level:
            return False
    return True
