"""What the parameters of the estimators may be."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from perenne.common.binned.codes import MOST_BINS

POLICIES = ("depthwise", "lossguide")


class Range(NamedTuple):
    """From `least` to `most`, `least` itself left out if `above`; whole numbers only, if `whole`."""

    least: float
    most: float = math.inf
    whole: bool = False
    above: bool = False

    def holds(self, value: object) -> bool:
        """Whether a value is one of these."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.least <= value <= self.most and not (self.above and value == self.least)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        upto = "on" if math.isinf(self.most) else f"to {self.most:g}"
        return f"{kind} {'above' if self.above else 'from'} {self.least:g} {upto}".removesuffix(
            " on" if self.above else ""
        )


SHARE = Range(0, 1, above=True)
RANGES = {
    "n_estimators": Range(1, whole=True),
    "learning_rate": Range(0, 1, above=True),
    "max_depth": Range(0, 64, whole=True),
    "max_leaves": Range(0, 2**16, whole=True),
    "min_child_weight": Range(0),
    "reg_lambda": Range(0),
    "reg_alpha": Range(0),
    "gamma": Range(0),
    "subsample": SHARE,
    "colsample_bytree": SHARE,
    "colsample_bylevel": SHARE,
    "colsample_bynode": SHARE,
    "n_jobs": Range(1, whole=True),
    "bins": Range(2, MOST_BINS, whole=True),
}


def check(estimator: Any) -> None:
    """Check the parameters of an estimator.

    Raises
    ------
    ValueError
        Names the parameter, the value, and what would do.

    """
    for name, allowed in RANGES.items():
        value = getattr(estimator, name)
        if not allowed.holds(value):
            raise ValueError(f"{name}: found {value!r}, must be {allowed}")
    if estimator.grow_policy not in POLICIES:
        raise ValueError(f"grow_policy: found {estimator.grow_policy!r}, must be {' or '.join(POLICIES)}")
    if not estimator.max_depth and not estimator.max_leaves:
        raise ValueError(
            "max_depth: found 0 with max_leaves 0, so trees could grow for ever; set one of them"
        )
    first = estimator.categorical_features
    if first is not None and list(first) != list(range(len(first))):
        raise ValueError(f"categorical_features: found {list(first)}, must be the first columns")
