"""Parameters of estimators that are about single columns: names, or positions in the contract's order.

An estimator counts the columns that it is given. Those are the encoder's: categories first, perhaps several
columns for each. So what `params.yaml` says of a feature is translated, and what cannot be is refused.
"""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer

from perenne.common.contract import Contract
from perenne.common.errors import PerenneError, hint
from perenne.common.params import Train

KEY = "params.yaml: train.params"
DIRECTIONS = (-1, 0, 1)
# What this pipeline sets itself.
OURS = {
    "categorical_features": "the categories of the contract are; take it out",
    "random_state": "it is train.seed; take it out",
}
# By which name an estimator of which library takes them.
DIRECTED = ("monotonic_cst", "monotone_constraints")
GROUPED = ("interaction_cst", "interaction_constraints")
# A list in these has one value for each column of the encoder, which nobody can know beforehand.
OF_COLUMNS = ("alpha", "metric_params", "min_categories", "precompute")


def check(spec: Train, contract: Contract) -> None:
    """Check what the params of an estimator say of single columns.

    Raises
    ------
    PerenneError
        Names the parameter, the value, and what would do.

    """
    for name, value in spec.params.items():
        if name in OURS:
            raise PerenneError(f"{KEY}.{name}: is set by Perenne: {OURS[name]}")
        lists = value.values() if isinstance(value, dict) else [value]
        if name in OF_COLUMNS and any(isinstance(each, list) for each in lists):
            raise PerenneError(
                f"{KEY}.{name}: found {value!r}, which has a value for each column of the encoded features; "
                "use one for all of them"
            )
    for name in DIRECTED:
        _monotonic(spec.params.get(name), contract, f"{KEY}.{name}")
    for name in GROUPED:
        _interactions(spec.params.get(name), contract, f"{KEY}.{name}")


def translated(
    spec: Train, contract: Contract, encoder: ColumnTransformer
) -> dict[str, list[int] | list[list[int]]]:
    """The parameters that name features, by the columns that the fitted encoder makes.

    Parameters
    ----------
    spec
        The estimator's parameters, as params.yaml has them.
    contract
        Its features are what is named, or counted from 0.
    encoder
        Fitted. A feature that it does not use is left out.

    Returns
    -------
    dict
        What to set; empty if no parameter names a feature.

    """
    places, width = _places(encoder)
    found: dict[str, list[int] | list[list[int]]] = {}
    for key in DIRECTED:
        directions = _monotonic(spec.params.get(key), contract, f"{KEY}.{key}")
        if directions:
            by_place = {places[name]: way for name, way in directions.items() if way and name in places}
            found[key] = [by_place.get(place, 0) for place in range(width)]
    for key in GROUPED:
        groups = _interactions(spec.params.get(key), contract, f"{KEY}.{key}")
        if groups:
            found[key] = [sorted(places[n] for n in group if n in places) for group in groups]
    return found


def _places(encoder: ColumnTransformer) -> tuple[dict[str, int], int]:
    """The column that holds each feature, and the number of columns; a feature in several has none."""
    places: dict[str, int] = {}
    width = 0
    for kind, _, names in encoder.transformers_[:2]:
        columns = encoder.output_indices_[kind]
        width = max(width, columns.stop)
        # Numbers come in their order, with the marks of missing ones behind them.
        if kind == "numbers" or columns.stop - columns.start == len(names):
            places |= {name: columns.start + at for at, name in enumerate(names)}
    return places, width


def _monotonic(given: Any, contract: Contract, key: str) -> dict[str, int]:
    """The direction of each feature that has one."""
    features = contract.features
    if given is None:
        return {}
    if isinstance(given, list):
        if len(given) != len(features):
            raise PerenneError(
                f"{key}: found {len(given)} values, must be one for each of {len(features)} features, in the "
                f"contract's order ({', '.join(features)}); or name them: {{{features[0]}: 1}}"
            )
        given = dict(zip(features, given, strict=True))
    if not isinstance(given, dict):
        raise PerenneError(f"{key}: found {given!r}, must be a mapping such as {{{features[0]}: 1}}")
    for name, way in given.items():
        _named(name, contract, key)
        if type(way) is not int or way not in DIRECTIONS:
            raise PerenneError(f"{key}.{name}: found {way!r}, must be -1 (falling), 0 or 1 (rising)")
        if way and contract.columns[name].type == "category":
            raise PerenneError(f"{key}.{name}: found {way}, but a category has no order; must be 0")
    return given


def _interactions(given: Any, contract: Contract, key: str) -> list[list[str]]:
    """The groups of features that may interact; none for a word, which scikit-learn understands."""
    if given is None or isinstance(given, str):
        return []
    if not isinstance(given, list) or not all(isinstance(group, list) for group in given):
        example = ", ".join(contract.features[:2])
        raise PerenneError(f"{key}: found {given!r}, must be groups of features such as [[{example}]]")
    return [[_named(feature, contract, key) for feature in group] for group in given]


def _named(feature: Any, contract: Contract, key: str) -> str:
    """The name of a feature that is given by its name or by its position in the contract."""
    features = contract.features
    if isinstance(feature, str):
        if feature in features:
            return feature
        raise PerenneError(f"{key}: {feature!r} is not a feature; {hint(feature, features)}")
    if type(feature) is not int or not 0 <= feature < len(features):
        raise PerenneError(
            f"{key}: found {feature!r}, must be a feature's name, or its position among "
            f"{len(features)} in the contract, from 0"
        )
    return features[feature]
