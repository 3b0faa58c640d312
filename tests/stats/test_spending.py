"""However often a holdout is looked at, no more than its alpha is spent."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from perenne.stats import spending


def test_all_shares_sum_to_one() -> None:
    """Those of the first looks, and what is left after them."""
    spent = sum(spending.share(look) for look in range(1, 41))
    assert spent < 1
    assert spent + spending.share(40) == 1


def test_a_look_spends_no_less_than_all_later_ones() -> None:
    """Else a model that deserves to pass, in half of the cases, would be a bit that nobody has paid for."""
    for look in range(1, 40):
        assert spending.share(look) >= sum(spending.share(later) for later in range(look + 1, 400))


@pytest.mark.parametrize("bits", range(9))
def test_answers_to_looks_at_better_models_help_nobody(bits: int) -> None:
    """Each halves the places where the holdout's noise can be, and the next look errs in one of them.

    That is the worst that answers can do. With the shares that looks had before, eight of them are enough for
    an error in a fifth of all campaigns.
    """
    rng = np.random.default_rng(2)
    within = rng.random(100_000) * 0.5**bits  # the place of the noise, in the part that the answers leave
    most = stats.binom.ppf(0.999, 100_000, 0.05)
    assert (within < 0.05 * spending.share(bits + 1)).sum() <= most
    if bits == 8:
        before = (bits + 1) ** -2.2 / special.zeta(2.2)
        assert (within < 0.05 * before).mean() > 0.05


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
