"""What the user of `perenne adopt` has said, and how to ask for more."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from perenne.common.periods import Unit

Ask = Callable[[str, Sequence[str], str], str]  # a question, its answers, and the option that gives one


class Wishes(NamedTuple):
    """What the user has said; None: it is to be found out."""

    name: str | None = None
    target: str | None = None
    time: str | None = None
    task: str | None = None
    period: Unit | None = None
    zone: str | None = None
    positive: str | None = None
    dates: tuple[str, ...] = ()
    encoding: str | None = None
    sheet: str | None = None


def plain(name: str) -> str:
    """The name of a column as a screen shows it: no blanks around it, accents in one form."""
    return unicodedata.normalize("NFC", name).strip()
