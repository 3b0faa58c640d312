"""YAML means what its author sees, or it is refused in one line that says where."""

from __future__ import annotations

import math
import pickle
import random
import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("+12", 12),
        ("0123", 123),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2013-05-17", "2013-05-17"),
        ("2021Q3", "2021Q3"),
        ("yes", "yes"),
        ("off", "off"),
        ("NO", "NO"),
        ("TRUE", True),
        ("~", None),
        ("", None),
        ("-.INF", -math.inf),
        ("'12'", "12"),
        ("<<", "<<"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    """A value has the type that YAML 1.2 gives it, which is also what DVC sees."""
    found = strict_yaml.loads(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


PLAIN_TEXTS = [
    *(path.read_text(encoding="utf-8") for path in sorted(Path().glob("*.yaml"))),
    *(path.read_text(encoding="utf-8") for path in sorted(Path("data/cases").rglob("*.yaml"))),
    "a:\n- b: 1\n  c: [1, 'x: y', \"z\"]\n- d\n",
    "why: a text that goes on\n  in the next line, with 'quotes'\nb: ''\n",
    "a: {b: 1, c: [~, .5, 1e3]}\n'1': 2\n1: 3\n",
    "a: -1\nb: - 1\n",
    "a: b: c\n",
    "a: [1, 2\n",
    "a:1\n",
    "a:\n  b: 1\n c: 2\n",
    '"a""b": 1\n',
]


@pytest.mark.parametrize("text", PLAIN_TEXTS)
def test_both_readers_agree(text: str) -> None:
    """The quick one reads the project's own files as the slow one does, and refuses what that refuses."""
    plain = re.sub(r"(?m)(^| +)#.*$", "", text)
    found = []
    for loader in (strict_yaml.Loader, strict_yaml.QuickLoader):
        try:
            found.append(pickle.loads(strict_yaml._parsed(plain, loader)))  # noqa: S301 -- our own
        except yaml.YAMLError:
            found.append("refused")
    assert found[0] == found[1]


@pytest.mark.parametrize("seed", range(50))
def test_what_is_written_is_read_by_both(seed: int) -> None:
    """Values of all kinds, nested."""
    rng = random.Random(seed)  # noqa: S311 -- no secret

    def value(depth: int) -> object:
        kind = rng.randrange(6 if depth else 4)
        if kind == 0:
            return rng.choice(
                ["", "x", "a: b", "- c", "it's", "12", "1e3", "no", "~", " pad ", "x" * 200, "a -> b"]
            )
        if kind == 1:
            return rng.randint(-(10**12), 10**12)
        if kind == 2:
            return rng.uniform(-1, 1) * 10.0 ** rng.randint(-20, 20)
        if kind == 3:
            return rng.choice([None, True, False])
        if kind == 4:
            return [value(depth - 1) for _ in range(rng.randint(0, 4))]
        return {str(value(0)): value(depth - 1) for _ in range(rng.randint(0, 4))}

    content = {"a": value(4), "b": value(4)}
    text = strict_yaml.dumps(content)
    for loader in (strict_yaml.Loader, strict_yaml.QuickLoader):
        assert pickle.loads(strict_yaml._parsed(text, loader)) == content  # noqa: S301 -- our own


def test_nan_is_a_number() -> None:
    """The one value that does not equal itself."""
    assert math.isnan(strict_yaml.loads("key: .NAN")["key"])


def test_scalars_may_be_keys() -> None:
    """The weights of classes have integers for keys."""
    assert strict_yaml.loads("class_weight: {0: 1, 1: 5}") == {"class_weight": {0: 1, 1: 5}}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' appears twice"),
        ("a:\n  b: 1\n  b: 2", 3, "the key 'b' appears twice"),
        ("a: {b: 1, b: 1}", 1, "the key 'b' appears twice"),
        ("a: 1\n[b]: 2", 2, "['b'] is a key"),
        ("{{a: 1}: 2}", 1, "{'a': 1} is a key"),
        ("a: 1\n\tb: 2", 2, "cannot start any token"),
        ("a: [1, 2", 1, "expected ',' or ']'"),
        ("a: *b", 1, "undefined alias 'b'"),
        ("a: &a [*a]", 1, "recursive"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("a: &b {c: 1}\nd:\n  <<: *b", 3, "a merge key (<<) is not allowed"),
        ("a: {<<: [{b: 1}]}", 1, "a merge key (<<) is not allowed"),
        ("a: !!python/object/apply:os.system [ls]", 1, "could not determine a constructor"),
    ],
)
def test_what_is_no_yaml_is_named_by_its_line(text: str, line: int, said: str) -> None:
    """A mistake is one line, with the file, the line and what is wrong there."""
    with pytest.raises(PerenneError) as caught:
        strict_yaml.loads(text, "params.yaml")
    assert str(caught.value).startswith(f"params.yaml:{line}: not valid YAML: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a: \x07",
            "a: \x00",
            "a: !!int abc",
            "a: !!timestamp 5",
            "!!map [1]",
            "a: !!bool x",
            "a: !!float ''",
        ),
        *("[" * 3000, "{a: " * 3000, "- " * 3000, "9" * 5000, f"0x{'f' * 5000}"),
        "a: &a [1, 1, 1, 1]\n"
        + "".join(f"{c}: &{c} [*{p}, *{p}, *{p}, *{p}]\n" for p, c in pairwise("abcdefghijkl")),
    ],
)
def test_rarer_mistakes_are_one_line_too(text: str) -> None:
    """Neither PyYAML's own exceptions nor its long messages come through."""
    with pytest.raises(PerenneError, match=r"^f\.yaml: not valid YAML: [^\n]+$"):
        strict_yaml.loads(text, "f.yaml")


