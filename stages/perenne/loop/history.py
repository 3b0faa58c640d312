"""Earlier retrainings, from the notes: a clone that fetches them continues where another one stopped."""

from __future__ import annotations

import math

import pandas as pd

from perenne.common import notes, periods
from perenne.common.periods import Unit
from perenne.documents.decision import Attempt

KIND = "loop"  # of the notes


def attempts(case: str, champion: str) -> list[Attempt]:
    """The retrainings that were to replace a version, oldest first.

    Raises
    ------
    PerenneError
        If a note is not an attempt.

    """
    with notes.mending(KIND, case):
        noted = [Attempt.from_json(line, "an attempt") for line in notes.read(KIND, case)]
    ours = [attempt for attempt in noted if attempt.champion == champion]
    return sorted(ours, key=lambda attempt: (attempt.as_of, attempt.answer))


def of(case: str, champion: str, as_of: str) -> Attempt | None:
    """The retraining against a version with an `as_of`; None if it was not tried."""
    return next((attempt for attempt in attempts(case, champion) if attempt.as_of == as_of), None)


def record(case: str, attempt: Attempt, *, sharing: bool) -> None:
    """Note an attempt, once; with `sharing`, push the notes."""
    line = attempt.to_json()
    if line not in notes.read(KIND, case):
        notes.shared(lambda: notes.append(KIND, case, line), sharing=sharing)
    elif sharing:
        notes.share()


def last(case: str, champion: str, unit: Unit, before: pd.Period) -> tuple[pd.Period, Attempt] | None:
    """The last retraining before a period, and its `as_of`; one of the period itself is resumed instead."""
    tried = [(periods.exact(a.as_of, unit, "the notes: as_of"), a) for a in attempts(case, champion)]
    return max((each for each in tried if each[0] < before), key=lambda each: each[0], default=None)


def lacks(attempt: Attempt) -> float:
    """How many more blocks the gate asked for: the fewest of an undecided candidate; infinity if none."""
    undecided = [line.more_blocks for line in attempt.tried if line.answer == "undecided"]
    return min((more for more in undecided if more), default=math.inf)
