"""The differences between two commits, without scoring a model: params, contract, data, drift."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ConfigDict, ValidationError

from perenne.common import git, locked, sections, strict_json, strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.names import DRIFT, PARAMS, PLOTS, RAW, VALIDATION
from perenne.common.params import OUTSIDE
from perenne.common.typed import Model
from perenne.documents.drift import DriftAdvice
from perenne.documents.review import BatchChange, How, ParamChange, PlotRows
from perenne.registry import change, storage

M = TypeVar("M", bound=Model)

NONE = "none"


class BatchCounts(Model):
    """The rows of a batch, and those in quarantine, in `validation.json`."""

    model_config = ConfigDict(extra="ignore")

    rows: int | None = None
    quarantined: int | None = None


class Counts(Model):
    """The counts of each batch by period."""

    batches: dict[str, BatchCounts]


class Side(NamedTuple):
    """A commit, or the working tree (None), and what can be read from it."""

    rev: str | None

    def read(self, path: Path) -> bytes:
        """Return an output: of the working tree its file, of a commit from DVC's cache or remote.

        Raises
        ------
        PerenneError
            If the output of a commit is unavailable.
        FileNotFoundError
            If the working tree does not have the file.

        """
        return storage.obtain(self.rev, path) if self.rev else path.read_bytes()

    def section(self, path: Path, key: str) -> object:
        """Return what stands under a key of a JSON report; None if the report or the key is not there."""
        try:
            report = strict_json.loads(self.read(path), str(path))
        except (PerenneError, FileNotFoundError):
            return None
        return report.get(key) if isinstance(report, dict) else None

    def params(self) -> dict[str, object]:
        """Return all of params.yaml by dotted keys; the values are shown, never used.

        Raises
        ------
        PerenneError
            If a commit has no params.yaml, or it cannot be read as YAML.

        """
        text = git.text(self.rev, PARAMS) if self.rev else PARAMS.read_text(encoding="utf-8")
        tree = strict_yaml.loads(text, f"{PARAMS} of {self.rev or 'the working tree'}")
        return locked.flat(tree) if isinstance(tree, dict) else {}

    def batches(self) -> dict[str, str] | None:
        """Return the MD5 of each batch in `data/raw` by period; None if its listing is unavailable."""
        try:
            md5 = locked.load(self.rev).out(RAW).md5
            listing = storage.listing(md5, f"{RAW} of {self.rev or 'the working tree'}")
        except PerenneError:
            return None
        return {Path(path).stem: file for path, file in listing.items()}


def params(old: Side, new: Side) -> tuple[ParamChange, ...]:
    """Return the keys of params.yaml that differ: first those of the stages, then those of `OUTSIDE`."""
    before, after = old.params(), new.params()
    keys = sorted(before.keys() | after.keys(), key=lambda key: (key.startswith(OUTSIDE), key))
    return tuple(
        ParamChange(key=key, before=_text(before, key), after=_text(after, key))
        for key in keys
        if _text(before, key) != _text(after, key)
    )


def contract(old: Side, new: Side, case: str) -> tuple[str, ...]:
    """Return the changes that a caller of the model would notice; none if the case is new."""
    try:
        before, after = (sections.contract_of(case, side.rev) for side in (old, new))
    except PerenneError:
        return ()
    return tuple(change.inputs(before, after))


def data(old: Side, new: Side) -> tuple[BatchChange, ...] | None:
    """Return the batches that differ; None if a listing is unavailable."""
    before, after = old.batches(), new.batches()
    if before is None or after is None:
        return None
    counts = _read(Counts, {"batches": new.section(VALIDATION, "batches")}) or Counts(batches={})
    return tuple(
        _batch(period, before.get(period), after.get(period), counts.batches.get(period, BatchCounts()))
        for period in sorted(before.keys() | after.keys())
        if before.get(period) != after.get(period)
    )


def plots(side: Side) -> PlotRows:
    """Return the rows, as text, of the plots of the working tree that become charts."""
    return PlotRows(**{name: _csv(side, PLOTS / f"{name}.csv") for name in PlotRows.model_fields})


def _csv(side: Side, path: Path) -> tuple[tuple[str, ...], ...]:
    """The rows of a CSV file below its head; none without the file."""
    lines = side.read(path).decode().splitlines() if path.is_file() else []
    return tuple(tuple(row) for row in csv.reader(lines))[1:]


def drift(side: Side) -> DriftAdvice | None:
    """Return the advice of the stage `drift`; None if it is unavailable."""
    return _read(DriftAdvice, side.section(DRIFT, "advice"))


def _read(model: type[M], content: object) -> M | None:
    """A part of a report that a commit may have in another form; None then."""
    try:
        return model.model_validate_json(json.dumps(content))
    except ValidationError:
        return None


def case_of(side: Side) -> str:
    """Return the current case by params.yaml; `none` if it names none.

    Raises
    ------
    PerenneError
        If params.yaml cannot be read, see `Side.params`.

    """
    return str(side.params().get("case", NONE))


def _batch(period: str, before: str | None, after: str | None, counts: BatchCounts) -> BatchChange:
    how: How = "added" if before is None else "removed" if after is None else "changed"
    return BatchChange(period=period, how=how, rows=counts.rows, quarantined=counts.quarantined)


def _text(values: Mapping[str, object], key: str) -> str:
    return str(values[key]) if key in values else NONE
