"""One's own data: CSV (also gzipped) or Parquet files under `data/incoming/`, cut into one batch a period.

`dvc add`, `dvc import-url` and `dvc import-db` put files there. They are read in pieces and spooled by
period, so that neither a large file nor a long history has to fit into memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from stages.common import params, periods
from stages.common.contract import Contract
from stages.common.errors import PerenneError, hint

INCOMING = Path("data/incoming")
PIECE = 16 * 2**20  # bytes of CSV, or rows of Parquet times 256, read at a time
MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"]


def batches(source: params.Files, contract: Contract) -> Iterator[tuple[pd.Period, pd.DataFrame]]:
    """Yield the rows of each period up to `source.through`, from all files that match `source.glob`."""
    through = periods.parse(source.through, contract.period, "params.yaml: ingest.through")
    with TemporaryDirectory(prefix="perenne-") as spool:
        pieces = _spool(source.glob, contract, Path(spool))
        if not any(period <= through for period in pieces):
            raise PerenneError(f"{INCOMING}/{source.glob}: no row in or before {through} (ingest.through)")
        for period in sorted(p for p in pieces if p <= through):
            yield period, pd.concat([pd.read_parquet(p) for p in pieces[period]], ignore_index=True)


def _spool(glob: str, contract: Contract, folder: Path) -> dict[pd.Period, list[Path]]:
    pieces: dict[pd.Period, list[Path]] = defaultdict(list)
    for path in _matching(glob):
        first = 1  # data rows are counted from 1, the header is not one
        for frame in _read(path, list(contract.columns)):
            for period, rows in frame.groupby(_period(frame, contract, path, first)):
                pieces[period].append(folder / f"{periods.stem(period)}.{len(pieces[period])}.parquet")
                rows.to_parquet(pieces[period][-1], index=False)
            first += len(frame)
    return pieces


def _matching(glob: str) -> list[Path]:
    found = sorted(p for p in INCOMING.glob(glob) if p.is_file())
    if not found:
        there = [str(p.relative_to(INCOMING)) for p in INCOMING.rglob("*") if p.is_file()]
        raise PerenneError(
            f"params.yaml: ingest.glob: nothing matches {glob!r} in {INCOMING}; {hint(glob, there)}"
        )
    return found


def _period(frame: pd.DataFrame, contract: Contract, path: Path, first: int) -> pd.Series:
    times = pd.to_datetime(frame[contract.time], errors="coerce", format="ISO8601", utc=True).dt.tz_localize(
        None
    )
    bad = times.isna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        value = frame[contract.time].iloc[row]
        raise PerenneError(
            f"{path}: row {first + row}: {contract.time} = {value!r} is not a date; write it like 2021-09-30"
        )
    return periods.of(times, contract.period)


def _read(path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    """The file in pieces, with the contract's columns; whatever is wrong with it names it."""
    reader = {".csv": _csv, ".gz": _csv, ".parquet": _parquet}.get(path.suffix)
    if reader is None:
        raise PerenneError(f"{path}: not a file this reads; use .csv, .csv.gz or .parquet")
    try:
        for batch in reader(path):
            absent = [name for name in columns if name not in batch.schema.names]
            if absent:
                raise PerenneError(f"{path}: no column {absent[0]!r}; {hint(absent[0], batch.schema.names)}")
            yield batch.select(columns).to_pandas()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise PerenneError(f"{path}: {_one_line(error)}") from error


def _csv(path: Path) -> Iterator[pa.RecordBatch]:
    """Every value as text: what does not fit the contract is `validate`'s to say, row by row."""
    header = pc.open_csv(path).schema.names
    types = dict.fromkeys(header, pa.string())
    convert = pc.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=MISSING)
    yield from pc.open_csv(path, read_options=pc.ReadOptions(block_size=PIECE), convert_options=convert)


def _parquet(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=PIECE // 256)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"not UTF-8: {text}" if "UTF8" in text.upper().replace("-", "") else text
