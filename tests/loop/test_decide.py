"""Decide: the answer, its reasons and the period of the change, from windows as `drift.json` lists them."""

from __future__ import annotations

import pandas as pd
import pytest

from perenne.common.errors import PerenneError
from perenne.common.typed import parse
from perenne.documents.drift import DriftLevel, DriftWindow, StreamState
from perenne.loop.decide import Debounce, Decision, decide

NOW = pd.Period("2021Q1", freq="Q-DEC")
ROWS = 1_000


def window(
    period: str, evidence: float | None = 0.0, value: float = 0.10, *, level: DriftLevel = "none"
) -> DriftWindow:
    """Return a window whose one stream has a share of the evidence that is needed; None: no label yet."""
    streams = []
    if evidence is not None:
        figures = {"value": value, "reference": 0.1, "bound": 0.11, "log_e": 10 * evidence, "threshold": 10.0}
        streams.append(StreamState(stream="loss", alarm=False, since=None, **figures))
    return DriftWindow(
        period=period,
        level=level,
        reasons=("age has moved",) if level == "look" else (),
        matured=0 if evidence is None else ROWS,
        concept=tuple(streams),
    )


def decided(
    windows: list[DriftWindow], rule: Debounce | None = None, retrained: str | None = None
) -> Decision:
    """Return the decision on some windows, by default on a single one."""
    return decide(windows, rule or Debounce(), NOW, pd.Period(retrained, freq="Q-DEC") if retrained else None)


def test_nothing_is_said_of_calm_windows() -> None:
    """Windows in which nothing moved call for nothing."""
    found = decided([window("2020Q3"), window("2020Q4"), window("2021Q1", None)])
    assert found == Decision("nothing", ("no drift detected through 2021Q1",))


def test_evidence_on_labels_retrains_and_names_the_change() -> None:
    """The newest window with labels decides; the one without any, which is newer, has no say in it."""
    found = decided([window("2020Q3"), window("2020Q4", 1.5, 0.2), window("2021Q1", None)])
    assert found.answer == "retrain"
    assert found.since == pd.Period("2020Q4", freq="Q-DEC")
    assert found.reasons == ("loss: 0.2 instead of 0.1, since 2020Q4",)


def test_moved_columns_say_look_at_most() -> None:
    """Columns that moved in the newest window say look, with the reasons of that window."""
    found = decided([window("2020Q4"), window("2021Q1", None, level="look")])
    assert found == Decision("look", ("age has moved",))


@pytest.mark.parametrize(
    ("evidence", "answer"),
    [
        ((0.0, 0.0, 1.2), "nothing"),  # one of three
        ((1.2, 0.0, 1.2), "retrain"),
        ((1.2, 1.2, 0.0), "nothing"),  # not the latest
        ((0.0, 1.2, 1.2), "retrain"),
    ],
)
def test_two_of_three_windows_including_the_latest(evidence: tuple[float, ...], answer: str) -> None:
    """Evidence that fades is no alarm, nor is one that stands alone."""
    quarters = ("2020Q2", "2020Q3", "2020Q4")
    windows = [window(quarter, share) for quarter, share in zip(quarters, evidence, strict=True)]
    assert decided(windows, Debounce(alarms=2, windows=3)).answer == answer


@pytest.mark.parametrize(("retrained", "answer"), [("2020Q4", "look"), ("2020Q3", "retrain")])
def test_a_retraining_is_given_time(retrained: str, answer: str) -> None:
    """Within the cool-down an alarm is shown and not acted on; it says until when."""
    found = decided([window("2020Q4", 1.5, 0.2)], Debounce(cool_down=2), retrained)
    assert found.answer == answer
    assert ("before 2021Q2" in found.reasons[-1]) == (answer == "look")


def test_change_is_dated_to_where_the_new_world_is_most_unlike_the_reference() -> None:
    """A window a little above the reference does not begin it; one that is as bad as the last does."""
    values = {"2020Q1": 0.115, "2020Q2": 0.09, "2020Q3": 0.18, "2020Q4": 0.2}
    windows = [window(quarter, 1.5 * (quarter == "2020Q4"), value) for quarter, value in values.items()]
    assert decided(windows).since == pd.Period("2020Q3", freq="Q-DEC")


def test_what_comes_after_the_alarm_does_not_move_the_date() -> None:
    """A world that goes on to get worse began to be new when the alarm was raised."""
    values = {"2019Q4": 0.1, "2020Q1": 0.13, "2020Q2": 0.3, "2020Q3": 0.6}
    windows = [window(quarter, 1.5 * (quarter > "2019Q4"), value) for quarter, value in values.items()]
    assert decided(windows).since == pd.Period("2020Q1", freq="Q-DEC")


def test_more_alarms_than_windows_can_never_be() -> None:
    """Three of two windows is a mistake, and said to be one."""
    with pytest.raises(PerenneError, match="loop: alarms: 3 of 2 windows"):
        parse(Debounce, {"alarms": 3, "windows": 2}, "loop")
