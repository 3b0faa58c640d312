"""What is learned from a target: the loss's gradients, where the scores begin, and what they become."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from perenne.common.forest import softmax

Array = npt.NDArray[np.float64]


class Loss(Protocol):
    """A loss whose leaves are sums: of a median, say, parts of the rows cannot be put together."""

    @property
    def begin(self) -> Array:
        """What the scores begin with, shape (scores of a row,)."""

    @property
    def scale(self) -> float:
        """What the scores of the trees are multiplied by: a power of two."""

    def gradients(self, raw: Array, y: Array) -> tuple[Array, Array]:
        """First and second derivatives of some rows' loss.

        Parameters
        ----------
        raw
            The sums of the trees' leaves, before `scale`, shape (n,) or (n, classes).
        y
            The target, shape (n,): numbers, or places of classes.

        Returns
        -------
        Both of the shape of `raw`.

        """


class Squares(NamedTuple):
    """Half the squared error, on a scale on which errors are about one."""

    mean: float
    scale: float

    @property
    def begin(self) -> Array:
        """The mean."""
        return np.array([self.mean])

    def gradients(self, raw: Array, y: Array) -> tuple[Array, Array]:
        """See `Loss`."""
        return raw - (y - self.mean) / self.scale, np.ones_like(raw)


class Logistic(NamedTuple):
    """The log loss of an event."""

    odds: float
    scale: float = 1.0

    @property
    def begin(self) -> Array:
        """The log odds of the mean."""
        return np.array([self.odds])

    def gradients(self, raw: Array, y: Array) -> tuple[Array, Array]:
        """See `Loss`."""
        p = expit(raw + self.odds)
        return p - y, p * (1 - p)


class Multinomial(NamedTuple):
    """The log loss of several classes; second derivatives twice as large, as XGBoost has them."""

    logs: tuple[float, ...]
    scale: float = 1.0

    @property
    def begin(self) -> Array:
        """The logarithms of the shares of the classes."""
        return np.array(self.logs)

    def gradients(self, raw: Array, y: Array) -> tuple[Array, Array]:
        """See `Loss`."""
        scores = raw + self.begin
        below = scores - scores.max(axis=1, keepdims=True)
        # The exponential by way of SciPy: NumPy's own has other last bits where vectors are wider.
        odds = expit(below) / expit(-below)
        p = odds / np.add.accumulate(odds, axis=1)[:, -1:]
        return p - (y[:, None] == np.arange(p.shape[1])), 2 * p * (1 - p)


def of_classes(shares: list[Fraction]) -> Loss:
    """The loss of classes, two or more, that occur with these shares, none of them 0."""
    logs = [math.log(share) for share in shares]
    return Logistic(logs[1] - logs[0]) if len(logs) == 2 else Multinomial(tuple(logs))


def probabilities(raw: Array) -> Array:
    """From scores to probabilities: shape (n, 1) to (n,), that of the second class, or (n, classes)."""
    return np.asarray(expit(raw[:, 0])) if raw.shape[1] == 1 else softmax(raw)
