"""The records that the log stores and returns."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from perenne.common.errors import PerenneError

MAX_ID = 64  # characters of an id
SKEW = timedelta(minutes=5)  # by which a caller's clock may be ahead


class LogUnavailable(PerenneError):  # noqa: N818 -- a state, not a fault
    """The log could not commit, so the rows must not be acknowledged."""


class Entry(NamedTuple):
    """A prediction. `at` is in UTC, `features` is the row as JSON; an id has at most one entry per stage.

    With several classes, `score` is the probability of the predicted one, and `scores` has that of each by
    its name, as JSON.
    """

    id: str
    at: datetime
    stage: str
    version: str
    features: str
    score: float
    scores: str | None = None


class Label(NamedTuple):
    """The outcome of a prediction's row. `id` is the prediction's; `at`: when it became known, in UTC.

    Of several classes it is the class as a text: the contract may list others later, so its place may change.
    """

    id: str
    value: float | str
    at: datetime


class LabelResult(NamedTuple):
    """How many predictions have the label now that was given, and which ids have not.

    `unknown` are ids of no prediction, `superseded` those whose label in the log is known later.
    """

    stored: int
    unknown: list[str]
    superseded: list[str]
