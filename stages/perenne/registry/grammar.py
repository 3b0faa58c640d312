"""GTO's grammar of release tags: the meaning of a tag's name, and the order of versions.

    retirement@v1.2.0       version v1.2.0 is registered, its proof in the tag's message
    retirement@v1.2.0!      it is deregistered
    retirement#prod#7       the version of that commit is assigned to the stage prod
    retirement#prod!#8      it is unassigned
    retirement@deprecated   no version is in any stage, until one is registered again

GTO itself is not imported: that takes half a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

Kind = Literal["register", "deregister", "assign", "unassign", "deprecate"]

NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"  # of a model, or of a stage
NUMBER = r"(?:0|[1-9][0-9]*)"
SHORT = r"(?:0|[1-9][0-9]{0,11})"  # as long as any that somebody counts: there are always greater ones
MARK = rf"(?:{NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
BUILD = r"[0-9a-zA-Z-]+"
SEMVER = rf"{SHORT}\.{SHORT}\.{SHORT}(?:-{MARK}(?:\.{MARK})*)?(?:\+{BUILD}(?:\.{BUILD})*)?"
TAG = re.compile(
    rf"(?P<model>{NAME})"
    rf"(?:(?:@(?P<version>v{SEMVER})|#(?P<stage>{NAME}))(?P<cancel>!?)|@deprecated)"
    r"(?:#(?P<counter>[0-9]{1,12}))?"
)
LONGEST = 250  # characters: as in a file's name; Python cannot print a number of more than 4300 digits
ROOM = 10**11  # whoever counts on goes on from a smaller number: above it there is room for all to come


class Name(NamedTuple):
    """The meaning of a tag's name. `subject` is the version or the stage; `counter` is 0 without one."""

    model: str
    kind: Kind
    subject: str
    counter: int


def parse(tag: str) -> Name | None:
    """Parse the name of a tag; None if it is not of the grammar.

    >>> parse("retirement#prod!#8")
    Name(model='retirement', kind='unassign', subject='prod', counter=8)
    >>> parse("v1.2.0")
    >>> parse(f"retirement#prod#{'9' * 13}")
    """
    match = TAG.fullmatch(tag) if len(tag) <= LONGEST else None
    if not match:
        return None
    kinds: tuple[Kind, Kind] = ("register", "deregister") if match["version"] else ("assign", "unassign")
    subject = match["version"] or match["stage"]
    kind = kinds[bool(match["cancel"])] if subject else "deprecate"
    return Name(match["model"], kind, subject or "", int(match["counter"] or 0))


def taken(ref: str) -> Iterator[Name]:
    """Yield the names that no new tag can have, for Git has one tag: its own, and those above it.

    >>> [name.subject for name in taken("retirement@v1.1.0/x/y")], list(taken("retirement"))
    (['v1.1.0'], [])
    """
    ends = [place for place, letter in enumerate(ref[: LONGEST + 1]) if letter == "/"]
    yield from filter(None, (parse(ref[:end]) for end in (*ends, len(ref))))


def is_name(text: str) -> bool:
    """Return whether a text can be the name of a model or a stage."""
    return re.fullmatch(NAME, text) is not None


@lru_cache(8192)
def precedence(version: str) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
    """Return the sort key of a version, by the precedence of semver.org, pre-releases included.

    >>> sorted(["v1.0.0", "v1.10.0", "v1.9.0", "v1.9.0-rc.10", "v1.9.0-rc.9"], key=precedence)
    ['v1.0.0', 'v1.9.0-rc.9', 'v1.9.0-rc.10', 'v1.9.0', 'v1.10.0']
    """
    core, _, marks = version.removeprefix("v").partition("+")[0].partition("-")
    compared = ((False, int(m), "") if m.isdigit() else (True, 0, m) for m in marks.split(".") if m)
    return tuple(map(int, core.split("."))), not marks, tuple(compared)
