"""However often a holdout is looked at, no more than its alpha is spent."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from perenne.stats import spending


def test_all_shares_sum_to_one() -> None:
    """Those of the first 10,000 looks, and what the integral says of the rest."""
    looks = 10_000
    spent = sum(spending.share(look) for look in range(1, looks + 1))
    rest = spending.share(1) * (looks + 0.5) ** -1.2 / 1.2
    assert spent < 1
    assert spent + rest == pytest.approx(1, abs=1e-9)


def test_the_first_look_has_two_thirds_and_the_twentieth_some() -> None:
    """Most holdouts are looked at once."""
    shares = [spending.share(look) for look in range(1, 21)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(2 / 3, abs=0.01)
    assert shares[-1] > 1 / 2_000


def test_no_more_is_spent_than_there_is() -> None:
    """A thousand looks in a row, and looks whose numbers were counted wrongly."""
    for numbers in (range(1, 1_001), [1] * 1_000):
        left = 0.05
        for look in numbers:
            spent = spending.alpha(look, 0.05, left)
            assert 0 <= spent <= left
            left -= spent
        assert left >= 0


@pytest.mark.parametrize("left", [0.0, -1e-18, -1.0])
def test_nothing_left_is_nothing(left: float) -> None:
    """Not even after a rounding error."""
    assert spending.alpha(1, 0.05, left) == 0


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_one_of_twenty_looks_errs_with_alpha_at_most(correlation: float) -> None:
    """However the looks depend on each other; looks at all of alpha err more often."""
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, 20))
    looks = math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own
    bars = stats.norm.isf([spending.alpha(look, 0.05, 0.05) for look in range(1, 21)])
    most = stats.binom.ppf(0.999, 20_000, 0.05)
    assert (looks > bars).any(axis=1).sum() <= most
    assert (looks > stats.norm.isf(0.05)).any(axis=1).sum() > most


@pytest.mark.parametrize("look", [0, -1])
def test_there_is_no_look_before_the_first(look: int) -> None:
    """Looks are counted from 1."""
    with pytest.raises(ValueError, match="a look of number 1 or more"):
        spending.share(look)


@pytest.mark.parametrize(("total", "left"), [(0, 0), (1, 0.5), (5, 1), (0.05, 0.06), (0.05, math.nan)])
def test_senseless_budgets_are_refused(total: float, left: float) -> None:
    """Alpha in per cent, more left than there was, or an unknown rest."""
    with pytest.raises(ValueError, match="no more left than that"):
        spending.alpha(1, total, left)
