"""How much of alpha a look at a holdout may spend, so that no campaign of looks, however clever, errs more.

Whoever looks at one holdout again and again finds something better in the end, and learns from each answer
what to try next. So a holdout has one alpha for all its looks, and each look spends half of what is left.

Guarantee
---------
The chance that any look at a holdout ends in a false pass is at most alpha, however each model was made from
the answers of earlier looks, if a look answers no more than pass or no pass, and errs, for a model that was
fixed beforehand, with no more than the alpha it spends.

Proof, by induction from the last look: before a look let b be left, and let everything after it err with at
most what is left then, b / 2, after either answer. If the model does not deserve a pass, the look errs with
b / 2, and after its other answer nothing errs with more than b / 2. If the model deserves it, the look cannot
err, and there are two ways on, each of which errs with b / 2 at most. So the sum is b in both cases. That
needs no record of which looks were passed, and it is the slowest decay that does not: where more than half is
left, a model that deserves to pass in half of the cases is a free bit about the holdout.

A *family* is several models that one look asks about, in an order that is fixed beforehand, up to the first
that passes. It counts as d looks in a row, where 2^d is more than the k models it has, and each model errs
with what the last of these would: b / 2^d. If j of the models deserve it, at most k - j err, and there are at
most j + 1 ways on, of which each errs with what is left, b / 2^d: (k + 1) b / 2^d together, at most b.

With m possible answers the m - 1 that go on would share what is left, so each further answer, let alone a
figure, makes looks cost more. Hence a verdict tells nothing else of the labels (`perenne.gate.sealed`), and
whoever wants to see figures closes the holdout for good (`perenne gate --open`).

Conditions
----------
It covers whoever uses what the product prints. It does not cover whoever reads the labels of the holdout by
other means: from `data/split/holdout.parquet`, by code of his own that a review runs, from what `drift` and
`monitor` printed of these batches while they were not in a holdout yet (how the model in prod did on them),
from a replay on them, or from validation that no commit in this clone shows (`perenne.gate.shown`). Holdouts
that share a batch share its looks, and so do those that have most of their labels in common
(`perenne.gate.sketch` says what is not known again). Looks that were never pushed count where they were made.

Looks of forks have an allowance of their own, `perenne.gate.ledger.FORKS` of alpha on top: both together err
with at most alpha * (1 + FORKS), .055 where alpha is .05. Who goes on from the answer to a fork's look at a
model that deserves a pass has a bit that is not counted.

`tests/bench_campaigns.py` shows how often campaigns succeed.

References
----------
Lan & DeMets 1983, Discrete sequential boundaries for clinical trials, Biometrika 70, 659-663 (spending
alpha). Bretz, Maurer, Brannath & Posch 2009, A graphical approach to sequentially rejective multiple test
procedures, Statistics in Medicine 28, 586-604 (what a rightly rejected hypothesis had is passed on). Dwork,
Feldman, Hardt, Pitassi, Reingold & Roth 2015, The reusable holdout: preserving validity in adaptive data
analysis, Science 349, 636-638, and Generalization in adaptive data analysis and holdout reuse, NIPS
(description length). Blum & Hardt 2015, The Ladder: a reliable leaderboard for machine learning
competitions, ICML.

"""

from __future__ import annotations


def share(look: int) -> float:
    """Return the share of alpha that a look may spend, the first being number 1. All shares sum to 1.

    Raises
    ------
    ValueError
        If there is no such look.

    Examples
    --------
    >>> [share(look) for look in (1, 2, 3, 10)]
    [0.5, 0.25, 0.125, 0.0009765625]

    """
    if look < 1:
        raise ValueError(f"expected a look of number 1 or more, received {look}")
    return 2.0**-look


def depth(models: int) -> int:
    """Return how many looks a family of so many models counts as.

    Raises
    ------
    ValueError
        If there is no model.

    Examples
    --------
    >>> [depth(models) for models in (1, 2, 3, 4)]
    [1, 2, 2, 3]

    """
    if models < 1:
        raise ValueError(f"expected a family of 1 model or more, received {models}")
    return models.bit_length()


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
    >>> alpha(1, 0.05, left=0.05), alpha(2, 0.05, left=0.001), alpha(3, 0.05, left=0.0)
    (0.025, 0.001, 0.0)

    """
    if not (0 < total < 1 and left <= total):
        raise ValueError(
            f"expected a total in (0, 1) and no more left than that, received {total} and {left}"
        )
    return max(0.0, min(total * share(look), left))
