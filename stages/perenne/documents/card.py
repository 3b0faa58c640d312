"""The model card, `data/model/model.json`: what the model was made of, and the rows it takes.

The model that a release puts to use has a card of its own, `data/model/released.json`.

`perenne.common.model` writes and reads the model file and the card, and compares the sha256. The content of
the card is defined here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from sklearn.pipeline import Pipeline

from perenne.common import model_file
from perenne.common.column import Type
from perenne.common.document import Rounded, UnnumberedDocument
from perenne.common.names import CARD, MODEL
from perenne.common.params import Trusted
from perenne.common.typed import Model


class CardFeature(Model):
    """A feature; `missing` says whether its values may be missing."""

    name: str
    type: Type
    missing: bool


class CardCategory(CardFeature):
    """A feature that is a category, with all its values seen in training."""

    type: Literal["category"]
    categories: tuple[str, ...]


class CardRecalibration(Model):
    """How the model's scores are corrected: see `perenne.common.recalibrated.Recalibrated`."""

    form: str
    intercept: float | tuple[float, ...] | None = None
    slope: float | None = None
    offsets: dict[str, dict[str, float]] | None = None


class ModelDescription(UnnumberedDocument):
    """What the model was made of; `mean_target` is what the dummy predicts, one number a class if several.

    `trusted` lists what the model file may hold of the project's own code.

    A model that has seen the holdout has neither `mean_target` nor `recalibration`: they tell of its labels.
    """

    estimator: str | dict[str, Any]  # an expression, see `perenne.pipeline.estimators`
    trusted: Trusted = ()
    params: dict[str, Any]  # the estimator's own: scikit-learn checks them
    rows: int
    task: str
    target: str
    mean_target: Rounded | tuple[Rounded, ...] | None
    features: tuple[CardCategory | CardFeature, ...]
    recalibration: CardRecalibration | None = None

    def categories(self) -> dict[str, frozenset[str]]:
        """The values of each category that were seen in training, by feature."""
        return {f.name: frozenset(f.categories) for f in self.features if isinstance(f, CardCategory)}


class ModelCard(ModelDescription):
    """The description, and the sha256 of the model file."""

    sha256: str


def save_model(
    pipeline: Pipeline, description: ModelDescription, path: Path = MODEL, beside: Path = CARD
) -> None:
    """Write the model file, and beside it its card.

    Parameters
    ----------
    pipeline
        The fitted model.
    description
        The card without the sha256, which is computed here.
    path, beside
        The model file and its card.

    Raises
    ------
    PerenneError
        If the file could not be loaded again; then nothing is written.

    """
    model_file.save(pipeline, description.to_json(), path, beside)


def load_model(path: Path = MODEL, beside: Path = CARD) -> tuple[Pipeline, ModelCard]:
    """Read the pipeline and its card.

    Parameters
    ----------
    path, beside
        The model file and its card.

    Raises
    ------
    PerenneError
        If a file is missing, the sha256 on the card is not that of the file, the file holds types that are
        not trusted, or the card cannot be read.

    """
    pipeline, content = model_file.load(path, beside)
    return pipeline, ModelCard.from_json(content, str(beside))
