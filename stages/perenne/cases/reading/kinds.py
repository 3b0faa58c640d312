"""The kinds of files that are read, each by its ending."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from perenne.cases.reading import columnar, delimited, objects, plain, workbook
from perenne.cases.reading.packed import COMPRESSED, Part, parts
from perenne.common.errors import PerenneError
from perenne.common.reading import Read

# What stands for a missing value in files that have no other way to say so; not where a contract lists it.
# Dumps of databases write NUL bytes.
MISSING = ("NA", "N/A", "NaN", "nan", "NULL", "null", "None", "\0")


class Kind(NamedTuple):
    """How files of an ending are read.

    `is_text` says that they may also be in a gzip or a zip, `says_missing` that they have a value for a
    missing one.
    """

    header: Callable[[Part, Read], list[str]]
    pieces: Callable[[Part, Read, list[str] | None, list[str]], Iterator[pa.Table]]
    is_text: bool
    says_missing: bool


CSV = Kind(delimited.header, delimited.pieces, is_text=True, says_missing=False)
JSON = Kind(objects.header, objects.pieces, is_text=True, says_missing=True)
COLUMNAR = Kind(columnar.header, columnar.pieces, is_text=False, says_missing=True)
EXCEL = Kind(workbook.header, workbook.pieces, is_text=False, says_missing=False)
BY_ENDING = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt"), CSV),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), JSON),
    **dict.fromkeys((".parquet", ".arrow", ".feather"), COLUMNAR),
    ".xlsx": EXCEL,
}
TEXTS = [ending for ending, kind in BY_ENDING.items() if kind.is_text]
KINDS = (*BY_ENDING, *(f"{ending}.gz" for ending in TEXTS), ".zip")
GZIP = b"\x1f\x8b"
# What files of these kinds begin with, and which endings they may have.
MAGIC = {
    b"PAR1": (".parquet",),
    GZIP: (".gz",),
    b"PK\x03\x04": (".zip", ".xlsx"),
    b"ARROW1\0\0": (".arrow", ".feather"),
}
OLD_EXCEL = b"\xd0\xcf\x11\xe0"  # also what a workbook with a password begins with


def header(path: Path, read: Read) -> list[str]:
    """The names of a file's columns; of several files in a zip, those of the first.

    Raises
    ------
    PerenneError
        If the file cannot be read, or is empty.

    """
    part = _parts(path)[0]
    names = BY_ENDING[part.kind].header(part, read)
    if not names:
        raise PerenneError(f"{part.name}: is empty; must hold the names of columns, and rows")
    return names


def unlike(paths: Iterable[Path], read: Read) -> dict[Path, list[str]]:
    """The names of columns that not all files have, by file; those of JSON and Excel are not looked for.

    Their names are all over the file. What cannot be read here is said where its rows are read.
    """
    names = {}
    for path in paths:
        if path.suffix.lower() in BY_ENDING and BY_ENDING[path.suffix.lower()] in (CSV, COLUMNAR):
            with suppress(PerenneError):
                names[path] = set(header(path, read))
    common = set.intersection(*names.values()) if names else set()
    return {path: sorted(own - common) for path, own in names.items() if own - common}


def pieces(
    path: Path,
    read: Read,
    columns: list[str] | None = None,
    *,
    needed: list[str] | None = None,
    known: Mapping[str, Iterable[str]] = {},
) -> Iterator[pa.Table]:
    """The rows of a file, in pieces of bounded memory where its kind allows it.

    Parameters
    ----------
    path
        The file; its ending, one of `KINDS`, says what it is.
    read
        How it is written.
    columns
        Those to read, by default all.
    needed
        Those that the file must have, by default those to read.
    known
        Texts that are values in a column, though they stand for a missing one elsewhere.

    Yields
    ------
    Table
        The columns, in that order. Values of CSV files are text; others are int64, float64, bool,
        timestamp[us] or text. What stands for a missing value is null.

    Raises
    ------
    PerenneError
        If the file cannot be read, or lacks a column.

    """
    found = _parts(path)
    if columns is None and len(found) > 1:
        columns = header(path, read)
    for part in found:
        kind = BY_ENDING[part.kind]
        for piece in kind.pieces(part, read, columns, needed or columns or []):
            for name in piece.column_names:
                words = {*read.missing, *(() if kind.says_missing else MISSING)} - set(known.get(name, ()))
                values = plain.plain(piece[name], f"{part.name}: column {name!r}", read)
                piece = plain.replaced(piece, name, _present(values, words))
            yield piece


def _parts(path: Path) -> list[Part]:
    ending = "".join(path.suffixes[-2:]).lower()
    try:
        with path.open("rb") as file:
            begins = file.read(8)
    except OSError as error:
        raise PerenneError(f"{path}: cannot be read: {error.strerror}") from error
    if begins.startswith(OLD_EXCEL):
        raise PerenneError(f"{path}: is an old .xls, or has a password; save it as .xlsx without one")
    content = next((endings for magic, endings in MAGIC.items() if begins.startswith(magic)), None)
    if not ending.endswith(KINDS):
        raise PerenneError(f"{path}: not a file this reads; use {_listed()}")
    if content and not ending.endswith(content):
        packed = path.suffix.lower() if content == MAGIC[GZIP] and path.suffix.lower() in TEXTS else ""
        raise PerenneError(f"{path}: holds {packed}{content[0]} by its first bytes; give it that ending")
    found = parts(path)
    for part in found:
        if part.kind not in (TEXTS if path.suffix.lower() in COMPRESSED else BY_ENDING):
            raise PerenneError(f"{part.name}: not a file this reads in a zip; use {', '.join(TEXTS)}")
    return found


def _listed() -> str:
    others = [ending for ending in BY_ENDING if ending not in TEXTS]
    return f"{', '.join(TEXTS)} (each also with .gz or .zip), {', '.join(others)}"


def _present(values: pa.ChunkedArray, words: set[str]) -> pa.ChunkedArray:
    """The values with null for each that stands for a missing one, blanks around it or not."""
    if pa.types.is_string(values.type):
        trimmed = pc.utf8_trim_whitespace(values)
        absent = pc.is_in(trimmed, value_set=pa.array(["", *sorted(words)], pa.string()))
    elif pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        numbers = [number for number in map(_number, sorted(words)) if number is not None]
        if not numbers:
            return values
        absent = pc.is_in(values.cast(pa.float64(), safe=False), value_set=pa.array(numbers, pa.float64()))
    else:
        return values
    return pc.if_else(absent, pa.scalar(None, values.type), values)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
