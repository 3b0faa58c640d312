"""XGBoost over binned features, as `train.estimator`: its paths, and what XGBoost has and it refuses.

Refused is what would make the model depend on how many machines and threads it is made on, or on their order.
"""

from __future__ import annotations

from sklearn.base import BaseEstimator

from perenne.common.binned.estimator import BinnedXGBClassifier, BinnedXGBRegressor
from perenne.common.errors import PerenneError
from perenne.pipeline.boosting import CATEGORIES, EVALUATED, OURS, QUIET, SEED, OwnParams

PATHS: dict[str, type[BaseEstimator]] = {
    f"perenne.{cls.__name__}": cls for cls in (BinnedXGBClassifier, BinnedXGBRegressor)
}
NEEDS = "xgboost"  # to fit; not to score
FIXED = f"{OURS}otherwise the model would depend on the machines it is made on; take it out"
ROUNDS = EVALUATED.format(rounds="n_estimators")
REFUSED = {
    "objective": "is not a choice here: log loss for classes, squares for numbers, whose leaves are sums; "
    "those of medians, quantiles or ranks depend on how rows are divided; use one of xgboost's, on one",
    "base_score": f"{OURS}it is the mean of the target, summed exactly; take it out",
    "max_bin": "is bins here; write that",
    "max_cat_to_onehot": FIXED,
    "max_cat_threshold": FIXED,
    **dict.fromkeys(("booster", "device", "sampling_method", "tree_method", "updater"), FIXED),
    "num_parallel_tree": "random forests are those of sklearn.ensemble; take it out",
    **dict.fromkeys(
        ("max_delta_step", "scale_pos_weight"), "moves scores away from probabilities; take it out"
    ),
    "multi_strategy": FIXED,
    **dict.fromkeys(("early_stopping_rounds", "eval_metric"), ROUNDS),
    "callbacks": "would be code; take it out",
    "missing": f"{OURS}missing values are NaN; take it out",
    **dict.fromkeys(("categorical_features", "enable_categorical", "feature_types"), CATEGORIES),
    "feature_weights": FIXED,
    **dict.fromkeys(("random_state", "seed"), SEED),
    "nthread": "is n_jobs here; write that",
    "verbosity": QUIET,
}


def check(cls: type, given: OwnParams, key: str) -> None:
    """Check for parameters that XGBoost has and these estimators do not.

    Parameters
    ----------
    cls, given
        An estimator's class, and what is given to it.
    key
        What an error calls their place.

    Raises
    ------
    PerenneError
        Says why, and what to do.

    """
    if cls not in PATHS.values():
        return
    for name, value in given.items():
        if name in REFUSED:
            raise PerenneError(f"{key}.{name}: found {value!r}, which {REFUSED[name]}")
