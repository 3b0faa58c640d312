"""Score gradient-boosted trees by tables: microseconds a row, and to the bit what scikit-learn says.

Each leaf of a tree is a bit. A node rules out the leaves on the side that a row does not take, and which side
that is depends on one feature alone: so for every bin of every feature there is one word a tree, of the
leaves that are left. All features' words of a row, joined by AND, leave one bit a tree: its leaf. Leaves as
bits are an idea of Lucchese et al., QuickScorer, SIGIR 2015.
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

Array = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.uint32]

MOST_LEAVES = 64  # of a tree: the bits of a word
MOST_BYTES = 2**28  # of the table; what needs more is left to scikit-learn
ROWS_AT_ONCE = 128  # keeps what is gathered for them in the cache of the CPU


class Number(NamedTuple):
    """A numeric feature: bin i holds what is above i of the thresholds; the words begin at `first`."""

    name: str
    first: int
    thresholds: list[float]
    missing: int

    def place(self, value: float | None) -> int:
        """The row of the table for a value."""
        return self.missing if value is None else self.first + bisect_left(self.thresholds, value)


class Category(NamedTuple):
    """A categorical feature: the row of the table of each value seen in training; others are missing.

    `codes` are what the trees see instead of the values, in their order.
    """

    name: str
    first: int
    rows: Mapping[str, int]
    codes: Array
    missing: int

    def place(self, value: str | None) -> int:
        """The row of the table for a value."""
        return self.missing if value is None else self.rows.get(value, self.missing)


Feature = Number | Category
Link = Callable[[Array], Array]


class Forest:
    """The trees of a pipeline as tables."""

    def __init__(self, features: Sequence[Feature], words: Words, leaves: Array, link: Link) -> None:
        """`words`, shape (bins, trees); `leaves`, shape (1 + trees, most of a tree), first the baseline."""
        self.features = tuple(features)
        self._words = words
        self._leaves = leaves.ravel()
        self._starts = np.arange(words.shape[1] + 1, dtype=np.int64) * leaves.shape[1]
        self._link = link

    def encode(self, row: Mapping[str, Any]) -> list[int]:
        """The rows of the table that a row of the contract picks: numbers as float, None for missing."""
        return [feature.place(row.get(feature.name)) for feature in self.features]

    def score(self, encoded: Sequence[Sequence[int]]) -> Array:
        """Score encoded rows, shape (n,)."""
        parts = [
            self._score(encoded[start : start + ROWS_AT_ONCE])
            for start in range(0, len(encoded), ROWS_AT_ONCE)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _score(self, encoded: Sequence[Sequence[int]]) -> Array:
        left: Words = np.bitwise_and.reduce(self._words[np.array(encoded, dtype=np.intp)], axis=1)
        where = np.zeros((len(encoded), left.shape[1] + 1), dtype=np.int64)  # first comes the baseline
        where[:, 1:] = np.bitwise_count(left - np.uint64(1))
        # One after the other, as scikit-learn adds them: another order has other last bits.
        raw = np.add.accumulate(self._leaves[where + self._starts], axis=1)[:, -1]
        return np.asarray(self._link(raw))


def compiled(pipeline: Pipeline) -> Forest | None:
    """The tables of a pipeline that `train` made; None if it is not of boosted trees that fit into words."""
    estimator = pipeline[-1]
    if not isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        return None
    trees = [predictor for (predictor,) in estimator._predictors]
    if max(int(tree.nodes["is_leaf"].sum()) for tree in trees) > MOST_LEAVES:
        return None
    features = _features(pipeline, trees)
    bins = features[-1].missing + 1
    if bins * len(trees) * np.dtype(np.uint64).itemsize > MOST_BYTES:
        return None
    words, leaves = np.empty((bins, len(trees)), dtype=np.uint64), np.zeros((1 + len(trees), MOST_LEAVES))
    leaves[0, 0] = estimator._baseline_prediction.item()
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    for t, tree in enumerate(trees):
        spans = _spans(tree.nodes)
        words[:, t] = _bits(0, spans[0][2])
        for node, (start, middle, end) in zip(tree.nodes, spans, strict=True):
            if node["is_leaf"]:
                leaves[1 + t, start] = node["value"]
                continue
            feature = features[node["feature_idx"]]
            left = _left(feature, node, tree.raw_left_cat_bitsets, known, places)
            kept = np.where(left, ~_bits(middle, end), ~_bits(start, middle))
            words[feature.first : feature.missing + 1, t] &= kept
    return Forest(features, words, leaves, estimator._loss.link.inverse)


def _features(pipeline: Pipeline, trees: Sequence[Any]) -> list[Feature]:
    """The features in the order in which the trees have them, each with its rows of the table."""
    categories, numbers = (list(columns) for _, _, columns in pipeline["encode"].transformers_[:2])
    nodes = np.concatenate([tree.nodes for tree in trees])
    splits = nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)]
    features: list[Feature] = []
    first = 0
    for name, codes in _codes(pipeline, categories, numbers).items():
        rows = {value: first + number for number, value in enumerate(codes)}
        features.append(Category(name, first, rows, np.array(list(codes.values())), first + len(rows)))
        first += len(rows) + 1
    for at, name in enumerate(numbers, start=len(categories)):
        thresholds = np.unique(splits["num_threshold"][splits["feature_idx"] == at]).tolist()
        features.append(Number(name, first, thresholds, first + len(thresholds) + 1))
        first += len(thresholds) + 2
    return features


def _left(feature: Feature, node: Any, sets: Bits, known: Bits, places: Bits) -> npt.NDArray[np.bool_]:
    """Which rows of a feature go left at a node; the last one is that of what is missing."""
    missing = bool(node["missing_go_to_left"])
    if isinstance(feature, Number):
        cut = bisect_left(feature.thresholds, float(node["num_threshold"])) + 1
        left = np.arange(len(feature.thresholds) + 1) < cut
    else:
        of_feature = known[places[node["feature_idx"]]]
        left = _sides(feature.codes, sets[node["bitset_idx"]], of_feature, missing=missing)
    return np.append(left, missing)


def _codes(pipeline: Pipeline, categories: list[str], numbers: list[str]) -> dict[str, dict[str, float]]:
    """What the trees see instead of each category seen in training: the pipeline's own encoders are asked."""
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
    """Which codes go left at a node: those in its set, and with the missing ones those nobody knows."""
    code = np.nan_to_num(codes, nan=0).astype(np.uint8)
    in_left, in_known = ((bits[code // 32] >> (code % 32)) & 1 == 1 for bits in (left, known))
    return np.where(np.isnan(codes), missing, in_left | (~in_known & missing))


def _spans(nodes: Any) -> list[tuple[int, int, int]]:
    """The leaves under each node: the first, the first of its right side, and the end, from left to right."""
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
    """The bits from `start` up to `end`.

    >>> f"{_bits(1, 4):b}"
    '1110'
    """
    return np.uint64((1 << end) - (1 << start))
