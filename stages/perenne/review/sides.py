"""What two commits differ in, before any model is scored: params, contract, data, drift."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

from perenne.common import git, locked, sections, strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.names import DRIFT, PARAMS, PLOTS, RAW, VALIDATION
from perenne.registry import change, storage

OUTSIDE = ("gate", "review", "serve", "loop")  # the sections of params.yaml that no stage reads
NONE = "none"


class Changed(NamedTuple):
    """A value before and after; `none` where there is none."""

    key: str
    before: str
    after: str


class Batch(NamedTuple):
    """A batch that came, went or changed: `rows` and `quarantined` are those of the later commit."""

    period: str
    how: str
    rows: int | None
    quarantined: int | None


class Side(NamedTuple):
    """A commit, or the working tree (None), as what it holds is read."""

    rev: str | None

    def read(self, path: Path) -> bytes:
        """An output: of the working tree as it lies there, of a commit from DVC's cache or remote."""
        return storage.obtain(self.rev, path) if self.rev else path.read_bytes()

    def report(self, path: Path) -> Any:
        """A report in JSON; None if no stage makes it, or it cannot be had."""
        try:
            return json.loads(self.read(path))
        except (PerenneError, FileNotFoundError):
            return None

    def params(self) -> dict[str, Any]:
        """All of params.yaml, by dotted keys."""
        text = git.show(self.rev, PARAMS).decode() if self.rev else PARAMS.read_text(encoding="utf-8")
        found = strict_yaml.loads(text, f"{PARAMS} of {self.rev or 'the working tree'}")
        return locked.flat(found) if isinstance(found, dict) else {}

    def batches(self) -> dict[str, str] | None:
        """The MD5 of each batch in `data/raw`, by period; None if its listing cannot be had."""
        try:
            md5 = locked.load(self.rev).out(RAW).md5
            listing = json.loads(storage.named(md5, f"{RAW} of {self.rev or 'the working tree'}"))
        except PerenneError:
            return None
        return {Path(entry["relpath"]).stem: entry["md5"] for entry in listing}


def params(old: Side, new: Side) -> list[Changed]:
    """Every key of params.yaml whose value is another one."""
    before, after = old.params(), new.params()
    keys = sorted(before.keys() | after.keys(), key=lambda key: (key.startswith(OUTSIDE), key))
    return [
        Changed(key, _text(before, key), _text(after, key))
        for key in keys
        if _text(before, key) != _text(after, key)
    ]


def contract(old: Side, new: Side, case: str) -> list[str]:
    """What a caller of the model would notice; nothing if the case is new."""
    try:
        before, after = (sections.contract_of(case, side.rev) for side in (old, new))
    except PerenneError:
        return []
    return list(change.inputs(before, after))


def data(old: Side, new: Side) -> list[Batch] | None:
    """The batches that are not the same in both; None if it cannot be told."""
    before, after = old.batches(), new.batches()
    if before is None or after is None:
        return None
    counts = (new.report(VALIDATION) or {}).get("batches", {})
    return [
        _batch(period, before.get(period), after.get(period), counts.get(period, {}))
        for period in sorted(before.keys() | after.keys())
        if before.get(period) != after.get(period)
    ]


def plots(side: Side) -> dict[str, list[list[str]]]:
    """The rows, as text, of the plots of the working tree that charts are made of."""
    found = {}
    for name in ("reliability", "slices", "timeline"):
        path = PLOTS / f"{name}.csv"
        lines = side.read(path).decode().splitlines() if path.is_file() else []
        found[name] = list(csv.reader(lines))[1:]
    return found


def drift(side: Side) -> dict[str, Any] | None:
    """The advice of the stage `drift`: level and reasons."""
    advice = (side.report(DRIFT) or {}).get("advice")
    return advice if isinstance(advice, dict) else None


def case_of(side: Side) -> str:
    """The current case."""
    return str(side.params().get("case", NONE))


def _batch(period: str, before: str | None, after: str | None, counts: dict[str, int]) -> Batch:
    how = "added" if before is None else "removed" if after is None else "changed"
    return Batch(period, how, counts.get("rows"), counts.get("quarantined"))


def _text(values: dict[str, Any], key: str) -> str:
    return str(values[key]) if key in values else NONE
