"""What a newcomer relies on: one name for one thing, and types on what is passed from room to room."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.project import ROOT

LIBRARY = ROOT / "stages" / "perenne"
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if "migrations" not in path.parts)

# In these rooms a module is named after its subject, so the same name stands once in each of them.
BY_SUBJECT = {"documents", "pages", "pipeline"}
# One in every room that has commands, settings or costs of its own.
IN_EVERY_ROOM = {"__init__", "commands", "settings", "costs"}
MOST_UNTYPED = 30
UNTYPED = re.compile(r"(?:dict|Mapping)\[str, Any\]")


def test_no_two_classes_have_one_name() -> None:
    """A name that stands in an error or a review can be searched for, and one class is found."""
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(LIBRARY)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_two_modules_have_one_name() -> None:
    """Outside the rooms whose modules are named after their subject."""
    places = defaultdict(list)
    for path in MODULES:
        room = path.relative_to(LIBRARY).parts[0]
        if room not in BY_SUBJECT and path.stem not in IN_EVERY_ROOM:
            places[path.stem].append(str(path.relative_to(LIBRARY)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def untyped() -> list[tuple[Path, int, str]]:
    """Return file, place and text of every line that speaks of an untyped dictionary."""
    return [
        (path, number, line)
        for path in MODULES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines())
        if UNTYPED.search(line)
    ]


def test_untyped_dictionaries_are_few() -> None:
    """What is passed from room to room has a type; what remains holds what anybody may have written."""
    assert len(untyped()) <= MOST_UNTYPED


def test_each_untyped_dictionary_has_its_reason() -> None:
    """In a comment on its line or on one of the two above, or in the docstring of its function."""
    bare = []
    for path, number, line in untyped():
        lines = path.read_text(encoding="utf-8").splitlines()
        above = lines[max(number - 2, 0) : number]
        if not any("#" in text for text in (*above, line)) and '"""' not in lines[number + 1]:
            bare.append(f"{path.relative_to(ROOT)}:{number + 1}")
    assert bare == []
