"""Score gradient-boosted trees by tables: microseconds per row, bit for bit the scores of scikit-learn.

Each leaf of a tree is a bit of a word. A node excludes the leaves on the side that a row does not take, and
that side depends on one feature only. So each bin of each feature has one word per tree: the leaves that
remain. The AND of all features' words leaves one bit: the leaf of the row. Method: Lucchese et al.,
"QuickScorer: a fast algorithm to rank documents with additive ensembles of regression trees", SIGIR 2015.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from perenne.serving.rows import InputRow

Array = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.uint32]
Places = npt.NDArray[np.intp]

MAX_LEAVES = 64  # of a tree: the bits of a word
MAX_BYTES = 2**28  # of the table; scikit-learn scores models that need more
ROWS_AT_ONCE = 128  # so that their words fit into the CPU's cache


class NumberBins(NamedTuple):
    """A numeric feature: bin i has the values above i of the thresholds; its words begin at `first`."""

    name: str
    first: int
    thresholds: list[float]
    missing: int

    def place(self, value: float | None) -> int:
        """The place in the table for a value."""
        return self.missing if value is None else self.first + bisect_left(self.thresholds, value)

    def places(self, values: pd.Series) -> Places:
        """The places of many values, NaN where one is missing; shape (n,)."""
        numbers = values.to_numpy(dtype=np.float64)
        found = np.searchsorted(self.thresholds, numbers, side="left") + self.first
        return np.where(np.isnan(numbers), self.missing, found)


class CategoryBins(NamedTuple):
    """A categorical feature: the place in the table of each value seen in training; others are missing.

    `codes` are the numbers that the trees use instead of the values, in the same order.
    """

    name: str
    first: int
    rows: Mapping[str, int]
    codes: Array
    missing: int

    def place(self, value: str | None) -> int:
        """The place in the table for a value."""
        return self.missing if value is None else self.rows.get(value, self.missing)

    def places(self, values: pd.Series) -> Places:
        """The places of many values, NaN where one is missing; shape (n,)."""
        return np.asarray(values.map(self.rows).fillna(self.missing), dtype=np.intp)


Feature = NumberBins | CategoryBins
Link = Callable[[Array], Array]


class Forest:
    """The trees of a pipeline as tables.

    Parameters
    ----------
    features
        In the order of the trees' features.
    words
        The leaves that remain for each bin, shape (bins of all features, trees); with several classes, all
        trees of the first come before those of the second.
    leaves
        The values of the leaves, shape (trees and one row for each class, `MAX_LEAVES`); the row before the
        trees of a class has its baseline.
    link
        From the sums of the leaves, shape (n x classes,), to the scores.
    classes
        How many classes have trees of their own; 1 if a score is one number.

    """

    def __init__(
        self, features: Sequence[Feature], words: Words, leaves: Array, link: Link, classes: int = 1
    ) -> None:
        self.features = tuple(features)
        self._words = words
        self._leaves = leaves.ravel()
        self._starts = np.arange(len(leaves), dtype=np.int64) * leaves.shape[1]
        self._values = len(leaves) // classes  # that are added for each class
        # A slice where there is one class: it is quicker than the places one by one.
        trees = np.flatnonzero(np.arange(len(leaves)) % self._values)
        self._trees: slice | Places = trees if classes > 1 else slice(1, None)
        self._link = link

    def encode(self, row: InputRow) -> list[int]:
        """The places in the table that a row selects, one for each feature; None counts as missing."""
        return [feature.place(row.get(feature.name)) for feature in self.features]

    def places(self, inputs: pd.DataFrame) -> Places:
        """The places in the table of many rows, shape (n, features): see `encode`.

        Parameters
        ----------
        inputs
            The features as `model.inputs` has them.

        """
        return np.column_stack([feature.places(inputs[feature.name]) for feature in self.features])

    def score(self, encoded: Sequence[Sequence[int]] | Places) -> Array:
        """Score encoded rows, shape (n,) or (n, classes).

        Parameters
        ----------
        encoded
            Rows from `encode` or `places`, shape (n, features); at least one.

        """
        parts = [
            self._score(encoded[start : start + ROWS_AT_ONCE])
            for start in range(0, len(encoded), ROWS_AT_ONCE)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _score(self, encoded: Sequence[Sequence[int]] | Places) -> Array:
        left: Words = np.bitwise_and.reduce(self._words[np.array(encoded, dtype=np.intp)], axis=1)
        where = np.zeros((len(encoded), len(self._starts)), dtype=np.int64)  # 0 is the baseline's
        where[:, self._trees] = np.bitwise_count(left - np.uint64(1))
        # Added one after the other as scikit-learn does: another order changes the last bits.
        values = self._leaves[where + self._starts].reshape(-1, self._values)
        return np.asarray(self._link(np.add.accumulate(values, axis=1)[:, -1]))


def softmax(raw: Array) -> Array:
    """The probabilities of classes, shape (n, classes), as scikit-learn has them for many rows.

    Its own sum of a single row takes another order from eight classes on. A row must have one score, however
    many are scored with it.

    Parameters
    ----------
    raw
        On the scale of logits, shape (n, classes).

    """
    odds = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(odds / np.add.accumulate(odds, axis=1)[:, -1:])


def compiled(pipeline: Pipeline) -> Forest | None:
    """The tables of a pipeline that `train` made; None if it is not boosted trees, or they are too large.

    Parameters
    ----------
    pipeline
        Fitted: the step `encode`, and the estimator as the last step.

    Returns
    -------
    Forest or None
        Too large is a tree with more than `MAX_LEAVES` leaves, or a table of more than `MAX_BYTES` bytes.

    """
    estimator = pipeline[-1]
    if not isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        return None
    # By class, then by round; an event and a quantity have one tree a round.
    trees = [tree for of_class in zip(*estimator._predictors, strict=True) for tree in of_class]
    baselines = np.ravel(estimator._baseline_prediction)
    classes, rounds = len(baselines), len(estimator._predictors)
    if max(int(tree.nodes["is_leaf"].sum()) for tree in trees) > MAX_LEAVES:
        return None
    features = _features(pipeline, trees)
    bins = features[-1].missing + 1
    if bins * len(trees) * np.dtype(np.uint64).itemsize > MAX_BYTES:
        return None
    words, leaves = np.empty((bins, len(trees)), dtype=np.uint64), np.zeros((classes, 1 + rounds, MAX_LEAVES))
    leaves[:, 0, 0] = baselines
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    for t, tree in enumerate(trees):
        spans = _spans(tree.nodes)
        words[:, t] = _bits(0, spans[0][2])
        for node, (start, middle, end) in zip(tree.nodes, spans, strict=True):
            if node["is_leaf"]:
                leaves[t // rounds, 1 + t % rounds, start] = node["value"]
                continue
            feature = features[node["feature_idx"]]
            left = _left(feature, node, tree.raw_left_cat_bitsets, known, places)
            kept = np.where(left, ~_bits(middle, end), ~_bits(start, middle))
            words[feature.first : feature.missing + 1, t] &= kept
    link = estimator._loss.link.inverse if classes == 1 else lambda raw: softmax(raw.reshape(-1, classes))
    return Forest(features, words, leaves.reshape(-1, MAX_LEAVES), link, classes)


def _features(pipeline: Pipeline, trees: Sequence[Any]) -> list[Feature]:
    """The features in the order of the trees, each with its places in the table."""
    categories, numbers = (list(columns) for _, _, columns in pipeline["encode"].transformers_[:2])
    nodes = np.concatenate([tree.nodes for tree in trees])
    splits = nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)]
    features: list[Feature] = []
    first = 0
    for name, codes in _codes(pipeline, categories, numbers).items():
        rows = {value: first + number for number, value in enumerate(codes)}
        features.append(CategoryBins(name, first, rows, np.array(list(codes.values())), first + len(rows)))
        first += len(rows) + 1
    for at, name in enumerate(numbers, start=len(categories)):
        thresholds = np.unique(splits["num_threshold"][splits["feature_idx"] == at]).tolist()
        features.append(NumberBins(name, first, thresholds, first + len(thresholds) + 1))
        first += len(thresholds) + 2
    return features


def _left(feature: Feature, node: Any, sets: Bits, known: Bits, places: Bits) -> npt.NDArray[np.bool_]:
    """Which places of a feature go left at a node; the last place is that of missing values."""
    missing = bool(node["missing_go_to_left"])
    if isinstance(feature, NumberBins):
        cut = bisect_left(feature.thresholds, float(node["num_threshold"])) + 1
        left = np.arange(len(feature.thresholds) + 1) < cut
    else:
        of_feature = known[places[node["feature_idx"]]]
        left = _sides(feature.codes, sets[node["bitset_idx"]], of_feature, missing=missing)
    return np.append(left, missing)


def _codes(pipeline: Pipeline, categories: list[str], numbers: list[str]) -> dict[str, dict[str, float]]:
    """The numbers that the trees use for each category seen in training, from the pipeline's own encoders."""
    if not categories:
        return {}
    seen = [
        [value for value in values if isinstance(value, str)]
        for values in pipeline["encode"].named_transformers_["categories"].categories_
    ]
    most = max(map(len, seen))
    frame = pd.DataFrame(
        {
            name: values + [np.nan] * (most - len(values))
            for name, values in zip(categories, seen, strict=True)
        }
        | dict.fromkeys(numbers, 0.0),
        dtype=object,
    ).astype(dict.fromkeys(numbers, "float64"))
    coded = pipeline[-1]._preprocess_X(pipeline["encode"].transform(frame), reset=False)
    return {
        name: dict(zip(values, coded[: len(values), at].tolist(), strict=True))
        for at, (name, values) in enumerate(zip(categories, seen, strict=True))
    }


