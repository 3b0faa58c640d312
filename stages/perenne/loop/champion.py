"""The champion, from its tag: model, contract, and where history was cut for it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import locked
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.names import IMPORTANCE, PLOTS, PREDICTIONS, PROD
from perenne.common.sections import cut_of
from perenne.gate import contenders
from perenne.gate.contenders import Loaded
from perenne.registry import storage, tags
from perenne.registry.tags import Version
from perenne.watch.reference import ReferenceRows
from perenne.watch.validated import predictions


class Champion(NamedTuple):
    """The version in prod.

    `loaded` is the model in use, `cut` that of the one that was proven. `importance` is the importance of
    each feature, empty if it was not measured; `validated` the rows that were predicted without being seen,
    which show how right the model is.
    """

    version: Version
    loaded: Loaded
    cut: Cut
    importance: dict[str, float]
    validated: Mapping[pd.Period, pd.DataFrame]

    @property
    def contract(self) -> Contract:
        """The contract that it was trained with."""
        return self.loaded.contract


def current(case: str) -> Champion:
    """The champion of a case: the version that is in prod.

    Raises
    ------
    PerenneError
        If no version is in prod, or its model or its validation cannot be fetched.

    """
    version = tags.read(case).in_stage(PROD)
    if version is None:
        raise PerenneError(f"{case}: no version is in {PROD}, so there is nothing to watch; perenne release")
    loaded = contenders.of(version.commit, f"{version.version} in {PROD}", case, version.released)
    cut = cut_of(loaded.contract, version.commit)
    return Champion(
        version, loaded, cut, importance(version.commit), validated(version.commit, loaded.contract)
    )


def validated(rev: str, contract: Contract) -> ReferenceRows:
    """The validation's rows with their predictions by period, from a commit.

    Raises
    ------
    PerenneError
        If the commit has none, or they are neither in the cache nor in the remote.

    """
    title = f"{PREDICTIONS} of {rev[:7]}"
    return predictions(contract, storage.named(locked.load(rev).out(PREDICTIONS).md5, title))


def importance(rev: str) -> dict[str, float]:
    """The permutation importance of each feature, from the plots of a commit; empty if there are none."""
    try:
        listing = storage.listing(locked.load(rev).out(PLOTS).md5, f"{PLOTS} of {rev[:7]}")
        md5 = listing[IMPORTANCE.name]
        text = storage.named(md5, f"{IMPORTANCE} of {rev[:7]}").decode()
    except (PerenneError, ValueError):  # it orders reasons, and decides nothing
        return {}
    return {row["feature"]: float(row["importance"]) for row in csv.DictReader(io.StringIO(text))}


def scored(champion: Champion, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The champion's scores of rows, rounded to 9 decimals as the stage `drift` does."""
    return contenders.scores(champion.loaded, rows).round(9)
