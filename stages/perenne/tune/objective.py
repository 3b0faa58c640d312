"""What a trial is worth: the metric on validation, as `evaluate` measures it, and its gain over what stands.

Only the rows of the training window are read. The holdout's are not opened.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Self

import pandas as pd

from perenne.common import batches, project_code, sections
from perenne.common.block import Block
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.names import TRAIN
from perenne.common.params import Train
from perenne.compute.engine import Workers
from perenne.compute.local import HERE
from perenne.pipeline import evaluate, folds, train
from perenne.review import pairing
from perenne.stats.metrics import METRICS
from perenne.tune.journal import Trial, numbers, rounded
from perenne.tune.space import Settings, applied

LONGEST = 200  # characters of a reason


class Objective:
    """Measures settings on the walk-forward folds of the training window."""

    def __init__(
        self,
        rows: pd.DataFrame,
        contract: Contract,
        metric: str,
        tree: Mapping[str, object],
        cut: Cut,
        count: int,
        workers: Workers = HERE,
    ) -> None:
        """Fit the params as they stand: every trial is compared with them.

        Parameters
        ----------
        rows
            Of the part `train`.
        contract
            What they are.
        metric
            What counts: one that has a paired test.
        tree
            The section `train` of params.yaml, as YAML has it.
        cut, count
            Where history is cut, and how many folds the training window has.
        workers
            What fits the models of the folds; see `folds.validation`.

        Raises
        ------
        PerenneError
            If the params as they stand cannot be fitted.

        """
        self.rows, self.contract, self.metric = rows, contract, metric
        self.tree, self.cut, self.count, self.workers = tree, cut, count, workers
        self.now = self._validated(applied(tree, {}).spec)
        self.block: Block = evaluate.dependence(self.now, contract).block.single

    @classmethod
    def of(cls, contract: Contract, metric: str, workers: Workers = HERE) -> Self:
        """Return the objective of the working tree."""
        p, tree = sections.params(), sections.tree()["train"]
        rows = batches.read_parquet(TRAIN)
        return cls(rows, contract, metric, tree, Cut.of(p.split, contract), p.evaluate.folds, workers)

    def trial(self, number: int, settings: Settings) -> Trial:
        """Try some settings; an estimator that refuses them is a result too."""
        try:
            rows = self.now if number == 0 else self._validated(applied(self.tree, settings).spec)
            return self._measured(number, settings, rows)
        except PerenneError as error:
            return Trial(number=number, settings=settings, failed=_reason(str(error)))
        except project_code.FAILURES as error:  # whatever somebody's estimator raises
            return Trial(number=number, settings=settings, failed=_reason(f"{type(error).__name__}: {error}"))

    def _measured(self, number: int, settings: Settings, rows: pd.DataFrame) -> Trial:
        pair = pairing.pair_of(rows, self.now, self.contract, self.block)
        if pair is None:
            raise PerenneError("its validation has other rows than that of the params as they stand")
        compared = pair.compared(self.metric)
        if not math.isfinite(compared.value):
            raise PerenneError(f"its {self.metric} is not defined")
        gained = numbers(compared.gain)
        known = number and not compared.too_few and all(math.isfinite(error) for _, error, *_ in gained)
        return Trial(
            number=number,
            settings=settings,
            value=rounded(compared.value),
            shortfall=rounded(METRICS[self.metric].goal.shortfall(compared.value)),
            gained=gained if known else (),
        )

    def _validated(self, spec: Train) -> pd.DataFrame:
        """The rows of validation, each with the prediction of a model that did not see it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that a fit has not converged: its figure says enough
            if self.cut.recalibrate:
                pipeline = train.made(self.rows, self.cut, spec, self.contract).pipeline
                return folds.held(self.rows, self.cut, pipeline, spec, self.contract, self.count).rows
            return folds.validation(self.rows, spec, self.contract, self.count, self.workers).rows


def _reason(text: str) -> str:
    return " ".join(text.rpartition("params.yaml: ")[2].split())[:LONGEST]
