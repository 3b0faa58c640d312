"""Split: which rows the model may learn from, and which measure it, by `split.as_of` alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from perenne.common import batches, contract, params, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError

CLEAN = Path("data/clean")
TRAIN, HOLDOUT = Path("data/split/train.parquet"), Path("data/split/holdout.parquet")
REPORT = Path("data/reports/split.json")

Part = Literal["train", "holdout"]
WRITES: Mapping[Part, Path] = {"train": TRAIN, "holdout": HOLDOUT}


class Cut(NamedTuple):
    """Where history is cut: `window` periods to learn from, then `holdout` periods up to `as_of`."""

    as_of: pd.Period
    window: int
    holdout: int
    label_delay: int

    @property
    def known(self) -> pd.Period:
        """The last period of which anything may reach the training rows: the holdout begins after it."""
        return self.as_of - self.holdout

    def part(self, period: pd.Period) -> Part | None:
        """The part that the rows of a period belong to, None for neither.

        A label is known `label_delay` periods after its row. What is learned must be known before the
        holdout begins, label included: else the holdout's own events would teach the model that they
        test. What measures must be known by `as_of`. So each part loses its last `label_delay` periods.

        >>> cut = Cut(pd.Period("2019Q4"), window=20, holdout=4, label_delay=1)
        >>> [cut.part(pd.Period(q)) for q in ("2014Q1", "2018Q3", "2018Q4", "2019Q1", "2019Q3", "2019Q4")]
        ['train', 'train', None, 'holdout', 'holdout', None]
        """
        labelled = period + self.label_delay
        if self.known - self.window < period and labelled <= self.known:
            return "train"
        if self.known < period and labelled <= self.as_of:
            return "holdout"
        return None


def split(history: Iterable[pd.Period], cut: Cut) -> Mapping[Part, list[pd.Period]]:
    """The periods of each part, oldest first; a `PerenneError` says which param does not fit the history."""
    known = sorted(history)
    oldest, newest = known[0], known[-1]
    where = f"the batches go from {oldest} to {newest}"
    if not oldest <= cut.as_of <= newest:
        raise PerenneError(f"params.yaml: split.as_of: {str(cut.as_of)!r} is outside the history; {where}")
    first = cut.known - cut.window + 1
    if first < oldest:
        most = (cut.known - oldest).n + 1
        fits = (
            f"at most {most} would do"
            if most > 0
            else f"split.holdout ({cut.holdout}) leaves nothing before it"
        )
        raise PerenneError(
            f"params.yaml: split.window: {cut.window} periods begin in {first}; {where}; {fits}"
        )
    for name, length in (("holdout", cut.holdout), ("window", cut.window)):
        if length <= cut.label_delay:
            raise PerenneError(
                f"params.yaml: split.{name}: {length} leaves no matured label (labels come {cut.label_delay} "
                f"period(s) late); at least {cut.label_delay + 1} would do"
            )
    parts: dict[Part, list[pd.Period]] = {"train": [], "holdout": []}
    for period in known:
        part = cut.part(period)
        if part:
            parts[part].append(period)
    return parts


def labelled(rows: pd.DataFrame, target: str) -> pd.DataFrame:
    """The rows whose outcome is known; a matured label may still never have come."""
    return rows[rows[target].notna()]


def main() -> None:
    """Write the two parts, one row group a batch, and what they hold."""
    p = params.load("split")
    rows = contract.load(p.case)
    as_of = periods.parse(p.split.as_of, rows.period, "params.yaml: split.as_of")
    files = batches.listed(CLEAN, rows)
    parts = split(files, Cut(as_of, p.split.window, p.split.holdout, rows.label_delay))
    report = {
        part: gather({period: files[period] for period in chosen}, WRITES[part], rows)
        for part, chosen in parts.items()
    }
    batches.write_json(REPORT, report)


def gather(files: Mapping[pd.Period, Path], path: Path, rows: Contract) -> dict[str, Any]:
    """Write the labelled rows of some batches into one file, a batch at a time, and count them."""
    like = batches.schema(rows)
    written, total, sums = 0, 0, 0.0
    with batches.replacing(path) as temporary:
        with pq.ParquetWriter(temporary, like, compression="zstd") as writer:
            for file in files.values():
                batch = batches.read_parquet(file)
                known = labelled(batch, rows.target)
                writer.write_table(batches.to_table(known, like))
                written, total = written + len(known), total + len(batch)
                sums += float(known[rows.target].sum())
        if not written:
            found = f"of {total} rows none has a label" if files else "no batch in its periods"
            raise PerenneError(f"{path}: would be empty: {found}; move split.as_of or widen the {path.stem}")
    ends = {"from": str(min(files)), "to": str(max(files)), "batches": len(files)}
    return ends | {"rows": written, "unlabelled": total - written, "mean_target": sums / written}
