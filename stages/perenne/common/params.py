"""`params.yaml` as typed, frozen sections; a stage gets only those that `dvc.yaml` declares for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.names import DAG, PARAMS
from perenne.common.typed import Model, parse

# Every integer has an upper bound: some library cannot compute with a greater one, or no memory holds it.
Periods = Annotated[int, Field(gt=0, le=100_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # as scikit-learn takes it
Rows = Annotated[int, Field(gt=0, le=10**9)]
Share = Annotated[float, Field(ge=0, le=1)]
# YAML has lists where Python has tuples, hence not strict.
Trusted = Annotated[tuple[str, ...], Field(strict=False)]
# Sections that no stage reads: the rooms that do have a model of each.
Outside = Annotated[dict[str, Any], Field(default_factory=dict)]


class Ingest(Model):
    """Where batches come from, and how far.

    A source has more keys. They stand beside the source, and `perenne.cases.source.source_of` checks them:
    every stage reads this module, and a new source must not rerun any.
    """

    model_config = ConfigDict(extra="allow")

    source: str = ""
    through: str


class Validate(Model):
    """How much of a batch may be bad before the pipeline stops."""

    max_quarantined_share: Share


class Split(Model):
    """What the model may know, and which part of that the gate judges it on; in periods of the contract.

    After a change a retraining sets `since`: nothing before it is learned from, and while there is little
    since then, window and holdout are shorter (`perenne.common.cut.Cut`). With `recalibrated`, the first and
    the last period of the window of an older model, what came since corrects the scores of that model. With
    `refit` a release puts to use the recipe fitted on all that is known by `as_of`, after the gate has proven
    the model that did not see the holdout.
    """

    as_of: str
    window: Periods
    holdout: Periods
    since: str | None = None
    recalibrated: Annotated[str, Field(pattern=r"^[^.]+\.\.[^.]+$")] | None = None
    refit: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.recalibrated and self.since is None:
            raise ValueError(f"recalibrated: found {self.recalibrated}, must be null where since is null")
        return self


class Train(Model):
    """An estimator with its own parameters.

    Parameters
    ----------
    estimator
        An import path, or a mapping of one key; see `perenne.pipeline.estimators`.
    params
        The estimator's own.
    seed
        Of all its random choices.
    trusted
        What the model file may hold of the project's own code: names such as `stages.models.Mine`. What
        `estimator` names need not be here.

    """

    # Estimators check what is theirs.
    estimator: str | dict[str, Any]
    params: dict[str, Any] = Field(default_factory=dict)
    seed: Seed
    trusted: Trusted = ()


class Tolerance(Model):
    """How wrong a model may be and still be right: one definition for drift, gate and replay.

    A deviation within it is no reason to retrain, however sure it is.

    Parameters
    ----------
    calibration
        Of observed / expected from 1; for a regression the bias, in standard deviations of the target.
    loss
        By how much the loss may rise, as a share of the loss of a dummy that predicts the mean.
    ranking
        By how much the area under the ROC curve may fall.

    """

    calibration: float = Field(default=0.05, gt=0, lt=1)
    loss: float = Field(default=0.01, ge=0, lt=1)
    ranking: float = Field(default=0.01, ge=0, lt=0.5)


class Evaluate(Model):
    """How a model is measured on validation.

    `folds`: into how many parts the training window is cut, each predicted by a model that did not see it.
    """

    folds: int = Field(default=4, ge=2, le=100)
    resamples: int = Field(ge=100, le=100_000)
    confidence: float = Field(gt=0, lt=1)
    bins: int = Field(ge=2, le=10_000)
    importance_rows: Rows
    importance_repeats: int = Field(gt=0, le=10_000)
    seed: Seed


class Drift(Model):
    """What counts as drift, and how rarely chance may raise an alarm."""

    false_discovery_rate: float = Field(gt=0, lt=1)
    min_effect: Share
    periods_per_false_alarm: int = Field(ge=2, le=1_000_000)
    report_rows: Rows
    seed: Seed


class Params(Model):
    """The whole file. `validation` is `validate` in the file: pydantic keeps that name for itself.

    No stage reads the last six. They belong to folders that run outside the DAG, and those check what is in
    them: so a new key there changes no stage's code, and retrains nothing.
    """

    case: str
    ingest: Ingest
    validation: Validate = Field(alias="validate")
    split: Split
    train: Train
    evaluate: Evaluate
    tolerance: Tolerance = Tolerance()
    drift: Drift
    gate: Outside
    review: Outside
    serve: Outside
    loop: Outside
    tune: Outside
    compute: Outside

    def __getattr__(self, name: str) -> Any:
        """Only reached for what `load` left out."""
        if name in type(self).model_fields:
            raise PerenneError(f"{DAG}: the stage reads the params section {name!r} but does not declare it")
        return super().__getattr__(name)  # type: ignore[misc]  # pydantic's, for private attributes


# The sections that no stage reads, in the order of the file.
OUTSIDE = tuple(name for name, field in Params.model_fields.items() if field.default_factory is dict)


def load(stage: str) -> Params:
    """The params of one stage: all of the file is checked, only the declared sections can be read.

    So a typo anywhere fails at once, and no stage can depend on a value that DVC does not watch for it.

    Parameters
    ----------
    stage
        Its name in dvc.yaml.

    Returns
    -------
    Params
        Reading a section that the stage does not declare raises a `PerenneError`.

    Raises
    ------
    PerenneError
        If params.yaml or dvc.yaml is missing or not valid; it names the file and what is wrong in it.
    KeyError
        If dvc.yaml has no such stage.

    """
    dag = strict_yaml.load(DAG)
    declared = set(dag["stages"][stage].get("params", []))
    return only(read_params(), declared)


def read_params(path: Path = PARAMS) -> Params:
    """All of a params.yaml; a `PerenneError` names what is wrong in it."""
    return parse(Params, strict_yaml.load(path), str(path))


def only(params: Params, sections: set[str]) -> Params:
    """The same params without the sections that are not named; reading one of those is an error.

    Parameters
    ----------
    params
        All of a params.yaml.
    sections
        The keys to keep, as the file has them: `validate`, not `validation`.

    """
    fields = type(params).model_fields.items()
    return Params.model_construct(**{n: getattr(params, n) for n, f in fields if (f.alias or n) in sections})
