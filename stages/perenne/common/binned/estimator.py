"""XGBoost over binned features, as estimators like scikit-learn's.

What is stored are trees on the features as they are, in scikit-learn's form: whoever scores needs neither
XGBoost nor the bins.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import reduce
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from perenne.common.binned import gang, grown, losses, trees
from perenne.common.binned.codes import MOST_BINS, Array, Bins, InMemory, Measured, RowPart, measured, table
from perenne.common.binned.gang import Gang, Member
from perenne.common.binned.losses import Loss
from perenne.common.binned.settings import check

MOST_ROWS = 2**30  # so that gradients keep the 23 bits of a float32


class _Binned(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """What both estimators have in common. Parameters are XGBoost's, but for these.

    Parameters
    ----------
    bins
        At most so many intervals for each number, from 2 to 255; each category is one.
    subsample
        The share of the rows that a round learns from: drawn by a hash of a row's number.
    categorical_features
        The places of categories: the first columns. They are whole numbers from 0 up to 254.
    monotone_constraints, interaction_constraints
        One of -1, 0 and 1 for each column; groups of columns.
    n_jobs
        Threads; their number changes nothing of the model.
    random_state
        Of what is drawn.

    """

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        learning_rate: float = 0.3,
        max_depth: int = 6,
        max_leaves: int = 0,
        grow_policy: str = "depthwise",
        min_child_weight: float = 1.0,
        reg_lambda: float = 1.0,
        reg_alpha: float = 0.0,
        gamma: float = 0.0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        colsample_bylevel: float = 1.0,
        colsample_bynode: float = 1.0,
        bins: int = MOST_BINS,
        categorical_features: Sequence[int] | None = None,
        monotone_constraints: Sequence[int] | None = None,
        interaction_constraints: Sequence[Sequence[int]] | None = None,
        n_jobs: int = 1,
        random_state: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.max_leaves = max_leaves
        self.grow_policy = grow_policy
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.reg_alpha = reg_alpha
        self.gamma = gamma
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.colsample_bylevel = colsample_bylevel
        self.colsample_bynode = colsample_bynode
        self.bins = bins
        self.categorical_features = categorical_features
        self.monotone_constraints = monotone_constraints
        self.interaction_constraints = interaction_constraints
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Learn from rows in memory.

        Parameters
        ----------
        X
            Shape (n, features), NaN where a value is missing.
        y
            The target, shape (n,).
        sample_weight
            Of each row, shape (n,).

        Raises
        ------
        ValueError
            If a parameter, or a row, is not as it must be; it says what would do.

        """
        check(self)
        numeric = not self._of_classes
        rows, target = validate_data(self, X, y, dtype=np.float64, ensure_all_finite=False, y_numeric=numeric)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, rows)
        part = InMemory(rows, target, weight)
        found = measured(part, of_classes=self._of_classes)
        plan = self._plan(found)
        return self._keep(grown.grown(table(part, plan.bins, found.rows, found.classes), plan), plan, found)

    def fit_parts(self, parts: Sequence[RowPart], together: Gang) -> Self:
        """Learn from parts of the rows, each in a process of its own: the same model as by `fit`.

        Parameters
        ----------
        parts
            All rows, in any number of parts.
        together
            Runs the processes.

        Raises
        ------
        GangError
            If processes are lost again and again.
        ValueError
            As for `fit`.

        """
        check(self)
        items = [gang.Measure(part, self._of_classes) for part in parts]
        each = together.run_together(gang.measure, items)
        found = reduce(Measured.plus, each)
        plan = self._plan(found)
        members = [
            Member(part, one.rows, found.classes, plan, number, None)
            for number, (part, one) in enumerate(zip(parts, each, strict=True))
        ]
        self.n_features_in_ = len(found.cells)
        return self._keep(gang.together(members, together), plan, found)

    _of_classes = False

    def _loss(self, found: Measured) -> Loss:
        raise NotImplementedError

    def _plan(self, found: Measured) -> grown.GrowthPlan:
        if found.rows > MOST_ROWS:
            raise ValueError(
                f"found {found.rows:,} rows, must be at most {MOST_ROWS:,}: sums would be rounded"
            )
        given = {
            name: getattr(self, name)
            for name in (
                *("learning_rate", "max_depth", "max_leaves", "grow_policy", "min_child_weight"),
                *("reg_lambda", "reg_alpha", "gamma"),
                *("colsample_bytree", "colsample_bylevel", "colsample_bynode"),
            )
        }
        bins = Bins.of(found, len(self.categorical_features or ()), self.bins)
        places = [column.feature for column in bins.columns]
        if self.monotone_constraints is not None:
            ways = [str(self.monotone_constraints[place]) for place in places]
            given["monotone_constraints"] = f"({','.join(ways)})"
        if self.interaction_constraints is not None:
            groups = [
                [at for at, place in enumerate(places) if place in group]
                for group in self.interaction_constraints
            ]
            given["interaction_constraints"] = json.dumps(groups)
        return grown.GrowthPlan(
            params=given,
            rounds=self.n_estimators,
            threads=self.n_jobs,
            seed=self.random_state or 0,
            subsample=self.subsample,
            bins=bins,
            rows=found.rows,
            loss=self._loss(found),
        )

    def _keep(self, made: grown.Trees, plan: grown.GrowthPlan, found: Measured) -> Self:
        if self._of_classes:
            self.classes_ = found.classes
        kept = trees.kept(made, plan.bins)
        self.nodes_, self.starts_, self.left_, self.known_ = kept
        self.begin_ = plan.loss.begin
        return self

    @property
    def kept_(self) -> trees.StoredTrees:
        """The trees."""
        check_is_fitted(self)
        return trees.StoredTrees(self.nodes_, self.starts_, self.left_, self.known_)

    def _raw(self, X: npt.ArrayLike) -> Array:
        kept = self.kept_
        rows = validate_data(self, X, dtype=np.float64, ensure_all_finite=False, reset=False)
        return trees.raw(kept, rows, self.begin_, _openmp_effective_n_threads())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class BinnedXGBClassifier(ClassifierMixin, _Binned):  # type: ignore[misc] # as above
    """Gradient-boosted trees for an event, or for several classes: see `_Binned` for the parameters."""

    _of_classes = True

    def _loss(self, found: Measured) -> Loss:
        if len(found.classes) < 2 or min(found.weights) <= 0:
            raise ValueError(f"found the classes {found.classes.tolist()}, must be two or more with a weight")
        return losses.of_classes([weight / found.weight for weight in found.weights])

    def predict_proba(self, X: npt.ArrayLike) -> Array:
        """The probability of each class, shape (n, classes)."""
        found = losses.probabilities(self._raw(X))
        return found if found.ndim > 1 else np.column_stack([1 - found, found])

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """The most probable class, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class BinnedXGBRegressor(RegressorMixin, _Binned):  # type: ignore[misc] # as above
    """Gradient-boosted trees for a mean: see `_Binned` for the parameters."""

    def _loss(self, found: Measured) -> Loss:
        return losses.Squares(float(found.total / found.weight), 1.0)

    def predict(self, X: npt.ArrayLike) -> Array:
        """The expected target, shape (n,)."""
        return self._raw(X)[:, 0]
