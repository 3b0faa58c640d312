"""From boosted trees in scikit-learn's form to the tables that score them, see `forest`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from perenne.common.binned import losses
from perenne.common.binned import trees as binned_trees
from perenne.common.binned.estimator import BinnedXGBClassifier, BinnedXGBRegressor
from perenne.common.forest import MAX_LEAVES, Array, CategoryBins, Feature, Forest, Link, NumberBins, softmax

Bits = npt.NDArray[np.uint32]

MAX_BYTES = 2**28  # of the table; scikit-learn scores models that need more
WIDTHS = (8, 16, 32, 64)  # bits of a word
ROWS_THAT_PAY = 10_000  # to make the tables takes as long as scikit-learn takes for so many rows


class KnownTrees:
    """How many rows were scored by the trees of a model, and their tables once these are worth making."""

    def __init__(self, trees: object) -> None:
        self.trees, self.rows = trees, 0
        self.made: list[Forest | None] = []

    def forest(self, pipeline: Pipeline, rows: int) -> Forest | None:
        """The tables, if so many more rows are worth them; None if scikit-learn is to score these."""
        self.rows += rows
        if not self.made and self.rows >= ROWS_THAT_PAY:
            self.made.append(compiled(pipeline))
        return self.made[0] if self.made else None


_known: WeakKeyDictionary[Pipeline, KnownTrees] = WeakKeyDictionary()


def tables(pipeline: Pipeline, rows: int) -> Forest | None:
    """The tables of a pipeline that so many rows are to be scored by; None: it is to score them itself.

    The scores are the same, so that this is only a matter of time: tables are made once a model has scored
    many rows, and kept as long as it is.

    Parameters
    ----------
    pipeline
        Fitted, of any estimator.
    rows
        How many.

    """
    trees = getattr(pipeline[-1], "_predictors", getattr(pipeline[-1], "nodes_", None))
    if (
        trees is None or rows == 1
    ):  # of a single row scikit-learn adds classes in another order, see `softmax`
        return None
    known = _known.get(pipeline)
    if known is None or known.trees is not trees:  # it was fitted again
        known = _known[pipeline] = KnownTrees(trees)
    return known.forest(pipeline, rows)


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
    boosted = _boosted(pipeline[-1])
    if boosted is None:
        return None
    trees = boosted.trees
    most = max(int(tree.nodes["is_leaf"].sum()) for tree in trees)
    if most > MAX_LEAVES:
        return None
    features = _features(pipeline, boosted)
    bins, bits = features[-1].missing + 1, next(width for width in WIDTHS if most <= width)
    if bins * len(trees) * bits // 8 > MAX_BYTES:
        return None
    words, leaves = np.empty((bins, len(trees)), dtype=f"u{bits // 8}"), np.zeros((len(trees), bits))
    for t, tree in enumerate(trees):
        spans = _spans(tree.nodes)
        words[:, t] = all_of = _bits(0, spans[0][2])
        for node, (start, middle, end) in zip(tree.nodes, spans, strict=True):
            if node["is_leaf"]:
                leaves[t, start] = node["value"]
                continue
            feature = features[node["feature_idx"]]
            left = _left(feature, node, tree.raw_left_cat_bitsets, boosted.known, boosted.places)
            taken = [words.dtype.type(all_of ^ _bits(*other)) for other in ((middle, end), (start, middle))]
            words[feature.first : feature.missing + 1, t] &= np.where(left, *taken)
    return Forest(features, words, leaves, boosted.baselines, boosted.link)


class Boosted(NamedTuple):
    """Fitted trees in scikit-learn's form, by class, then by round.

    `known` are the categories seen in training as bits, `places` says which are those of a feature, and
    `prepared` makes of encoded features what the trees take.
    """

    trees: Sequence[Any]
    known: Bits
    places: Bits
    baselines: Array
    link: Link
    prepared: Callable[[Array], Array]


def _boosted(estimator: Any) -> Boosted | None:
    """The trees of an estimator; None if it has none, or is of a derived class, which may score otherwise."""
    if type(estimator) in (BinnedXGBClassifier, BinnedXGBRegressor):
        return _binned(estimator)
    if type(estimator) not in (HistGradientBoostingClassifier, HistGradientBoostingRegressor):
        return None
    # An event and a quantity have one tree a round.
    trees = [tree for of_class in zip(*estimator._predictors, strict=True) for tree in of_class]
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    baselines = np.ravel(estimator._baseline_prediction)
    classes = len(baselines)
    link = estimator._loss.link.inverse if classes == 1 else lambda raw: softmax(raw.reshape(-1, classes))
    return Boosted(
        trees, known, places, baselines, link, lambda encoded: estimator._preprocess_X(encoded, reset=False)
    )


def _binned(estimator: Any) -> Boosted:
    kept, classes = estimator.kept_, len(estimator.begin_)
    predictors = binned_trees.predictors(kept)
    trees = [tree for place in range(classes) for tree in predictors[place::classes]]
    places = np.arange(estimator.n_features_in_, dtype=np.uint32)
    if isinstance(estimator, BinnedXGBRegressor):
        return Boosted(trees, kept.known, places, estimator.begin_, np.asarray, lambda encoded: encoded)
    link: Link = lambda raw: losses.probabilities(raw.reshape(-1, classes))  # noqa: E731 -- as above
    return Boosted(trees, kept.known, places, estimator.begin_, link, lambda encoded: encoded)


def _features(pipeline: Pipeline, boosted: Boosted) -> list[Feature]:
    """The features in the order of the trees, each with its places in the table."""
    categories, numbers = (list(columns) for _, _, columns in pipeline["encode"].transformers_[:2])
    nodes = np.concatenate([tree.nodes for tree in boosted.trees])
    splits = nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)]
    features: list[Feature] = []
    first = 0
    for name, codes in _codes(pipeline, boosted, categories, numbers).items():
        rows = {value: first + number for number, value in enumerate(codes)}
        features.append(CategoryBins(name, first, rows, np.array(list(codes.values()))))
        first += len(rows) + 1
    for at, name in enumerate(numbers, start=len(categories)):
        thresholds = np.unique(splits["num_threshold"][splits["feature_idx"] == at]).tolist()
        features.append(NumberBins(name, first, thresholds))
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


def _codes(
    pipeline: Pipeline, boosted: Boosted, categories: list[str], numbers: list[str]
) -> dict[str, dict[str, float]]:
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
    coded = boosted.prepared(pipeline["encode"].transform(frame))
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


def _bits(start: int, end: int) -> int:
    """A word with the bits from `start` up to `end`, exclusive.

    >>> f"{_bits(1, 4):b}"
    '1110'
    """
    return (1 << end) - (1 << start)
