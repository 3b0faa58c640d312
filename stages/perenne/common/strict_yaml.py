"""YAML read as DVC reads it (YAML 1.2), and strictly.

PyYAML alone follows YAML 1.1: `1e-3` is a string, `no` is False, `2013-05-17` is a date, `0123` is 83, and
of two equal keys the last wins silently. Each of these has cost somebody an afternoon. Merge keys are
refused: what they add would be seen by one reader and not by another.

Somebody else may have written the text, a tag's for example: whatever it is, the error is a `PerenneError`.
"""

from __future__ import annotations

import pickle
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from perenne.common.errors import PerenneError

LONGEST = 300  # digits of an integer: no float holds a longer one, and Python cannot print one of 4301
KEPT = 64  # texts that were read: a gate reads the same lock and params some twenty times
MOST = 100_000  # values of a text in which aliases are written out: a few lines can stand for billions


class Loader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2's core schema; a repeated key is an error."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 -- PyYAML's own way to start from none


for tag, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))


def _integer(loader: Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    if len(text) > LONGEST:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.value == "<<" and key_node.style is None:
            raise yaml.MarkedYAMLError(
                problem="a merge key (<<) is not allowed; write out what it adds",
                problem_mark=key_node.start_mark,
            )
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict):
            raise yaml.MarkedYAMLError(
                problem=f"{key!r} is a key; quote a text that begins with [ or {{",
                problem_mark=key_node.start_mark,
            )
        if key in seen:
            raise yaml.MarkedYAMLError(
                problem=f"the key {key!r} appears twice", problem_mark=key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor("tag:yaml.org,2002:int", _integer)
Loader.add_constructor("tag:yaml.org,2002:map", _mapping)

# libyaml reads six times as fast. It differs in rare texts and in its messages, so it reads only what is
# plain: no tabs, anchors, aliases, tags, blocks of text or comments. What it refuses is read again, for the
# message. Of deep nesting it would end the process: so nothing that may be deep is plain.
PLAIN = re.compile(r"[ -~\n]*")
NOT_PLAIN = re.compile(
    r"(?:^|[-:]\s|[,\[{]) *[&*!%@`|>?]|(?:^|\s)#|<<|\\|^---|^\.\.\.|(?:- ){8}|^ {100}", re.MULTILINE
)
MOST_BRACKETS = 200


class QuickLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # found at run time
    """The same by libyaml, where PyYAML was built with it."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers
    yaml_constructors = Loader.yaml_constructors


def loads(text: str, name: str = "<string>") -> Any:
    r"""Parse YAML text; `name` is what an error calls it.

    Raises
    ------
    PerenneError
        If the text is not valid YAML or repeats a key; it names the line where YAML knows it.

    Examples
    --------
    >>> loads("rate: 1e-3\nday: 2013-05-17\nflag: no")
    {'rate': 0.001, 'day': '2013-05-17', 'flag': 'no'}

    """
    try:
        return pickle.loads(_read(text))  # noqa: S301 -- written by `_read`
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise PerenneError(f"{name}{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        # All but the first: a value that does not fit its explicit tag, such as `!!int abc`.
        raise PerenneError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise PerenneError(f"{name}: not valid YAML: nested too deeply") from error


@lru_cache(KEPT)
def _read(text: str) -> bytes:
    """Parse YAML text into a pickle, so that nobody changes the value of the next who reads the same text."""
    if _plain(text):
        try:
            return _parsed(text, QuickLoader)
        except (yaml.YAMLError, ValueError):
            pass  # for the message
    return _parsed(text, Loader)


def _plain(text: str) -> bool:
    brackets = text.count("[") + text.count("{")
    return bool(brackets <= MOST_BRACKETS and PLAIN.fullmatch(text) and not NOT_PLAIN.search(text))


def _parsed(text: str, kind: type[Loader | QuickLoader]) -> bytes:
    loader = kind(text)
    try:
        node = loader.get_single_node()
        if "*" in text and node is not None:
            _bounded(node)
        return pickle.dumps(None if node is None else loader.construct_document(node))
    finally:
        loader.dispose()


def _bounded(node: yaml.Node) -> None:
    if _size(node, {}) > MOST:
        raise ValueError(f"its aliases stand for more than {MOST} values")


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node has, those of its aliases included, each as often as it is named."""
    if id(node) not in known:
        known[id(node)] = 1  # one that contains itself ends here; it is refused later
        if isinstance(node, yaml.SequenceNode):
            known[id(node)] += sum(_size(child, known) for child in node.value)
        elif isinstance(node, yaml.MappingNode):
            known[id(node)] += sum(_size(key, known) + _size(value, known) for key, value in node.value)
    return known[id(node)]


def load(path: Path) -> Any:
    """Parse a YAML file; a missing one or one that is not UTF-8 is a `PerenneError`."""
    try:
        return loads(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise PerenneError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise PerenneError(f"{path}: not UTF-8 at byte {error.start}") from error


class Dumper(yaml.SafeDumper):
    """Quotes what `loads` would read as another type: a hash may look like a number."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if text == "<<" else None)


Dumper.add_representer(str, _text)


def dumps(value: object) -> str:
    """Return a value as YAML text that `loads` reads as the same value; keys keep their order.

    >>> print(dumps({"sha256": "12e34", "as_of": "2013-03-01", "margin": 1e-05}), end="")
    sha256: '12e34'
    as_of: 2013-03-01
    margin: 1.0e-05
    """
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
