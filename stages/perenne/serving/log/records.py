"""What the log takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from perenne.common.errors import PerenneError


class LogUnavailable(PerenneError):  # noqa: N818 -- a state, not a fault
    """What was given to the log could not be committed: it may not be acknowledged."""


class Entry(NamedTuple):
    """A prediction. `at` in UTC; `features`: the row as JSON; one id has at most one entry a stage."""

    id: str
    at: datetime
    stage: str
    version: str
    features: str
    score: float


class Label(NamedTuple):
    """The outcome of the row of a prediction, and since when it is known, in UTC."""

    id: str
    value: float
    at: datetime


class LabelResult(NamedTuple):
    """How many labels belong to a prediction, and the ids of those that do not: they are not kept."""

    stored: int
    unknown: list[str]
