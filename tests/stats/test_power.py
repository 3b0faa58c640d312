"""How long it takes to see a rise is foretold, near enough to plan by."""

import math

import numpy as np
import pytest

from perenne.stats.metrics import Array
from perenne.stats.power import increments_until_seen, tilt
from perenne.stats.sequential import State, gains, refer, update

ERRORS = (np.arange(20_000) % 5 == 0).astype(np.float64)
REFERENCE = refer(ERRORS, low=0, high=1)


def waits(rate: float, alpha: float) -> list[float]:
    """Return how long 100 streams of this error rate take to be seen."""
    rng = np.random.default_rng(1)
    streams = (gains(rng.random(20_000) < rate, REFERENCE) for _ in range(100))
    alarms = [update(State(), stream, alpha=alpha).alarm for stream in streams]
    return [math.inf if alarm is None else alarm + 1 for alarm in alarms]


@pytest.mark.parametrize("alpha", [1e-4, 1e-6])
@pytest.mark.parametrize("rate", [0.22, 0.25, 0.3, 0.4])
def test_foretold_within_a_factor(rate: float, alpha: float) -> None:
    """Simulated medians are 0.7 to 1.4 times what is foretold."""
    foretold = increments_until_seen(ERRORS, rate - 0.2, REFERENCE, alpha=alpha)
    assert 0.7 < np.median(waits(rate, alpha)) / foretold < 1.4


def test_larger_rises_are_seen_sooner_and_less_alarm_later() -> None:
    """As they should."""
    rises = [increments_until_seen(ERRORS, rise, REFERENCE, alpha=1e-4) for rise in (0.02, 0.05, 0.2, 0.7)]
    assert rises == sorted(rises, reverse=True)
    alphas = [increments_until_seen(ERRORS, 0.05, REFERENCE, alpha=10.0**-k) for k in (3, 4, 8)]
    assert alphas == sorted(alphas)


@pytest.mark.parametrize("rise", [0.004, 0.8, 3.0])
def test_what_cannot_be_seen_takes_forever(rise: float) -> None:
    """A rise within the bound's margin, and one to a mean that increments do not reach."""
    assert increments_until_seen(ERRORS, rise, REFERENCE, alpha=1e-4) == math.inf


@pytest.mark.parametrize(("rise", "alpha"), [(0, 0.1), (-0.1, 0.1), (math.nan, 0.1), (0.1, 0), (0.1, 1)])
def test_senseless_questions_are_refused(rise: float, alpha: float) -> None:
    """There is no waiting for a rise that is none."""
    with pytest.raises(ValueError, match="expected a rise above 0 and alpha in"):
        increments_until_seen(ERRORS, rise, REFERENCE, alpha=alpha)


@pytest.mark.parametrize("mean", [0.21, 0.5, 0.999])
def test_tilted_errors_are_errors(mean: float) -> None:
    """The nearest distribution with a risen error rate is that error rate."""
    weights = tilt(ERRORS, mean)
    assert weights is not None
    assert weights[ERRORS == 1].sum() == pytest.approx(mean)
    assert np.ptp(weights[ERRORS == 0]) == 0


def test_tilted_losses_have_the_mean() -> None:
    """In any unit, and weights sum to 1, rising with the loss."""
    losses: Array = np.sort(1e6 * np.random.default_rng(1).exponential(size=1_000))
    weights = tilt(losses, 3e6)
    assert weights is not None
    assert (weights.sum(), weights @ losses) == pytest.approx((1, 3e6))
    assert (np.diff(weights) >= 0).all()
