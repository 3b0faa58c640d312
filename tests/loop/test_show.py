"""The texts of the loop: what is estimated of a batch without labels is said, and only then."""

from __future__ import annotations

import pytest

from perenne.documents.decision import DecisionWindow, MonitorDecision, MonitoredVersion
from perenne.documents.drift import EstimatedMetric, EstimatedPerformance, ReferenceSpan, StreamState
from perenne.loop import show
from tests import tiny

LOSS = EstimatedMetric(metric="log_loss", estimate=0.2312, low=0.22, high=0.242)
STREAM = StreamState(
    stream="above",
    slice=None,
    reference=1.0,
    bound=1.05,
    limit=1.1,
    value=1.0,
    log_e=0.0,
    threshold=5.0,
    alarm=False,
    since=None,
    says="",
)


def decision(estimated: EstimatedPerformance | None, *streams: StreamState) -> MonitorDecision:
    """Return a decision that rests on one batch."""
    window = DecisionWindow(
        period="2021-05",
        rows=20,
        matured=0,
        level="none",
        reasons=(),
        predictions={},
        moved=(),
        concept=streams,
        estimated=estimated,
    )
    return MonitorDecision(
        case="tiny",
        champion=MonitoredVersion(version="v1.0.0", commit="c0ffee", sha256="0", as_of="2021-02"),
        through="2021-05",
        rule={},
        drift=tiny.params().drift,
        retrained=None,
        answer="nothing",
        reasons=("no drift detected through 2021-05",),
        since=None,
        candidates=(),
        wait_for=None,
        reference=ReferenceSpan(first="2021-01", last="2021-02", rows=40),
        windows=(window,),
        slices=(),
    )


def test_estimate_of_the_latest_batch_is_said() -> None:
    """In a line of its own, with its interval."""
    first, second = show.headline(decision(EstimatedPerformance(outside=0, metrics=(LOSS,)))).splitlines()
    assert first == "tiny: nothing: no drift detected through 2021-05"
    assert second == "  estimated without labels for 2021-05: log_loss 0.231 (0.22 to 0.242)"


@pytest.mark.parametrize(
    "quiet",
    [
        decision(None),
        decision(EstimatedPerformance(outside=0.3)),
        decision(EstimatedPerformance(outside=0, metrics=(LOSS,)), STREAM),
    ],
    ids=["not estimated", "outside of validation", "labels have come"],
)
def test_without_an_estimate_the_headline_is_one_line(quiet: MonitorDecision) -> None:
    """There is none, or labels say more than it does."""
    assert len(show.headline(quiet).splitlines()) == 1
