"""How much of alpha a look at a holdout may spend.

Whoever looks at one holdout again and again finds something better in the end. So a holdout has one alpha
for all its looks, and each look spends a share of it that was laid down before. By the union bound
(Bonferroni) the chance that any look errs is then at most alpha, however the looks depend on each other.

That needs each look to err with no more than its own share. It holds for challengers that were chosen without
the holdout, and if nothing but rejections came back from it before. It does not quite hold for who sees the
losses on the holdout and goes on from the best of them: in twenty looks such a climb ends with a
challenger judged better in 7 % of the campaigns instead of 5, where looks at .05 each end so in 90 %
(`tests/bench_gate.py`). A fresh holdout is the remedy.

References
----------
Lan & DeMets 1983, Discrete sequential boundaries for clinical trials, Biometrika 70, 659-663 (spending
alpha). Dwork, Feldman, Hardt, Pitassi, Reingold & Roth 2015, The reusable holdout: preserving validity in
adaptive data analysis, Science 349, 636-638. Tian & Ramdas 2021, Online control of the familywise error rate,
Statistical Methods in Medical Research 30, 976-993 (shares of alpha for tests without end).

"""

from __future__ import annotations

from scipy import special

DECAY = 2.2  # most holdouts are looked at once: two thirds for that, and a thousandth for the twentieth look


def share(look: int) -> float:
    """Return the share of alpha that a look may spend, the first being number 1. All shares sum to 1.

    Raises
    ------
    ValueError
        If there is no such look.

    Examples
    --------
    >>> [round(share(look), 4) for look in (1, 2, 3, 20)]
    [0.6709, 0.146, 0.0598, 0.0009]

    """
    if look < 1:
        raise ValueError(f"expected a look of number 1 or more, received {look}")
    return float(look**-DECAY / special.zeta(DECAY))


def alpha(look: int, total: float, left: float) -> float:
    """Return what a look may spend: its share of the total, at most what is left, 0 if nothing is.

    Parameters
    ----------
    look
        The number of the look, the first being 1.
    total
        The alpha of the holdout, for all looks together.
    left
        What earlier looks have left of it.

    Raises
    ------
    ValueError
        If there is no such look, the total is not in (0, 1), or what is left is not a number up to it.

    Examples
    --------
    >>> round(alpha(1, 0.05, left=0.05), 4), alpha(2, 0.05, left=0.001), alpha(3, 0.05, left=0.0)
    (0.0335, 0.001, 0.0)

    """
    if not (0 < total < 1 and left <= total):
        raise ValueError(
            f"expected a total in (0, 1) and no more left than that, received {total} and {left}"
        )
    return max(0.0, min(total * share(look), left))
