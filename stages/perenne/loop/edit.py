"""Changes values of a YAML file in place; comments, order and layout stay, so the diff is small."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError

Value = str | int


def replaced(text: str, values: Mapping[str, Value], name: str) -> str:
    r"""The text with new scalars at some dotted keys.

    Parameters
    ----------
    text
        A YAML file.
    values
        The new value of each dotted key.
    name
        What an error calls the file.

    Raises
    ------
    PerenneError
        If a key is missing or has no single value, or a value cannot be written there.

    Examples
    --------
    >>> replaced("split: # periods\n  as_of: 2019Q4 # the last\n", {"split.as_of": "2021Q1"}, "params.yaml")
    'split: # periods\n  as_of: 2021Q1 # the last\n'

    """
    known = strict_yaml.loads(text, name)
    for key, value in values.items():
        place = _place(yaml.compose(text, strict_yaml.Loader), key, name)
        if _at(known, key) != value:
            text = text[: place.start_mark.index] + _scalar(value) + text[place.end_mark.index :]
    wrong = [key for key, value in values.items() if _at(strict_yaml.loads(text, name), key) != value]
    if wrong:
        raise PerenneError(f"{name}: {wrong[0]}: {values[wrong[0]]!r} cannot be written there without quotes")
    return text


def _scalar(value: Value) -> str:
    """The value in YAML, in quotes where DVC would take it for a date."""
    return f'"{value}"' if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)) else str(value)


def _place(node: yaml.Node | None, key: str, name: str) -> yaml.ScalarNode:
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
