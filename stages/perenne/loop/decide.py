"""What to do about the drift found so far: nothing, look, or retrain, and since when. No I/O, no state.

A decision is based on windows, one per batch, as `drift.json` lists them under `batches`. To retrain, the
latest window with labels must show that the model is wrong, and so must enough of those just before it. An
alarm of the drift stage stays until a retraining; here the evidence as it stands in each window counts.
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

TINY = 1e-12  # of a reference that never varied


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


class Decision(NamedTuple):
    """The answer with its reasons; `since` is the first period after the change, if one was detected."""

    answer: MonitorAnswer
    reasons: tuple[str, ...]
    since: pd.Period | None = None


def decide(
    windows: Sequence[DriftWindow], rule: Debounce, now: pd.Period, retrained: pd.Period | None = None
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
    retrained
        The `as_of` of the last retraining that was tried, released or not.

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
        reasons = tuple(reason(stream, since) for stream in alarmed(latest[-1]))
        if retrained is not None and (now - retrained).n < rule.cool_down:
            first = retrained + rule.cool_down
            wait = f"but there is no retraining before {first}: the last one was in {retrained}"
            return Decision("look", (*reasons, wait), since)
        return Decision("retrain", reasons, since)
    moved = [window for window in windows[-rule.windows :] if window.level != "none"]
    if moved and moved[-1] is windows[-1] and len(moved) >= rule.alarms:
        return Decision("look", moved[-1].reasons)
    return Decision("nothing", (f"no drift detected through {now}",))


def alarmed(window: DriftWindow) -> list[StreamState]:
    """The streams of a window whose evidence has reached the threshold there; the strongest first."""
    enough = [stream for stream in window.concept if stream.log_e >= stream.threshold]
    return sorted(enough, key=lambda stream: stream.threshold - stream.log_e)


def reason(stream: StreamState, since: pd.Period | None) -> str:
    """A stream's alarm as a sentence."""
    value = math.nan if stream.value is None else stream.value
    return f"{stream.stream}: {value:.4g} instead of {stream.reference:.4g}, since {since}"


def dated(windows: Sequence[DriftWindow], now: pd.Period) -> pd.Period | None:
    """The period in which the change began, from the windows up to the first that raised the alarm.

    It is the start from which the streams that raised the alarm differ most from the reference: the one with
    the largest sum of n * (mean - reference)^2, the likelihood ratio of a change of the mean. It is taken
    over whole periods, because the order of rows within a period means nothing. The detector's own date may
    lie in the last rows of the period before. Windows after the alarm do not change the date.

    Parameters
    ----------
    windows
        Those with labels, oldest first.
    now
        A period of the same frequency.

    Returns
    -------
    The period; None if no window raised the alarm.

    References
    ----------
    Hinkley 1970, Inference about the change-point in a sequence of random variables, Biometrika 57.

    """
    first = next((place for place, window in enumerate(windows) if alarmed(window)), None)
    if first is None:
        return None
    streams = [stream.stream for stream in alarmed(windows[first])]
    seen, excess, best, began = 0, dict.fromkeys(streams, 0.0), 0.0, windows[first].period
    for window in reversed(windows[: first + 1]):
        seen += window.matured
        for stream in window.concept:
            if stream.stream in streams and stream.value is not None:
                width = max(stream.bound - stream.reference, TINY)
                excess[stream.stream] += window.matured * (stream.value - stream.reference) / width
        ratio = sum(max(total, 0.0) ** 2 for total in excess.values()) / max(seen, 1)
        if ratio > best:
            best, began = ratio, window.period
    return pd.Period(began, freq=now.freqstr)
