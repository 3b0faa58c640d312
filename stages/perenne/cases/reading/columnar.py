"""Parquet, Arrow and Feather: files that say the types of their columns."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from perenne.cases.reading import plain
from perenne.cases.reading.packed import Part
from perenne.common.errors import PerenneError
from perenne.common.reading import Read


def header(part: Part, read: Read) -> list[str]:  # noqa: ARG001 -- nothing is said of such files
    """The names of the columns.

    Raises
    ------
    PerenneError
        If the file is not of its kind, or is truncated.

    """
    try:
        if part.kind == ".parquet":
            with pq.ParquetFile(part.path) as file:
                return list(file.schema_arrow.names)
        with _ipc(part) as file:
            return list(file.schema.names)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(part, error) from error


def pieces(part: Part, read: Read, columns: list[str] | None, needed: list[str]) -> Iterator[pa.Table]:
    """The rows in pieces, with the file's own types; see `delimited.pieces`."""
    names = header(part, read)
    plain.check(part.name, names, needed or names)
    only = columns or names
    try:
        for batch in _parquet(part, only) if part.kind == ".parquet" else _arrow(part):
            yield pa.Table.from_batches([batch]).select(only)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(part, error) from error


def _parquet(part: Part, only: list[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(part.path) as file:
        yield from file.iter_batches(batch_size=plain.rows_a_piece(), columns=only)


def _arrow(part: Part) -> Iterator[pa.RecordBatch]:
    with _ipc(part) as file:
        if isinstance(file, pa.RecordBatchFileReader):
            yield from map(file.get_batch, range(file.num_record_batches))
        else:
            yield from file


def _ipc(part: Part) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    """A file of Arrow's format for files (of which Feather is one), or of its format for streams."""
    with part.path.open("rb") as file:
        of_files = file.read(6) == b"ARROW1"
    source = pa.memory_map(str(part.path))
    return pa.ipc.open_file(source) if of_files else pa.ipc.open_stream(source)


def _unreadable(part: Part, error: Exception) -> PerenneError:
    kind = {".parquet": "Parquet", ".feather": "Feather"}.get(part.kind, "Arrow")
    return PerenneError(
        f"{part.name}: not a readable {kind} file (truncated, or another format?): {plain.one_line(error)}"
    )
