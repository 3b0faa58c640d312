"""Split: the rows that the model learns from, those that measure it, and those of a refit, as of `as_of`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perenne.common import batches, disk, params
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut, Part
from perenne.common.errors import PerenneError
from perenne.common.names import CLEAN, HOLDOUT, REFIT, SPLIT, TRAIN
from perenne.documents.split import SplitPart, SplitReport


def split(history: Iterable[pd.Period], cut: Cut) -> Mapping[Part, list[pd.Period]]:
    """The periods of each part, oldest first.

    Parameters
    ----------
    history
        The periods that have a batch, at least one.
    cut
        Where to cut them.

    Returns
    -------
    The periods of `train` and of `holdout`; those in neither part are left out.

    Raises
    ------
    PerenneError
        If `as_of` is outside the history, the window begins before it, or a part is too short for matured
        labels.

    """
    known = sorted(history)
    oldest, newest = known[0], known[-1]
    where = f"the batches go from {oldest} to {newest}"
    if not oldest <= cut.as_of <= newest:
        raise PerenneError(f"params.yaml: split.as_of: {str(cut.as_of)!r} is outside the history; {where}")
    if cut.first < oldest:
        most = (cut.learned - oldest).n + 1
        later = "split.recalibrated" if cut.recalibrate else f"split.holdout ({cut.holdout})"
        fits = f"at most {most} would do" if most > 0 else f"{later} leaves nothing before it"
        raise PerenneError(
            f"params.yaml: split.window: {cut.window} periods begin in {cut.first}; {where}; {fits}"
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
    if cut.recalibrate and not any(map(cut.recalibrates, parts["train"])):
        raise PerenneError(
            f"params.yaml: split.since: no batch with labels in the {cut.recalibrate} period(s) through "
            f"{cut.known}; {where}"
        )
    return parts


def learned(history: Iterable[pd.Period], cut: Cut) -> list[pd.Period]:
    """The periods that a model learns from or is recalibrated by, oldest first; its cut may have no holdout.

    Parameters
    ----------
    history
        The periods that have a batch.
    cut
        Where to cut them.

    """
    return [period for period in sorted(history) if cut.part(period) == "train"]


def labelled(rows: pd.DataFrame, target: str) -> pd.DataFrame:
    """The rows whose outcome is known; even a matured label may be missing."""
    return rows[rows[target].notna()]


def main() -> None:
    """Write the parts, one row group per batch, and a report of what they contain."""
    p = params.load("split")
    contract = read_contract(p.case)
    files = batches.listed(CLEAN, contract)
    parts = split(files, Cut.of(p.split, contract))

    def written(chosen: Iterable[pd.Period], path: Path) -> SplitPart:
        return gather({period: files[period] for period in chosen}, path, contract)

    SplitReport(
        train=written(parts["train"], TRAIN),
        holdout=written(parts["holdout"], HOLDOUT),
        refit=written(learned(files, Cut.released(p.split, contract)), REFIT),
    ).write(SPLIT)


def gather(files: Mapping[pd.Period, Path], path: Path, contract: Contract) -> SplitPart:
    """Write the labelled rows of some batches into one file, one batch at a time, and count them.

    Parameters
    ----------
    files
        The batches of a part, by period.
    path
        The Parquet file to write.
    contract
        What the rows are.

    Returns
    -------
    The periods, and the numbers of rows with and without a label.

    Raises
    ------
    PerenneError
        If no row has a label; then nothing is written.

    """
    like = batches.schema(contract)
    written, total = 0, 0
    with disk.replacing(path) as temporary:
        with pq.ParquetWriter(temporary, like, compression="zstd") as writer:
            for file in files.values():
                batch = batches.read_table(file).select(like.names)
                # As a table from one file to the other: a frame of each of many small batches costs more.
                known = batch.filter(pc.invert(batch[contract.target].is_null(nan_is_null=True)))
                writer.write_table(known.cast(like).combine_chunks())
                written, total = written + len(known), total + len(batch)
        if not written:
            reason = f"of {total} rows none has a label" if files else "no batch in its periods"
            part = HOLDOUT.stem if path.stem == HOLDOUT.stem else "window"
            raise PerenneError(f"{path}: would be empty: {reason}; move split.as_of or widen the {part}")
    return SplitPart(
        first=str(min(files)),
        last=str(max(files)),
        batches=len(files),
        rows=written,
        unlabelled=total - written,
    )
