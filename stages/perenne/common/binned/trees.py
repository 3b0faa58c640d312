"""XGBoost's trees on codes as scikit-learn's on values: they score features as they are, in doubles."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

from perenne.common.binned.codes import Bins
from perenne.common.binned.grown import Trees

Array = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint32]

WORDS = 8  # of 32 bits: one for each of 256 codes


class XGBTree(TypedDict):
    """A tree as XGBoost writes it: a value for each node, and for each of the nodes that split categories."""

    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    split_type: list[int]
    sum_hessian: list[float]
    categories: list[int]
    categories_nodes: list[int]
    categories_segments: list[int]
    categories_sizes: list[int]


class StoredTrees(NamedTuple):
    """Trees one after the other: all nodes, where each tree begins, and the categories that go left.

    `known` are the categories that training had, shape (categories, 8).
    """

    nodes: npt.NDArray[Any]
    starts: npt.NDArray[np.int64]
    left: Bits
    known: Bits


def kept(trees: Trees, bins: Bins) -> StoredTrees:
    """Translate trees: a code below k is a value up to the edge k - 1."""
    found = json.loads(trees.model)["learner"]["gradient_booster"]["model"]["trees"]
    left: list[Bits] = []
    nodes = [_nodes(tree, bins, trees.scale, left) for tree in found]
    known = [_bits(range(bins.known(feature))) for feature in range(bins.categories)]
    return StoredTrees(
        np.concatenate(nodes),
        np.cumsum([0, *map(len, nodes)])[:-1].astype(np.int64),
        np.array(left, dtype=np.uint32).reshape(-1, WORDS),
        np.array(known, dtype=np.uint32).reshape(-1, WORDS),
    )


def _nodes(tree: XGBTree, bins: Bins, scale: float, left: list[Bits]) -> npt.NDArray[Any]:
    """The nodes of a tree, parents first; the categories that go left are appended to `left`."""
    segments = zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    )
    right = {node: tree["categories"][start : start + size] for node, start, size in segments}
    places, depths = [0], [0]  # of XGBoost's nodes; some may have been taken out again
    nodes: list[npt.NDArray[Any]] = []
    for at in places:
        node = np.zeros(1, dtype=PREDICTOR_RECORD_DTYPE)
        node["depth"] = depths[len(nodes)]
        condition = np.float32(tree["split_conditions"][at])
        if tree["left_children"][at] < 0:
            node["is_leaf"], node["value"] = True, np.float64(condition) * scale
        else:
            column = bins.columns[tree["split_indices"][at]]
            children = tree["left_children"][at], tree["right_children"][at]
            node["feature_idx"] = column.feature
            node["left"], node["right"] = len(places), len(places) + 1
            # What training has not seen goes with most of the rows, as scikit-learn has it.
            node["missing_go_to_left"] = tree["sum_hessian"][children[0]] >= tree["sum_hessian"][children[1]]
            if column.sends:
                node["missing_go_to_left"] = column.sends == "left"
            places += children
            depths += [depths[len(nodes)] + 1] * 2
            if tree["split_type"][at]:
                node["is_categorical"], node["bitset_idx"] = True, len(left)
                left.append(_bits(set(range(bins.known(column.feature))) - set(right[at])))
                if column.missing is not None:
                    node["missing_go_to_left"] = column.missing not in right[at]
            else:
                code = math.ceil(condition) - column.first
                node["num_threshold"] = _threshold(bins.edges[column.feature], code)
        nodes.append(node)
    return np.concatenate(nodes)


def _threshold(edges: Array, code: int) -> float:
    """The value up to which codes are below this one; past the last, XGBoost cuts somewhere above it."""
    if code > len(edges):
        return np.inf
    return float(edges[code - 1]) if code else -np.inf


def _bits(codes: Sequence[int] | set[int]) -> Bits:
    words = np.zeros(WORDS, dtype=np.uint32)
    for code in codes:
        words[code // 32] |= np.uint32(1 << code % 32)
    return words


def predictors(kept: StoredTrees) -> list[TreePredictor]:
    """The trees as scikit-learn scores them."""
    nodes = np.split(kept.nodes, kept.starts[1:])
    return [TreePredictor(of_tree, kept.left, kept.left) for of_tree in nodes]


def raw(kept: StoredTrees, X: Array, begin: Array, threads: int) -> Array:
    """The scores of rows, shape (n, classes): `begin` and the leaves of one tree after the other."""
    scores = np.repeat(begin[None, :], len(X), axis=0)
    places = np.arange(X.shape[1], dtype=np.uint32)  # of a category among the known: they come first
    known = kept.known if len(kept.known) else np.zeros((1, WORDS), dtype=np.uint32)
    for number, tree in enumerate(predictors(kept)):
        scores[:, number % len(begin)] += tree.predict(X, known, places, threads)
    return scores
