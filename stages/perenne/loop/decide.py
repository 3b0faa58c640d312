"""What to do about the drift answers so far: nothing, look, or retrain, and since when. No I/O, no state.

A decision is taken on windows, one a batch, as `drift.json` lists them under `batches`. The latest window
with labels must speak for a retraining, and with it enough of those just before. An alarm of the drift stage
stays until a retraining; what counts here is the evidence as it stands in each window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd
from pydantic import Field, PositiveInt, model_validator

from perenne.common.typed import Model

Answer = Literal["nothing", "look", "retrain"]
Window = Mapping[str, Any]  # a batch of `drift.json`

TINY = 1e-12  # of a reference that never varied


class Debounce(Model):
    """How many of the latest windows must say the same, and how long a retraining is given to show."""

    alarms: PositiveInt = 1  # n: the detectors on labels keep their own false alarms rare
    windows: PositiveInt = 1  # m
    cool_down: int = Field(default=2, ge=0)  # periods after a retraining in which none is decided

    @model_validator(mode="after")
    def _consistent(self) -> Debounce:
        if self.alarms > self.windows:
            raise ValueError(f"alarms: {self.alarms} of {self.windows} windows can never be; at most windows")
        return self


class Decision(NamedTuple):
    """The answer with its reasons; `since`: the first period of the new world, where one is seen."""

    answer: Answer
    reasons: tuple[str, ...]
    since: pd.Period | None = None


def decide(
    windows: Sequence[Window], rule: Debounce, now: pd.Period, retrained: pd.Period | None = None
) -> Decision:
    """Decide on the windows after the champion's `as_of`, oldest first.

    Parameters
    ----------
    windows
        Each with `period`, `level`, `reasons`, and in `concept` its streams, empty while labels are missing.
    rule
        How patient to be.
    now
        The newest period that has come in.
    retrained
        The `as_of` of the last retraining that was tried, released or not.

    """
    labelled = [window for window in windows if window["concept"]]
    latest = labelled[-rule.windows :]
    wrong = [window for window in latest if alarmed(window)]
    if wrong and wrong[-1] is latest[-1] and len(wrong) >= rule.alarms:
        since = dated(labelled, now)
        reasons = tuple(reason(stream, since) for stream in alarmed(latest[-1]))
        if retrained is not None and (now - retrained).n < rule.cool_down:
            wait = (
                f"but nothing is retrained before {retrained + rule.cool_down}: the last was in {retrained}"
            )
            return Decision("look", (*reasons, wait), since)
        return Decision("retrain", reasons, since)
    moved = [window for window in windows[-rule.windows :] if window["level"] != "none"]
    if moved and moved[-1] is windows[-1] and len(moved) >= rule.alarms:
        return Decision("look", tuple(moved[-1]["reasons"]))
    return Decision("nothing", (f"nothing has changed up to {now}",))


def alarmed(window: Window) -> list[Mapping[str, Any]]:
    """The streams of a window whose evidence, as it stands there, is enough; the strongest first."""
    found = [stream for stream in window["concept"] if stream["log_e"] >= stream["threshold"]]
    return sorted(found, key=lambda stream: stream["threshold"] - stream["log_e"])


def reason(stream: Mapping[str, Any], since: pd.Period | None) -> str:
    """A stream's alarm in words."""
    return f"{stream['stream']}: {stream['value']:.4g} instead of {stream['reference']:.4g}, since {since}"


def dated(windows: Sequence[Window], now: pd.Period) -> pd.Period | None:
    """The period that the change began in, from the windows up to the first that raised the alarm.

    The start after which the streams that alarmed are most unlike the reference: the largest sum of
    n * (mean - reference)^2, the likelihood ratio of a change of the mean (Hinkley 1970, Biometrika 57). Over
    whole periods: within one, the order of the rows says nothing, and the detector's own luckiest bettor may
    have begun with the last rows of the period before. What came after the alarm does not move the date.
    """
    first = next((place for place, window in enumerate(windows) if alarmed(window)), None)
    if first is None:
        return None
    streams = [stream["stream"] for stream in alarmed(windows[first])]
    seen, excess, best, began = 0, dict.fromkeys(streams, 0.0), 0.0, windows[first]["period"]
    for window in reversed(windows[: first + 1]):
        seen += window["matured"]
        for stream in window["concept"]:
            if stream["stream"] in streams and stream["value"] is not None:
                width = max(stream["bound"] - stream["reference"], TINY)
                excess[stream["stream"]] += (
                    window["matured"] * (stream["value"] - stream["reference"]) / width
                )
        ratio = sum(max(total, 0.0) ** 2 for total in excess.values()) / max(seen, 1)
        if ratio > best:
            best, began = ratio, window["period"]
    return pd.Period(began, freq=now.freqstr)
