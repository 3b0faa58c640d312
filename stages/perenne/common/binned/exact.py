"""Sums of floating-point numbers that are the same in any order.

Gradients are put on a grid so wide that no sum of them is rounded; a target is summed without any rounding.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

MANTISSA = 53  # bits of a float64
HALF = 26
ROWS_AT_ONCE = 2**16  # so that what is made of them fits into the CPU's cache


def total(values: Array) -> Fraction:
    """The sum of finite numbers, without rounding.

    >>> total(np.array([1e17, 1.0, -1e17])) == 1
    True
    """
    parts, exponents = np.frexp(values)
    whole = (parts * 2.0**MANTISSA).astype(np.int64)
    found = Fraction(0)
    for exponent in np.unique(exponents).tolist():
        of = whole[exponents == exponent]
        # In two halves: the sum of 2^36 of them fits into 63 bits.
        units = (int((of >> HALF).sum()) << HALF) + int((of & ((1 << HALF) - 1)).sum())
        found += Fraction(units) * Fraction(2) ** (exponent - MANTISSA)
    return found


def grid(largest: float, rows: int) -> float:
    """The step of a grid on which so many numbers up to `largest` are summed exactly: a power of two.

    Their sum has at most `rows` times as many steps as the largest one, which must be no more than 2^53.
    """
    if not largest:
        return 1.0
    return math.ldexp(1.0, math.frexp(largest)[1] + (rows - 1).bit_length() - MANTISSA)


def put_on_grid(values: Singles, step: float) -> None:
    """Round numbers to multiples of a step, in place, shape (n,) or (n, classes).

    A float32 is a multiple of the step already if its last bit is no smaller; a smaller one loses bits, and
    what it keeps of them fits. So nothing is rounded twice.
    """
    for start in range(0, len(values), ROWS_AT_ONCE):
        part = values[start : start + ROWS_AT_ONCE]
        part[:] = np.rint(part / np.float64(step)) * step


def spread(values: Array) -> npt.NDArray[np.int64]:
    """How many numbers have which binary exponent, shape (2,200,), without zeros: it adds up exactly."""
    return np.bincount(np.frexp(values[values != 0])[1] + 1100, minlength=2200).astype(np.int64)


def size(counts: npt.NDArray[np.int64]) -> float:
    """A power of two near the root of the mean square of numbers, from their `spread`; 1 if all are zero."""
    seen = np.flatnonzero(counts)
    if not len(seen):
        return 1.0
    squares = sum(int(counts[at]) * Fraction(4) ** int(at - seen[-1]) for at in seen)
    mean = float(squares / int(counts.sum()))  # of the numbers that are not zero, as a share of 4^largest
    return math.ldexp(1.0, int(seen[-1]) - 1100 + math.frexp(mean)[1] // 2)
