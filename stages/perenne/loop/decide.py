"""What to do about the drift found so far: nothing, look, or retrain, and since when. No I/O, no state.

A decision is based on windows, one per batch, as `drift.json` lists them under `batches`. To retrain, the
latest window with labels must show that the model is wrong, and so must enough of those just before it. The
advice of the drift stage stays until a retraining; here each window counts as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from pydantic import Field, PositiveInt, model_validator

from perenne.common.typed import Model
from perenne.documents.decision import MonitorAnswer
from perenne.documents.drift import DriftWindow, StreamState


class Debounce(Model):
    """How many of the latest windows must agree, and how long to wait after a retraining."""

    alarms: PositiveInt = 1  # n: 1 is enough, as the detectors on labels rarely raise false alarms
    windows: PositiveInt = 1  # m
    cool_down: int = Field(default=2, ge=0)  # periods after a retraining without another one

    @model_validator(mode="after")
    def _consistent(self) -> Debounce:
        if self.alarms > self.windows:
            raise ValueError(
                f"alarms: {self.alarms} of {self.windows} windows is impossible; at most windows"
            )
        return self


class LastAttempt(NamedTuple):
    """The retraining that was tried last, released or not.

    Parameters
    ----------
    as_of
        The last period that it knew.
    lacks
        How many more blocks the gate asked for; infinity if no number was named.
    since
        How many blocks have got labels since then.
    renewed
        In how many periods nothing is left of what it was measured on: waiting longer brings no more blocks.

    """

    as_of: pd.Period
    lacks: float = math.inf
    since: int = 0
    renewed: int = 0

    def waits(self, now: pd.Period, cool_down: int) -> str:
        """Why there is no retraining yet; empty if there may be one."""
        passed = (now - self.as_of).n
        if math.isinf(self.lacks):
            first = self.as_of + cool_down
            return f"before {first}: the last one was in {self.as_of}" if passed < cool_down else ""
        if self.since >= self.lacks or passed >= self.renewed:
            return ""
        return (
            f"before {self.lacks:,.0f} more blocks have labels, or {self.as_of + self.renewed}: "
            f"{self.since:,} have since {self.as_of}"
        )


class Decision(NamedTuple):
    """The answer with its reasons; `since` is the first period after the change, if one was detected."""

    answer: MonitorAnswer
    reasons: tuple[str, ...]
    since: pd.Period | None = None


def decide(
    windows: Sequence[DriftWindow], rule: Debounce, now: pd.Period, last: LastAttempt | None = None
) -> Decision:
    """Decide on the windows after the champion's `as_of`, oldest first.

    Parameters
    ----------
    windows
        Their `concept` is empty as long as labels are missing.
    rule
        How patient to be.
    now
        The newest period.
    last
        The retraining that was tried last. After an undecided one as many blocks are waited for as it lacked.

    Returns
    -------
    `retrain` or `look` because of labels, with the date of the change; `look` because of features; or
    `nothing`.

    """
    labelled = [window for window in windows if window.concept]
    latest = labelled[-rule.windows :]
    wrong = [window for window in latest if alarmed(window)]
    if wrong and wrong[-1] is latest[-1] and len(wrong) >= rule.alarms:
        since = dated(labelled, now)
        reasons = tuple(f"{stream.says}, since {stream.since}" for stream in alarmed(latest[-1]))
        if last and (wait := last.waits(now, rule.cool_down)):
            return Decision("look", (*reasons, f"but there is no retraining {wait}"), since)
        return Decision("retrain", reasons, since)
    moved = [window for window in windows[-rule.windows :] if window.level != "none"]
    if moved and moved[-1] is windows[-1] and len(moved) >= rule.alarms:
        return Decision("look", moved[-1].reasons)
    return Decision("nothing", (f"no drift detected through {now}",))


def alarmed(window: DriftWindow) -> list[StreamState]:
    """The streams of a window that are in alarm there; the one with the most evidence beyond need first."""
    return sorted((s for s in window.concept if s.alarm), key=lambda s: s.threshold - s.log_e)


def dated(windows: Sequence[DriftWindow], now: pd.Period) -> pd.Period | None:
    """The period in which the change began, by the strongest stream of the first window in alarm.

    Windows after the alarm do not change the date.

    Parameters
    ----------
    windows
        Those with labels, oldest first.
    now
        A period of the same frequency.

    Returns
    -------
    The period; None if no window is in alarm.

    """
    for window in windows:
        for stream in alarmed(window)[:1]:
            return None if stream.since is None else pd.Period(stream.since, freq=now.freqstr)
    return None
