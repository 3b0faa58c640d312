"""The tasks: what a target may be, and by which statistics a model of it is trained, measured and watched.

A task is data. It names its statistics and does not import them: every command reads a contract, so a
contract must load fast, and a change of a statistic must rerun only the stages that use it. The rooms that
hold the statistics know the names; `tests/test_tasks.py` fails where one of them is unknown there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["event", "class", "quantity"]
Estimator = Literal["classifier", "regressor"]
Method = Literal["predict_proba", "predict"]
Curve = Literal["roc", "residuals"]
Preset = Literal["classification", "regression"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One kind of prediction. No field has a default: a new task must decide on each.

    Parameters
    ----------
    name
        What a contract calls it.
    target_types
        The column types that its target may have.
    outcome
        What its target says: that an event came or not (1 or 0), which of several classes came (the contract
        lists them), or a quantity. See `Contract.classes`.
    estimator, method, needs
        The kind of scikit-learn estimator, the method that gives the score, and what an error calls both. Of
        an event, the score is the second column of `predict_proba`; of classes, it is all columns.
    score_range
        Between which values every score lies; None if there are no such limits.
    metrics
        Names in `perenne.stats.metrics.METRICS`, in the order of reports. The first is the loss that people
        compare models by.
    class_metrics
        Names in `METRICS`, by which each of several classes is also measured against the rest.
    loss
        A name in `METRICS`: the loss that measures the importance of features.
    streams
        What is watched on matured labels: names in `perenne.watch.streams.STREAMS`.
    calibration, calibration_title, calibration_in_sd
        The metric that says whether a model is right in the large, its name on pages, and whether it is
        judged in standard deviations of the target. With several classes, each is judged by itself.
    curve
        Which curve `evaluate` draws.
    preset
        Evidently's page for it.

    """

    name: str
    target_types: tuple[str, ...]
    outcome: Outcome
    estimator: Estimator
    method: Method
    needs: str
    score_range: tuple[float, float] | None
    metrics: tuple[str, ...]
    class_metrics: tuple[str, ...]
    loss: str
    streams: tuple[str, ...]
    calibration: str
    calibration_title: str
    calibration_in_sd: bool
    curve: Curve
    preset: Preset

    def __str__(self) -> str:
        return self.name

    def fits(self, levels: int) -> bool:
        """Whether a target with so many different values may be its own."""
        match self.outcome:
            case "event":
                return levels == 2
            case "class":
                return levels > 2
            case _:
                return True


BINARY = Task(
    name="binary",
    target_types=("integer", "boolean"),
    outcome="event",
    estimator="classifier",
    method="predict_proba",
    needs="a classifier with probabilities",
    score_range=(0.0, 1.0),
    metrics=("log_loss", "brier", "roc_auc", "average_precision", "observed_expected"),
    class_metrics=(),
    loss="log_loss",
    streams=("above", "below", "loss", "ranking"),
    calibration="observed_expected",
    calibration_title="observed / expected",
    calibration_in_sd=False,
    curve="roc",
    preset="classification",
)

MULTICLASS = Task(
    name="multiclass",
    target_types=("category", "integer"),
    outcome="class",
    estimator="classifier",
    method="predict_proba",
    needs="a classifier with probabilities",
    score_range=(0.0, 1.0),
    metrics=("log_loss", "brier", "roc_auc", "accuracy"),
    class_metrics=BINARY.metrics,
    loss="log_loss",
    streams=("above", "below", "loss", "ranking"),
    calibration="observed_expected",
    calibration_title="observed / expected",
    calibration_in_sd=False,
    curve="roc",
    preset="classification",
)

REGRESSION = Task(
    name="regression",
    target_types=("integer", "number"),
    outcome="quantity",
    estimator="regressor",
    method="predict",
    needs="a regressor",
    score_range=None,
    metrics=("mae", "rmse", "bias", "r2"),
    class_metrics=(),
    loss="mse",
    streams=("above", "below", "loss", "tails"),
    calibration="bias",
    calibration_title="bias / sd",
    calibration_in_sd=True,
    curve="residuals",
    preset="regression",
)

TASKS: dict[str, Task] = {task.name: task for task in (BINARY, MULTICLASS, REGRESSION)}


def named(name: object) -> Task:
    """The task that a contract calls so; a task itself is returned as it is.

    Raises
    ------
    ValueError
        Names the value and what would be accepted.

    """
    if isinstance(name, Task):
        return name
    if not isinstance(name, str) or name not in TASKS:
        valid = " or ".join(filter(None, [", ".join(map(repr, [*TASKS][:-1])), repr([*TASKS][-1])]))
        raise ValueError(f"found {name!r}, must be {valid}")
    return TASKS[name]