def _sides(codes: Array, left: Bits, known: Bits, *, missing: bool) -> npt.NDArray[np.bool_]:
    """Which codes go left at a node: those in its set; unknown ones go where missing values go."""
    code = np.nan_to_num(codes, nan=0).astype(np.uint8)
    in_left, in_known = ((bits[code // 32] >> (code % 32)) & 1 == 1 for bits in (left, known))
    return np.where(np.isnan(codes), missing, in_left | (~in_known & missing))


def _spans(nodes: Any) -> list[tuple[int, int, int]]:
    """The leaves under each node, from left to right: first, first on the right side, end (exclusive)."""
    spans: list[tuple[int, int, int]] = [(0, 0, 0)] * len(nodes)
    leaf = 0

    def walk(number: int) -> None:
        nonlocal leaf
        start = leaf
        if nodes[number]["is_leaf"]:
            leaf += 1
            spans[number] = start, leaf, leaf
            return
        walk(int(nodes[number]["left"]))
        middle = leaf
        walk(int(nodes[number]["right"]))
        spans[number] = start, middle, leaf

    walk(0)
    return spans


def _bits(start: int, end: int) -> np.uint64:
    """A word with the bits from `start` up to `end`, exclusive.

    >>> f"{_bits(1, 4):b}"
    '1110'
    """
    return np.uint64((1 << end) - (1 << start))
