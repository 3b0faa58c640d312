"""What the loop has tried before, from the notes: a clone that fetches them goes on where another stopped."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from perenne.common import notes, periods
from perenne.common.periods import Unit

KIND = "loop"  # of the notes


class Attempt(NamedTuple):
    """A retraining that was tried: against which version, with which `as_of`, and what the gate said."""

    champion: str
    as_of: str
    answer: str
    tried: tuple[dict[str, Any], ...]  # each candidate with its verdict in a line


def attempts(case: str, champion: str) -> list[Attempt]:
    """The retrainings that were to replace a version, oldest first."""
    lines = [line for line in notes.read(KIND, case) if line["champion"] == champion]
    found = [Attempt(champion, line["as_of"], line["answer"], tuple(line["tried"])) for line in lines]
    return sorted(found, key=lambda attempt: (attempt.as_of, attempt.answer))


def of(case: str, champion: str, as_of: str) -> Attempt | None:
    """What came of a retraining, if it was tried."""
    return next((attempt for attempt in attempts(case, champion) if attempt.as_of == as_of), None)


def record(case: str, attempt: Attempt, *, sharing: bool) -> None:
    """Write an attempt down; one that is known already stays one."""
    line = attempt._asdict() | {"tried": list(attempt.tried)}
    if line not in notes.read(KIND, case):
        notes.shared(lambda: notes.append(KIND, case, line), sharing=sharing)
    elif sharing:
        notes.share()


def last(case: str, champion: str, unit: Unit, before: pd.Period) -> pd.Period | None:
    """The `as_of` of the last retraining before a period; that of the period itself can be gone on with."""
    tried = (periods.parse(a.as_of, unit, "the notes: as_of") for a in attempts(case, champion))
    return max((as_of for as_of in tried if as_of < before), default=None)
