"""The models that are compared: that of the working tree, and those of commits, from their files."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from perenne.common import model, names
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.sections import contract_of
from perenne.gate.evidence import Contender
from perenne.registry import storage


class Loaded(NamedTuple):
    """A model with all that it takes to score rows."""

    name: str
    pipeline: Pipeline
    card: dict[str, Any]
    contract: Contract
    size: int

    @property
    def sha256(self) -> str:
        """Of the model file."""
        return str(self.card["sha256"])


def here(contract: Contract) -> Loaded:
    """The challenger: the model in the working tree."""
    pipeline, card = model.load()
    return Loaded("the challenger", pipeline, card, contract, names.MODEL.stat().st_size)


def of(rev: str, name: str, case: str, sha256: str | None = None) -> Loaded:
    """The model of a commit, from DVC's cache or remote; with `sha256` it must be that file."""
    data = storage.obtain(rev, names.MODEL)
    card = json.loads(storage.obtain(rev, names.CARD))
    found = hashlib.sha256(data).hexdigest()
    for said, source in ((card["sha256"], f"{names.CARD} of {rev}"), (sha256, f"the tag of {name}")):
        if said not in (None, found):
            raise PerenneError(f"{names.MODEL} of {rev}: its sha256 is {found}, but {source} says {said}")
    return Loaded(name, model.loads(data, f"{names.MODEL} of {rev}"), card, contract_of(case, rev), len(data))


def contender(loaded: Loaded, rows: pd.DataFrame, contract: Contract) -> Contender:
    """A model as the rules see it: its scores on the rows, its size, and how to score one."""
    must_fit(loaded, contract)
    one = rows.iloc[[0]]
    return Contender(
        loaded.name,
        scores(loaded, rows),
        loaded.size,
        lambda: model.predict(loaded.pipeline, one, loaded.contract),
    )


def scores(loaded: Loaded, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """What a model says of rows, shape (rows,); a `PerenneError` if that is no number."""
    found = model.predict(loaded.pipeline, rows, loaded.contract)
    wrong = ~np.isfinite(found)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise PerenneError(f"{loaded.name}: scores row {row} {found[row]}, must be a number")
    return found


def must_fit(loaded: Loaded, contract: Contract) -> None:
    """A model of an older contract can be compared as long as its rows can still be made."""
    old = loaded.contract
    for key in ("task", "target"):
        was, now = getattr(old, key), getattr(contract, key)
        if was != now:
            raise PerenneError(
                f"contract: {key}: found {now}, but that of {loaded.name} is {was}: they cannot be compared; "
                "what predicts something else is a case of its own"
            )
    for name in old.features:
        now = contract.columns[name].type if name in contract.columns else "none"
        if now != old.columns[name].type:
            raise PerenneError(
                f"contract: columns.{name}: found {now}, but {loaded.name} is scored with a "
                f"{old.columns[name].type}; keep it, with the role ignored, until the next release"
            )
