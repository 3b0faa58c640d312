"""A history, and every model that is ever trained on it: each made once, by the functions of the stages."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from perenne.cases.source import source_of
from perenne.common import batches, disk, kept, model, names, periods, predicted
from perenne.common.cut import Cut, Part
from perenne.common.errors import PerenneError
from perenne.common.features import BatchFeatures
from perenne.documents.card import load_model, save_model
from perenne.documents.replay import Figures
from perenne.pipeline import folds, ingest, split, train, validate
from perenne.registry import own_code
from perenne.replay import batch_figures
from perenne.replay.plan import Plan

Array = npt.NDArray[np.float64]
T = TypeVar("T")

FOLDER = Path("data/reports/replay")
# In memory; the rest is on disk or made again.
BATCHES_HELD, BLOCKS_HELD, MODELS_HELD, SCORES_HELD, FILES_HELD = 32, 1024, 4, 128, 8
# All that a history and its models are made by: a list of modules would soon lack one.
MADE_BY = "cases/*.py", "common/*.py", "pipeline/*.py", "stats/*.py", "replay/batch_figures.py"


class Trained(NamedTuple):
    """A model, what its dummy says, and the size of its file in bytes."""

    pipeline: Pipeline
    mean: predicted.Mean
    size: int


class World:
    """One history with its models.

    While a decision is taken `now` is set, and a label that has not matured by then cannot be had.
    """

    def __init__(self, plan: Plan, folder: Path = FOLDER) -> None:
        """Bring in the history, unless it is there already."""
        self.plan, self.contract = plan, plan.contract
        self.now: pd.Period | None = None
        source = [plan.params.ingest.model_dump(), plan.params.validation.model_dump(), repr(plan.contract)]
        made_by = kept.code(*MADE_BY)
        own = own_code.on_disk(self.contract) if self.contract.coded else {}
        self.key = kept.key("history", source, made_by, *([own] if own else []))
        self.folder = folder / "cache" / self.key
        self._rows: OrderedDict[Hashable, pd.DataFrame] = OrderedDict()
        self._blocks: OrderedDict[Hashable, npt.NDArray[Any]] = OrderedDict()
        self._trained: OrderedDict[Hashable, Trained] = OrderedDict()
        self._scores: OrderedDict[Hashable, Array] = OrderedDict()
        self._known: OrderedDict[Hashable, dict[str, Figures]] = OrderedDict()
        self._bring()
        self.files = batches.listed(self.folder / "clean", self.contract)

    def _bring(self) -> None:
        """Ingest and validate, as the stages do, one batch after another."""
        clean, plan = self.folder / "clean", self.plan
        with kept.alone(clean):
            if clean.exists():
                return
            source = source_of(plan.params.ingest, plan.case)
            with TemporaryDirectory(prefix="perenne-") as raw, disk.replacing(clean) as folder:
                for period, rows in ingest.tables(source, self.contract):
                    batches.write_parquet(Path(raw) / f"{periods.stem(period)}.parquet", rows)
                arrived = batches.listed(Path(raw), self.contract)
                derived = BatchFeatures(self.contract)
                # As in the stage: labels come after the last batch, not after `ingest.through`.
                most = plan.params.validation.max_quarantined_share
                check = validate.BatchCheck(self.contract, max(arrived), most)
                for period, path in arrived.items():
                    good = check.kept(batches.read_table(path), period, names.RAW / path.name)
                    whole = derived.add(good, period)
                    table = batches.to_table(whole, batches.schema(self.contract))
                    batches.write_parquet(folder / path.name, table)

    @cached_property
    def first(self) -> pd.Period:
        """The `as_of` of the first model."""
        chosen = self.plan.settings.as_of
        if chosen:
            return self.plan.period("as_of", chosen)
        least = self.plan.params.split.window + self.plan.params.split.holdout - 1
        later = (p for p in self.files if p >= min(self.files) + least)
        return next((p for p in later if self.plan.cut(p).fits(self.files)), max(self.files))

    @cached_property
    def last(self) -> pd.Period:
        """The last batch whose labels have matured."""
        return max(self.files) - self.contract.label_delay

    def rows(self, period: pd.Period) -> pd.DataFrame:
        """The labelled rows of a batch.

        Returns
        -------
        The contract's columns, in the types of the stages.

        Raises
        ------
        RuntimeError
            If its labels have not matured by `now`: a decision would use what could not be known.

        """
        if self.now is not None and period + self.contract.label_delay > self.now:
            raise RuntimeError(f"the labels of {period} are not known in {self.now}")

        def read() -> pd.DataFrame:
            known = split.labelled(batches.read_parquet(self.files[period]), self.contract.target)
            typed: pd.DataFrame = batches.to_table(known, batches.schema(self.contract)).to_pandas()
            return typed

        return _held(self._rows, period, BATCHES_HELD, read)

    def blocks(self, period: pd.Period) -> npt.NDArray[Any]:
        """The distinct blocks of the labelled rows of a batch; without a `block`, the numbers of its rows."""

        def distinct() -> npt.NDArray[Any]:
            rows, block = self.rows(period), self.contract.block
            return np.arange(len(rows)) if block is None else rows[block].unique()  # asked again each day

        return _held(self._blocks, period, BLOCKS_HELD, distinct)

    def parts(self, cut: Cut) -> dict[Part, list[pd.Period]]:
        """The periods that a model learns from, and those that measure it.

        Raises
        ------
        PerenneError
            If the cut does not fit the history, or a part of it has no batch.

        """
        parts = dict(split.split(self.files, cut))
        for part, held in parts.items():
            if not held:
                raise PerenneError(
                    f"as_of {cut.as_of}: no batch in the periods of the {part}; choose another"
                )
        return parts

    def learned(self, cut: Cut) -> list[pd.Period]:
        """The periods that a model learns from or is recalibrated by; it may have no holdout."""
        return self.parts(cut)["train"] if cut.holdout else split.learned(self.files, cut)

    def name(self, cut: Cut) -> str:
        """The model's name on disk: by what it learns from, and how."""
        learned = [str(period) for period in self.learned(cut)]
        recent = [str(period) for period in self.learned(cut) if cut.recalibrates(period)]
        return kept.key("model", self.key, [learned, recent], self.plan.params.train.model_dump())

    def released(self, cut: Cut) -> Cut:
        """The cut of the model that is put to use once that of another cut is proven."""
        return cut.refitted() if self.plan.params.split.refit else cut

    def champion(self, cut: Cut, held: list[pd.Period]) -> Cut:
        """The cut of the model that stands for a champion where others are measured on some batches.

        It is the model in use, unless that one has learned from their labels: then the one that was proven.
        """
        used = self.released(cut)
        seen = any(used.part(period) == "train" for period in held)
        return cut if seen else used

    def trained(self, cut: Cut) -> Trained:
        """The model that the pipeline would make of this cut."""
        return _held(self._trained, cut, MODELS_HELD, lambda: self._train(cut))

    def _train(self, cut: Cut) -> Trained:
        path = self.folder / "models" / f"{self.name(cut)}.skops"
        card = path.with_suffix(".json")
        spec, contract = self.plan.params.train, self.contract
        with kept.alone(path):
            if not card.exists():
                learned = pd.concat(map(self.rows, self.learned(cut)), ignore_index=True)
                save_model(*train.made(learned, cut, spec, contract), path, card)
        pipeline, content = load_model(path, card)
        mean = math.nan if content.mean_target is None else content.mean_target
        return Trained(pipeline, mean, path.stat().st_size)

    def validated(self, cut: Cut) -> pd.DataFrame:
        """The rows of the window of a cut, predicted by models that did not see them."""
        count = self.plan.params.evaluate.folds
        key = kept.key("validated", self.name(cut), count)
        path = self.folder / "validated" / f"{key}.parquet"
        with kept.alone(path):
            if not path.exists():
                learned = pd.concat(map(self.rows, self.parts(cut)["train"]), ignore_index=True)
                made, spec = self.trained(cut).pipeline, self.plan.params.train
                held = folds.held(learned, cut, made, spec, self.contract, count)
                path.parent.mkdir(parents=True, exist_ok=True)
                batches.write_parquet(path, held.table(self.contract))
        return batches.read_parquet(path)

    def scores(self, cut: Cut, period: pd.Period) -> Array:
        """The scores of the labelled rows of a batch, rounded as `evaluate` does.

        Returns
        -------
        Shape (rows,), or (rows, classes) where there are several.

        """

        def score() -> Array:
            return model.predict(self.trained(cut).pipeline, self.rows(period), self.contract).round(
                folds.PLACES
            )

        return _held(self._scores, (cut, period), SCORES_HELD, score)

    def figures(self, cut: Cut, period: pd.Period) -> Figures:
        """How a model did on a batch, in hindsight: whatever `now` is.

        Returns
        -------
        The figures; new ones are also appended to the model's file under `figures/`.

        """
        path = self.folder / "figures" / f"{self.name(cut)}.jsonl"
        known = _held(self._known, path, FILES_HELD, lambda: _lines(path))
        if str(period) not in known:
            now, self.now = self.now, None
            try:
                known[str(period)] = self._measured(cut, period)
            finally:
                self.now = now
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([str(period), known[str(period)]]) + "\n")
        return known[str(period)]

    def _measured(self, cut: Cut, period: pd.Period) -> Figures:
        return batch_figures.figures(self.rows(period), self.scores(cut, period), self.contract)


def _held(held: OrderedDict[Hashable, T], name: Hashable, most: int, make: Callable[[], T]) -> T:
    """The value of a name, made if it is not held; the least recently used one is dropped."""
    value = held.pop(name) if name in held else make()
    held[name] = value
    while len(held) > most:
        held.popitem(last=False)
    return value


def _lines(path: Path) -> dict[str, Figures]:
    """The lines of a file by their first item; the last one may have been cut off by a kill."""
    lines: dict[str, Figures] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            name, value = json.loads(line)
        except ValueError:
            continue
        lines[name] = batch_figures.restored(value)
    return lines
