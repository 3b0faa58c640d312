"""Decide: the answer, its reasons and the period of the change, from windows as `drift.json` lists them."""

from __future__ import annotations

import pandas as pd
import pytest

from perenne.common.errors import PerenneError
from perenne.common.typed import parse
from perenne.documents.drift import DriftLevel, DriftWindow, StreamState
from perenne.loop.decide import Debounce, Decision, LastAttempt, decide

NOW = pd.Period("2021Q1", freq="Q-DEC")
ROWS = 1_000


def window(
    period: str, evidence: float | None = 0.0, since: str | None = None, *, level: DriftLevel = "none"
) -> DriftWindow:
    """Return a window whose one stream has a share of the evidence that is needed; None: no label yet."""
    streams = []
    if evidence is not None:
        alarm = evidence >= 1
        streams.append(
            StreamState(
                stream="above",
                slice=None,
                alarm=alarm,
                since=(since or period) if alarm else None,
                says="more events than predicted" if alarm else "",
                log_e=10 * evidence,
                value=1.2,
                reference=1.0,
                bound=1.05,
                limit=1.1,
                threshold=10.0,
            )
        )
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
    last = LastAttempt(pd.Period(retrained, freq="Q-DEC")) if retrained else None
    return decide(windows, rule or Debounce(), NOW, last)


def test_nothing_is_said_of_calm_windows() -> None:
    """Windows in which nothing moved call for nothing."""
    found = decided([window("2020Q3"), window("2020Q4"), window("2021Q1", None)])
    assert found == Decision("nothing", ("no drift detected through 2021Q1",))


def test_evidence_on_labels_retrains_and_names_the_change() -> None:
    """The newest window with labels decides; the one without any, which is newer, has no say in it."""
    found = decided([window("2020Q3"), window("2020Q4", 1.5), window("2021Q1", None)])
    assert found.answer == "retrain"
    assert found.since == pd.Period("2020Q4", freq="Q-DEC")
    assert found.reasons == ("more events than predicted, since 2020Q4",)


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
    found = decided([window("2020Q4", 1.5)], Debounce(cool_down=2), retrained)
    assert found.answer == answer
    assert ("before 2021Q2" in found.reasons[-1]) == (answer == "look")


@pytest.mark.parametrize(
    ("last", "answer"),
    [
        (LastAttempt(NOW - 1, lacks=300, since=299, renewed=4), "look"),
        (LastAttempt(NOW - 1, lacks=300, since=300, renewed=4), "retrain"),  # whatever the cool-down
        (LastAttempt(NOW - 3, lacks=300, since=299, renewed=4), "look"),  # whatever the cool-down
        (LastAttempt(NOW - 4, lacks=300, since=299, renewed=4), "retrain"),  # a new holdout altogether
    ],
)
def test_undecided_waits_for_the_blocks_that_it_lacks(last: LastAttempt, answer: str) -> None:
    """It says how many that are, and how many have come."""
    found = decide([window("2020Q4", 1.5)], Debounce(cool_down=2), NOW, last)
    assert found.answer == answer
    assert ("before 300 more blocks have labels" in found.reasons[-1]) == (answer == "look")


def test_change_is_dated_as_the_first_alarm_dates_it() -> None:
    """What comes after does not move the date: a world that gets worse began to be new before that."""
    windows = [window("2020Q2"), window("2020Q3", 1.2, "2020Q2"), window("2020Q4", 2.0, "2020Q4")]
    assert decided(windows).since == pd.Period("2020Q2", freq="Q-DEC")


def test_strongest_stream_dates_the_change() -> None:
    """Of two in alarm, the one with the most evidence beyond what it needs."""
    weak, strong = window("2020Q4", 1.1, "2020Q3"), window("2020Q4", 3.0, "2020Q4")
    both = weak.model_copy(update={"concept": (*weak.concept, *strong.concept)})
    found = decided([both])
    assert found.since == pd.Period("2020Q4", freq="Q-DEC")
    assert len(found.reasons) == 2


def test_more_alarms_than_windows_can_never_be() -> None:
    """Three of two windows is a mistake, and said to be one."""
    with pytest.raises(PerenneError, match="loop: alarms: 3 of 2 windows"):
        parse(Debounce, {"alarms": 3, "windows": 2}, "loop")