DEEP = 60_000
DEEP_TEXTS = {
    "sequences": "- " * DEEP,
    "brackets": "[" * DEEP + "]" * DEEP,
    "braces": "{a: " * DEEP + "1" + "}" * DEEP,
    "mixed": "[{a: " * DEEP + "1" + "}]" * DEEP,
    "lines": "".join(" " * depth + "a:\n" for depth in range(3_000)),
    "dashes in lines": "".join(" " * 2 * depth + "-\n" for depth in range(3_000)),
}


@pytest.mark.parametrize("name", DEEP_TEXTS)
def test_deep_nesting_is_one_line_and_not_the_end_of_the_process(name: str) -> None:
    """However it is written; libyaml's reader would overflow the stack."""
    with pytest.raises(PerenneError, match=r"^f\.yaml(:\d+)?: not valid YAML: [^\n]+$"):
        strict_yaml.loads(DEEP_TEXTS[name], "f.yaml")


def test_text_that_looks_like_a_merge_key_is_quoted() -> None:
    """A key may be called so: what is written can be read again."""
    assert strict_yaml.loads(strict_yaml.dumps({"<<": "<<"})) == {"<<": "<<"}


def test_value_is_nobody_elses() -> None:
    """Whoever changes what was read does not change what the next reads from the same text."""
    first = strict_yaml.loads("a: [1]\nb: &b {c: 1}\nd: *b")
    first["a"].append(2)
    first["b"]["c"] = 2
    assert strict_yaml.loads("a: [1]\nb: &b {c: 1}\nd: *b") == {"a": [1], "b": {"c": 1}, "d": {"c": 1}}


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing file and one in another encoding."""
    path = tmp_path / "params.yaml"
    with pytest.raises(PerenneError, match=r"params\.yaml: no such file"):
        strict_yaml.load(path)
    path.write_bytes("a: é".encode("latin-1"))
    with pytest.raises(PerenneError, match=r"params\.yaml: not UTF-8 at byte 3"):
        strict_yaml.load(path)
