"""The rows that are learned from, in parts: measured once, then kept as codes of a byte each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from perenne.common.binned import exact
from perenne.common.binned.cells import Cells, values_of

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

MOST_BINS = 255  # and a code for missing values: a byte


class RowBlock(NamedTuple):
    """Some rows: features, shape (n, features), categories as whole numbers, NaN where one is missing.

    `y` is the target, shape (n,), and `weight` that of each row, shape (n,); None: all weigh the same.
    """

    X: Array
    y: npt.NDArray[Any]
    weight: Array | None = None


class RowPart(Protocol):
    """A part of the rows: it can be sent to another process, and be read there more than once."""

    @property
    def first(self) -> int:
        """The number of its first row among all rows, from 0."""

    def blocks(self) -> Iterator[RowBlock]:
        """Its rows in their order, some at a time."""


class InMemory(NamedTuple):
    """Rows that are there already."""

    X: Array
    y: npt.NDArray[Any]
    weight: Array | None = None
    first: int = 0

    def blocks(self) -> Iterator[RowBlock]:
        """See `RowPart`."""
        yield RowBlock(self.X, self.y, self.weight)


class Measured(NamedTuple):
    """What has to be known of all rows before one tree can be grown. Of parts it adds up exactly.

    `cells` are those of each column, `classes` the distinct values of a target of classes, with the weight of
    each; `weight` and `total` are the sums of the weights, and of the weighted target.
    """

    rows: int
    cells: tuple[Cells, ...]
    weight: Fraction
    total: Fraction
    classes: npt.NDArray[Any]
    weights: tuple[Fraction, ...]

    def plus(self, other: Measured) -> Measured:
        """That of two parts together."""
        classes = np.union1d(self.classes, other.classes)
        weights = [Fraction(0)] * len(classes)
        for part in (self, other):
            for place, weight in zip(np.searchsorted(classes, part.classes), part.weights, strict=True):
                weights[place] += weight
        return Measured(
            self.rows + other.rows,
            tuple(one.plus(another) for one, another in zip(self.cells, other.cells, strict=True)),
            self.weight + other.weight,
            self.total + other.total,
            classes,
            tuple(weights),
        )


class CodeColumn(NamedTuple):
    """A feature as a column of codes: `width` of them, of which `missing` stands for a missing value.

    The values' own codes begin with `first`. `sends` says which way missing values go where values are split:
    "left" below the lowest, "right" above the highest; None: there were none, or the feature is a category.
    """

    feature: int
    width: int
    first: int = 0
    missing: int | None = None
    sends: Literal["left", "right"] | None = None


class Bins(NamedTuple):
    """How features become codes: the edges of each number's bins, and the columns of codes.

    The first features are categories, which are codes already: they have no edges. A number with missing
    values has two columns: one for each way that they may go. So there is a code in every place, and XGBoost
    keeps a byte for each, where it would otherwise keep four and more.
    """

    categories: int
    edges: tuple[Array, ...]
    columns: tuple[CodeColumn, ...]

    @classmethod
    def of(cls, found: Measured, categories: int, bins: int) -> Bins:
        """At most so many bins for each number, from what was counted."""
        edges, columns = list[Array](), list[CodeColumn]()
        for at, cells in enumerate(found.cells):
            missing = int(cells.counts.sum()) < found.rows
            if at < categories:
                edges.append(np.empty(0))
                count = 1 + int(values_of(cells.keys).max(initial=0))
                columns.append(CodeColumn(at, count + missing, missing=count if missing else None))
                continue
            edges.append(cells.edges(bins))
            count = len(edges[at]) + 1
            if missing:
                columns.append(CodeColumn(at, count + 1, 1, 0, "left"))
                columns.append(CodeColumn(at, count + 1, 0, count, "right"))
            else:
                columns.append(CodeColumn(at, count))
        return cls(categories, tuple(edges), tuple(columns))

    def codes(self, X: Array) -> Codes:
        """The codes of rows, shape (n, columns): code k holds what is above edge k - 1, up to edge k."""
        found = np.empty((len(X), len(self.columns)), dtype=np.uint8)
        for at, column in enumerate(self.columns):
            values = np.ascontiguousarray(X[:, column.feature])
            missing = np.isnan(values)
            place = (
                np.where(missing, 0, values)
                if column.feature < self.categories
                else np.searchsorted(self.edges[column.feature], values)
            )
            found[:, at] = np.where(missing, column.missing or 0, place + column.first)
        return found

    def known(self, feature: int) -> int:
        """How many values of a category there are."""
        column = next(column for column in self.columns if column.feature == feature)
        return column.width - (column.missing is not None)


def measured(part: RowPart, *, of_classes: bool) -> Measured:
    """Measure a part, one block at a time."""
    found: Measured | None = None
    for block in part.blocks():
        # Cells found so far are the coarsest that a further block can need: it begins with them.
        dropped = [each.dropped for each in found.cells] if found else [0] * block.X.shape[1]
        one = _measured(block, dropped, of_classes=of_classes)
        found = found.plus(one) if found else one
    if found is None:
        raise ValueError("a part has no rows")
    return found


def _measured(block: RowBlock, dropped: Sequence[int], *, of_classes: bool) -> Measured:
    X, y, weight = block
    cells = tuple(
        Cells.of(np.ascontiguousarray(column), bits) for column, bits in zip(X.T, dropped, strict=True)
    )
    weights = np.ones(len(X)) if weight is None else weight
    whole = Fraction(len(X)) if weight is None else exact.total(weights)
    if not of_classes:
        y = y.astype(np.float64)
        return Measured(len(X), cells, whole, exact.total(y if weight is None else y * weight), y[:0], ())
    classes, places = np.unique(y, return_inverse=True)
    each = (
        [Fraction(int(count)) for count in np.bincount(places, minlength=len(classes))]
        if weight is None
        else [exact.total(weight[places == place]) for place in range(len(classes))]
    )
    return Measured(len(X), cells, whole, Fraction(0), classes, tuple(each))


class CodedPart(NamedTuple):
    """A part as it is learned from: codes, shape (n, columns); target, or places of classes, and weights."""

    first: int
    codes: Codes
    y: npt.NDArray[Any]
    weight: Array | None


def table(part: RowPart, bins: Bins, rows: int, classes: npt.NDArray[Any]) -> CodedPart:
    """Encode a part of so many rows, one block at a time; `classes` are ascending, none for numbers."""
    codes = np.empty((rows, len(bins.columns)), dtype=np.uint8)
    small = np.uint8 if len(classes) <= MOST_BINS else np.int64
    y = np.empty(rows, dtype=small if len(classes) else np.float64)
    weight: Array | None = None
    at = 0
    for block in part.blocks():
        here = slice(at, at + len(block.X))
        codes[here] = bins.codes(block.X)
        y[here] = np.searchsorted(classes, block.y) if len(classes) else block.y
        if block.weight is not None:
            weight = np.empty(rows) if weight is None else weight
            weight[here] = block.weight
        at = here.stop
    return CodedPart(part.first, codes, y, weight)
