"""Changes values of a YAML file in place; comments, order and layout stay, so the diff is small."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError

Value = str | int | None
LONGEST = 10**6  # characters of a line: a value is never broken into several


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


def placed(text: str, values: Mapping[str, object], name: str) -> str:
    r"""The text with new values of any kind at some dotted keys; keys that are missing are added.

    Parameters
    ----------
    text
        A YAML file.
    values
        The new value of each dotted key. A list or a mapping takes the place of what stood there, with the
        comments in it.
    name
        What an error calls the file.

    Raises
    ------
    PerenneError
        If a key is below a single value, or a value cannot be written there.

    Examples
    --------
    >>> print(placed("train:\n  rate: 0.1 # slow\n", {"train.rate": 1e-05}, "x"), end="")
    train:
      rate: 1.0e-05 # slow
    >>> placed("train: {params: {}}\n", {"train.params.rate": 0.2, "train.params.deep": True}, "x")
    'train: {params: {rate: 0.2, deep: true}}\n'

    """
    known = strict_yaml.loads(text, name)
    for key, value in values.items():
        if not (_has(known, key) and _same(_at(known, key), value)):
            text = _put(text, key.split("."), value, name)
            known = strict_yaml.loads(text, name)
        if not _same(_at(known, key), value):
            raise PerenneError(f"{name}: {key}: {value!r:.60} cannot be written there")
    return text


def _same(one: object, other: object) -> bool:
    """Whether two values are written alike: 1, 1.0 and true are equal in Python."""
    return strict_yaml.dumps(one) == strict_yaml.dumps(other)


def _put(text: str, steps: list[str], value: object, name: str) -> str:
    """The text with one value at the key of these steps."""
    node: yaml.Node | None = yaml.compose(text, strict_yaml.Loader)
    for place, step in enumerate(steps):
        if not isinstance(node, yaml.MappingNode):
            raise PerenneError(f"{name}: {'.'.join(steps[:place])}: found a single value, expected a mapping")
        found = next((below for key, below in node.value if key.value == step), None)
        if found is None:
            for missing in reversed(steps[place + 1 :]):
                value = {missing: value}
            return _with_pair(text, node, step, value)
        node = found
    assert node is not None, "a key has one step at least"  # noqa: S101 -- for types
    start, end = node.start_mark.index, _end(node)
    return text[:start] + _written(value, node) + text[end:]


def _with_pair(text: str, node: yaml.MappingNode, step: str, value: object) -> str:
    """The text with a pair behind the last one of a mapping: in its braces, or on a line of its own."""
    pair = f"{_flow(step)}: {_flow(value)}"
    if node.flow_style:
        at = _end(node.value[-1][1]) if node.value else node.start_mark.index + 1
        return f"{text[:at]}{', ' if node.value else ''}{pair}{text[at:]}"
    end = text.find("\n", _end(node))
    end = len(text) if end < 0 else end
    return f"{text[:end]}\n{' ' * node.start_mark.column}{pair}{text[end:]}"


def _end(node: yaml.Node) -> int:
    """Where a node ends: YAML lets a block reach to the next key, over blank lines and comments."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _written(value: object, node: yaml.Node) -> str:
    """A value as text, in lines where a mapping of lines stood."""
    if isinstance(value, dict) and value and isinstance(node, yaml.MappingNode) and not node.flow_style:
        lines = [f"{_flow(key)}: {_flow(below)}" for key, below in value.items()]
        return f"\n{' ' * node.start_mark.column}".join(lines)
    return _flow(value)


def _flow(value: object) -> str:
    """A value on one line, in quotes where DVC would take it for a date."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return f'"{value}"'
    text = yaml.dump(
        *(value, None, strict_yaml.Dumper),
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=LONGEST,
    )
    return text.removesuffix("\n").removesuffix("\n...")


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
