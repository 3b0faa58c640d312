"""Refit: the model that a release puts to use, `data/model/released.skops`.

The gate proves a model that has not seen the holdout. By then the holdout's labels are known, and they are
the latest there are: so the same recipe is fitted once more, on all that is known by `as_of`. Without
`split.refit` what is released is what was proven, byte for byte.

The model is sealed as the holdout is: whoever looks into it sees what the holdout's labels are. So nothing
that the stages report is about it, and its card says nothing of labels.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

from perenne.common import disk, params, project_code
from perenne.common.contract import read_contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.names import CARD, MODEL, REFIT, RELEASED, RELEASED_CARD
from perenne.documents.card import ModelDescription, save_model
from perenne.pipeline import train


def main() -> None:
    """Write the model file and its card."""
    p = params.load("refit")
    if not p.split.refit:
        _copy(MODEL, RELEASED)
        _copy(CARD, RELEASED_CARD)
        return
    contract = read_contract(p.case)
    cut = Cut.released(p.split, contract)
    try:
        with train.opened_for(p.train) as workers:
            made = train.made_of(REFIT, cut, p.train, contract, workers)
    except PerenneError as error:
        raise PerenneError(f"{error}; with split.refit: false the proven model is released") from error
    project_code.check_deps("refit")
    save_model(made.pipeline, sealed(made.card), RELEASED, RELEASED_CARD)


def sealed(card: ModelDescription) -> ModelDescription:
    """A card without what it says of labels: their mean, and by how much scores are corrected."""
    return card.model_copy(update={"mean_target": None, "recalibration": None})


def _copy(path: Path, to: Path) -> None:
    with disk.replacing(to) as temporary:
        copyfile(path, temporary)
