"""The models that are compared: that of the working tree, and those of commits, loaded from their files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from perenne.common import code_of, model, model_file, names, predicted, project_code, strict_json
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.sections import contract_of
from perenne.gate.evidence import Contender
from perenne.registry import own_code, storage
from perenne.registry.tags import TaggedModel


class Loaded(NamedTuple):
    """A model with what is needed to score rows; `sha256` and `size` (bytes) are those of its file.

    `commit` is where it is from; None: the working tree.
    """

    name: str
    pipeline: Pipeline
    sha256: str
    contract: Contract
    size: int
    commit: str | None = None


def here(contract: Contract, path: Path = names.MODEL, name: str = "the challenger") -> Loaded:
    """Return a model of the working tree, by default the challenger.

    Parameters
    ----------
    contract
        The contract that the model is scored with.
    path
        The model file; its card lies beside it.
    name
        What findings and errors call the model.

    Raises
    ------
    PerenneError
        If the model file or its card is missing, the sha256 on the card is not that of the file, or the file
        holds types that are not trusted.

    """
    pipeline, card = model_file.load(path, path.with_suffix(".json"))
    return Loaded(name, pipeline, str(card["sha256"]), contract, path.stat().st_size)


def of(rev: str, name: str, case: str, tagged: TaggedModel | None = None) -> Loaded:
    """Load a model of a commit, from DVC's cache or remote.

    Parameters
    ----------
    rev
        The commit.
    name
        What findings and errors call the model.
    case
        Whose contract the model is scored with.
    tagged
        The file, with the sha256 that it must have; None: the model that the commit proves, with that of its
        card.

    Raises
    ------
    PerenneError
        If the file is unavailable, or another one.

    """
    path, card_path = (tagged.path, tagged.card) if tagged else (names.MODEL, names.CARD)
    data = storage.obtain(rev, path)
    card = strict_json.loads(storage.obtain(rev, card_path), f"{card_path} of {rev}")
    recorded = card.get("sha256") if isinstance(card, dict) else None
    if recorded is None:
        raise PerenneError(f"{card_path} of {rev}: holds no sha256 of the model")
    actual = hashlib.sha256(data).hexdigest()
    required = tagged.sha256 if tagged else None
    for expected, source in ((recorded, f"{card_path} of {rev}"), (required, f"the tag of {name}")):
        if expected not in (None, actual):
            raise PerenneError(f"{path} of {rev}: its sha256 is {actual}, but {source} says {expected}")
    trusted = card.get("trusted", ())
    with code_of.commit(rev, trusted):
        pipeline = model_file.loads(data, f"{path} of {rev}", trusted)
    return Loaded(name, pipeline, actual, contract_of(case, rev), len(data), rev)


def contender(loaded: Loaded, rows: pd.DataFrame, contract: Contract) -> Contender:
    """Return a model as the rules see it: its scores on the rows, its size, and how to score one row.

    Parameters
    ----------
    loaded
        The model, with its own contract.
    rows
        The holdout, one row a case. The first row is the one that `score_one` scores.
    contract
        That of the challenger and of the rows.

    Raises
    ------
    PerenneError
        If the model cannot score rows of this contract, or a score is NaN or infinite.

    """
    must_fit(loaded, contract)
    one = rows.iloc[[0]]
    scored = scores(loaded, rows)
    mine, its = predicted.several(contract), predicted.several(loaded.contract)
    if mine != its:  # the same in another order
        scored = scored[:, [its.index(name) for name in mine]]
    return Contender(
        loaded.name,
        scored,
        loaded.size,
        lambda: model.predict(loaded.pipeline, one, loaded.contract),
    )


def scores(loaded: Loaded, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return a model's scores of rows, shape (rows,), or (rows, classes) in the order of its own contract.

    Raises
    ------
    PerenneError
        If code of the project fails, or the model does not give a number for each row; names the model, and
        the row, counted from 0, unless it fails for all.

    """
    try:
        return project_code.of_rows(lambda some: model.predict(loaded.pipeline, some, loaded.contract), rows)
    except project_code.CodeError as error:
        row = "" if error.row is None else f"row {error.row}: "
        raise PerenneError(f"{loaded.name}: {row}{error}") from error


def must_fit(loaded: Loaded, contract: Contract) -> None:
    """Check that a model of an older contract can score rows of this one.

    Parameters
    ----------
    loaded
        The model, with its own contract.
    contract
        That of the rows.

    Raises
    ------
    PerenneError
        If the task, the target or its classes differ, or a feature of the model is missing or of another
        type.

    """
    old = loaded.contract
    for key in ("task", "target"):
        was, now = getattr(old, key), getattr(contract, key)
        if was != now:
            raise PerenneError(
                f"contract: {key}: found {now}, but that of {loaded.name} is {was}: they cannot be compared; "
                "make a new case for another prediction"
            )
    was, now = ((", ".join(sorted(predicted.several(each)))) for each in (old, contract))
    if was != now:
        raise PerenneError(
            f"contract: columns.{contract.target}: found the classes {now}, but {loaded.name} knows {was}: "
            "they cannot be compared; make a new case for other classes"
        )
    must_have_features(loaded, contract)


def must_have_features(loaded: Loaded, contract: Contract) -> None:
    """Check that rows of a contract have all features of a model, made as those that it has learned from.

    Parameters
    ----------
    loaded
        The model, with its own contract.
    contract
        That of the rows, in the working tree.

    Raises
    ------
    PerenneError
        If a feature of the model is missing, of another type, or made in another way.

    """
    old = loaded.contract
    for name in old.features:
        now = contract.columns[name].type if name in contract.columns else "none"
        if now != old.columns[name].type:
            raise PerenneError(
                f"contract: columns.{name}: found {now}, but {loaded.name} is scored with a "
                f"{old.columns[name].type}; keep it, with the role ignored, until the next release"
            )
        if old.made_of(name) != contract.made_of(name):
            raise PerenneError(
                f"contract: derived.{name}: is not made as in {loaded.name}, which has learned from other "
                f"values; give the new one another name, and keep the old one, with the role ignored, until "
                "the next release"
            )
    if loaded.commit and set(old.coded) & set(old.features):
        then, today = own_code.files(loaded.commit), own_code.files()
        for file in sorted(then):
            if then[file] != today.get(file):
                raise PerenneError(
                    f"{file}: is not as in {loaded.name}, whose features it makes; put the new code into "
                    "another file and feature, and keep the old ones, with the role ignored, until the next "
                    "release"
                )
