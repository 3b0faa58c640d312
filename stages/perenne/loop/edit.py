"""Changes values of a YAML file in place; comments, order and layout stay, so the diff is small."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError

Value = str | int | None


def replaced(text: str, values: Mapping[str, Value], name: str) -> str:
    r"""The text with new scalars at some dotted keys.

    Parameters
    ----------
    text
        A YAML file.
    values
        The new value of each dotted key, None for null. One that is missing is added behind the key before it
        here, if that is of the same section; a missing one is null already.
    name
        What an error calls the file.

    Raises
    ------
    PerenneError
        If a key has no single value or is missing and cannot be added, or a value cannot be written there.

    Examples
    --------
    >>> replaced("split: # periods\n  as_of: 2019Q4 # the last\n", {"split.as_of": "2021Q1"}, "params.yaml")
    'split: # periods\n  as_of: 2021Q1 # the last\n'
    >>> replaced("split: # periods\n  gap: 1 # of them\n", {"split.gap": 1, "split.more": 2}, "params.yaml")
    'split: # periods\n  gap: 1 # of them\n  more: 2\n'

    """
    known = strict_yaml.loads(text, name)
    before = ""
    for key, value in values.items():
        if value is None and _at(known, key) is None:
            continue
        if not _has(known, key) and _section(before) == _section(key):
            text = _added(text, _place(text, before, name), key, value)
        elif _at(known, key) != value:
            place = _place(text, key, name)
            text = text[: place.start_mark.index] + _scalar(value) + text[place.end_mark.index :]
        before = key
    now = strict_yaml.loads(text, name)
    wrong = [key for key, value in values.items() if _at(now, key) != value]
    if wrong:
        raise PerenneError(f"{name}: {wrong[0]}: {values[wrong[0]]!r} cannot be written there without quotes")
    return text


def _scalar(value: Value) -> str:
    """The value in YAML, in quotes where DVC would take it for a date."""
    if value is None:
        return "null"
    return f'"{value}"' if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)) else str(value)


def _has(tree: object, key: str) -> bool:
    """Whether there is such a key, even one without a value."""
    section, _, last = key.rpartition(".")
    within = _at(tree, section) if section else tree
    return isinstance(within, dict) and last in within


def _section(key: str) -> str:
    return key.rpartition(".")[0]


def _added(text: str, before: yaml.ScalarNode, key: str, value: Value) -> str:
    """The text with a key behind a value of its section: on a line of its own, or in the same braces."""
    pair = f"{key.rpartition('.')[2]}: {_scalar(value)}"
    start, end = text.rfind("\n", 0, before.start_mark.index) + 1, before.end_mark.index
    line = text[start : before.start_mark.index]
    if "{" in line:
        return f"{text[:end]}, {pair}{text[end:]}"
    indent = line[: len(line) - len(line.lstrip())]
    at = text.find("\n", end)
    at = len(text) if at < 0 else at
    return f"{text[:at]}\n{indent}{pair}{text[at:]}"


def _place(text: str, key: str, name: str) -> yaml.ScalarNode:
    node = yaml.compose(text, strict_yaml.Loader)
    for step in key.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for k, value in pairs if k.value == step), None)
    if not isinstance(node, yaml.ScalarNode):
        raise PerenneError(f"{name}: {key}: missing, or no single value")
    return node


def _at(tree: object, key: str) -> object:
    for step in key.split("."):
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree
