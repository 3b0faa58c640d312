"""The training rows, the holdout and the rows of a refit, traced row by row to the clean data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perenne.common import batches, params, periods
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.names import CLEAN, HIDDEN, HOLDOUT, REFIT, TRAIN

COUNT = f"{HIDDEN}count"  # a column beside those of the contract


def mixed(folder: Path) -> list[str]:
    """Return how the training rows and the holdout overlap or differ from the clean data, by their rows.

    Every training row is a clean row of its period, and is there no more often; so is every row of a refit,
    and its label is known by `as_of`. The holdout is all the clean rows of its periods that have a label: of
    a part of them, anybody can choose the part that suits.

    Parameters
    ----------
    folder
        The project's folder in a clone whose stages were run.

    Returns
    -------
    list of str
        One line for each finding; empty if there is none.

    Raises
    ------
    PerenneError
        If the clone's params or contract cannot be read.

    """
    with chdir(folder):
        p = params.load("split")
        contract = read_contract(p.case)
        return list(_mixed(contract, Cut.of(p.split, contract)))


def _mixed(contract: Contract, cut: Cut) -> Iterator[str]:
    """As `mixed`, in the current folder."""
    ends = {}
    for path in (TRAIN, HOLDOUT, *([REFIT] if REFIT.exists() else [])):
        if not path.exists():
            yield f"{path}: no stage makes it"
            return
        if not pq.read_schema(path).equals(batches.schema(contract)):
            yield f"{path}: its columns are not those of the contract"
            return
        of = periods.of(
            pq.read_table(path, columns=[contract.time])[contract.time].to_pandas(),
            contract.period,
            contract.zone,
        )
        if not len(of) or of.isna().any():
            yield f"{path}: every row must have its {contract.time}, and one must be there"
            return
        ends[path] = of.min(), of.max()
    apart = list(_overlaps(contract, cut, ends))
    yield from apart or _strangers(contract, cut, ends)


def _overlaps(
    contract: Contract, cut: Cut, ends: Mapping[Path, tuple[pd.Period, pd.Period]]
) -> Iterator[str]:
    """Where a part goes beyond its own periods."""
    late = f"with labels {contract.label_delay} period(s) late"
    if ends[TRAIN][1] + contract.label_delay > cut.known:
        yield f"{TRAIN}: goes to {ends[TRAIN][1]}, {late}; the holdout begins after {cut.known}"
    if ends[HOLDOUT][0] <= cut.known:
        yield f"{HOLDOUT}: begins in {ends[HOLDOUT][0]}, must begin after {cut.known}"
    if ends[HOLDOUT][1] + contract.label_delay > cut.as_of:
        yield f"{HOLDOUT}: goes to {ends[HOLDOUT][1]}, {late} beyond as_of, {cut.as_of}"
    if REFIT in ends and ends[REFIT][1] + contract.label_delay > cut.as_of:
        yield f"{REFIT}: goes to {ends[REFIT][1]}, {late} beyond as_of, {cut.as_of}"


def _strangers(
    contract: Contract, cut: Cut, ends: Mapping[Path, tuple[pd.Period, pd.Period]]
) -> Iterator[str]:
    """How the rows of each part differ from the clean ones."""
    clean = batches.listed(CLEAN, contract)
    for learned in (path for path in (TRAIN, REFIT) if path in ends):
        first, last = ends[learned]
        compared = _compared(learned, [path for period, path in clean.items() if first <= period <= last])
        if compared.strange:
            yield f"{learned}: {compared.strange} row(s) are not among those of their periods in {CLEAN}"
    judged = [path for period, path in clean.items() if cut.part(period) == "holdout"]
    compared = _compared(HOLDOUT, judged, contract.target)
    if compared.strange:
        yield f"{HOLDOUT}: {compared.strange} row(s) are not among those of their periods in {CLEAN}"
    if compared.missing:
        yield (
            f"{HOLDOUT}: {compared.missing} row(s) of its periods in {CLEAN} have a label and are not in it; "
            "rows that no model is to be judged by belong into quarantine"
        )


class _Compared(NamedTuple):
    """How many rows of a part are not in the clean data, and how many of those are not in the part."""

    strange: int
    missing: int


def _compared(part: Path, files: Iterable[Path], target: str | None = None) -> _Compared:
    """Compare a part with clean batches, each row as often as it is there; with a target, labelled rows."""
    rows = pq.read_table(part)
    counted = [rows.append_column(COUNT, pa.array([1] * len(rows), pa.int64()))]
    for file in files:
        clean = pq.read_table(file, schema=rows.schema, partitioning=None)
        if target:
            clean = clean.filter(pc.is_valid(clean[target]))
        counted.append(clean.append_column(COUNT, pa.array([-1] * len(clean), pa.int64())))
    each = pa.concat_tables(counted).group_by(rows.column_names).aggregate([(COUNT, "sum")])
    n: pd.Series = each[f"{COUNT}_sum"].to_pandas()
    return _Compared(int(n.clip(lower=0).sum()), int(-n.clip(upper=0).sum()))
