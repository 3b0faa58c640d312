"""The files to score, read in pieces: of each the columns that the contract knows, as they arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from perenne.cases.reading import header, pieces
from perenne.cases.reading.canonical import canonical as plain
from perenne.cases.reading.order import joined
from perenne.cases.reading.plain import extended, replaced
from perenne.common import batches
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import CLEAN
from perenne.common.reading import Parts
from perenne.serving.rows import input_columns

ROWS = 50_000  # at most in a piece


class InputFile(NamedTuple):
    """A file to score.

    `columns` are those of the contract that it has, in the contract's order. `zone` is that whose clocks its
    times without an offset are read by. `sha256` is that of its bytes. `parts` are the columns that the
    contract's time is made of, where the file has them instead.
    """

    path: Path
    columns: list[str]
    zone: str | None
    sha256: str
    parts: Parts | None = None

    def pieces(self, contract: Contract) -> Iterator[tuple[int, pa.Table]]:
        """Yield the rows as they arrived, in pieces of at most `ROWS`, with the number of the first, from 1.

        Raises
        ------
        PerenneError
            If the file cannot be read, or lacks a column that a row must have.

        """
        first = 1
        known = {name: column.categories for name, column in contract.columns.items()}
        must = needed(contract)
        made = {contract.time} if self.parts else set()
        more = self.parts.named.values() if self.parts else ()
        own = list(dict.fromkeys([*(name for name in self.columns if name not in made), *more]))
        must = [name for name in must if name not in made]
        for table in pieces(self.path, contract.read, own, needed=must, known=known):
            if self.parts:
                table = extended(table, {contract.time: joined(table, self.parts)}).select(self.columns)
            for start in range(0, len(table), ROWS):
                yield first + start, table.slice(start, ROWS)
            first += len(table)


def needed(contract: Contract) -> list[str]:
    """The columns that a file must have: what a row must have to be predicted, and its entity."""
    names = {*contract.required, *contract.entity}
    return [name for name in contract.raw if name in names]


def canonical(table: pa.Table, contract: Contract) -> pa.Table:
    """The same rows, with numbers and dates as the pipeline writes them, see `reading.canonical`."""
    for name in table.column_names:
        table = replaced(table, name, plain(table[name], contract.columns[name], contract.read))
    return table


def given(paths: Sequence[Path], contract: Contract) -> list[InputFile]:
    """The files to score; without a path the newest batch of `data/clean`.

    Raises
    ------
    PerenneError
        If one is not there, or two hold the same bytes, or there is no batch.

    """
    if not paths:
        batch = list(batches.listed(CLEAN, contract).values())[-1]
        return [_file(batch, contract, None)]  # its moments are in UTC already
    found: dict[str, InputFile] = {}
    for path in paths:
        file = _file(path, contract, contract.zone)
        twin = found.setdefault(file.sha256, file)
        if twin is not file:
            raise PerenneError(f"{path}: holds the same bytes as {twin.path}; name it once")
    return [*found.values()]


def _file(path: Path, contract: Contract, zone: str | None) -> InputFile:
    if not path.is_file():
        raise PerenneError(f"{path}: {'is a folder; name its files' if path.is_dir() else 'no such file'}")
    try:
        with path.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise PerenneError(f"{path}: {error.strerror}") from error
    names = {*header(path, contract.read)}
    parts = contract.read.time
    if parts and (contract.time in names or not names.issuperset(parts.named.values())):
        parts = None
    names |= {contract.time} if parts else set()
    return InputFile(path, [name for name in input_columns(contract) if name in names], zone, sha256, parts)
