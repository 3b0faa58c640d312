"""Score files with a released version: what the service would answer, in pieces of many rows.

Each row is scored or set aside, and memory holds one piece of rows, however long a file is. If features look
back, it also holds what they need of all rows: files are then read twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from perenne.cases.source import NULLABLE
from perenne.common import batches
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import BROKEN_RULES
from perenne.common.project_code import CodeError
from perenne.common.sections import contract_of
from perenne.pipeline.validate import at_row, none_broken, rules_by_row
from perenne.predict import outputs
from perenne.predict.checks import checked, plain
from perenne.predict.file_features import FileFeatures
from perenne.predict.inputs import InputFile, canonical, given
from perenne.predict.outputs import AT, FILE, ID, ROW, UNSEEN, VERSION, own, score_columns
from perenne.registry import tags
from perenne.registry.tags import Version
from perenne.serving import served
from perenne.serving.download import download
from perenne.serving.served import Served

if TYPE_CHECKING:
    from perenne.predict.batch_log import BatchLog  # which needs the extra `serve`

Item = TypeVar("Item")

ID_LENGTH = 32  # characters: as many as an id of the service has


class PredictSummary(NamedTuple):
    """What became of the rows; `logged` are new in the log, None if nothing is logged."""

    out: Path
    tag: str
    rows: int
    scored: int
    unseen: int
    rules: Counter[str]
    logged: int | None

    def __str__(self) -> str:
        aside = self.rows - self.scored
        parts = [
            f"{self.out}: {self.rows:,} rows = {self.scored:,} scored by {self.tag} + {aside:,} set aside"
        ]
        if aside:
            parts.append(f"those are in {outputs.beside(self.out)}")
        if self.unseen:
            parts.append(f"{self.unseen:,} have a category that training has not seen")
        if self.logged is not None:
            again = self.scored - self.logged
            parts.append(f"{self.logged:,} logged" + (f", {again:,} were in the log before" if again else ""))
        return "; ".join(parts)

    def too_many(self, most: float) -> str | None:
        """The text of an error if more than a share of the rows, in [0, 1], was set aside, else None."""
        aside = self.rows - self.scored
        if aside <= most * self.rows:
            return None
        worst = ", ".join(f"{rule} ({n:,})" for rule, n in self.rules.most_common(3))
        return (
            f"{outputs.beside(self.out)}: {aside:,} of {self.rows:,} rows ({aside / self.rows:.1%}) break "
            f"the contract, at most {most:.1%} may (validate.max_quarantined_share). Worst: {worst}"
        )


def find(name: str, which: str) -> Version:
    """Find the version that is to score: a stage or a version, by the tags of the remote.

    Raises
    ------
    PerenneError
        If the remote cannot be read, or there is no such version.

    """
    tags.fetch()
    registry = tags.read(name)
    if not registry.versions:
        raise PerenneError(f"{name}: has no release yet; perenne release makes one")
    return registry.find(which)


def predict(
    name: str,
    version: Version,
    paths: Sequence[Path],
    out: Path,
    *,
    at: datetime,
    threshold: float,
    require_signed: bool = False,
    log: BatchLog | None = None,
) -> PredictSummary:
    """Score rows of files, and write the scores and the rows that were set aside.

    Parameters
    ----------
    name
        The model.
    version
        The version of it that scores.
    paths
        Files of a kind that `perenne.cases.reading` reads; none: the newest batch of `data/clean`.
    out
        The file of scores; its ending names its format, and that of the rows set aside, which lie beside it.
    at
        What is written as the time of the predictions, in UTC.
    threshold
        The lowest score of class 1, if the target is an event.
    require_signed
        Refuse a tag without a good signature.
    log
        Where the predictions are written as well, before the files get their names.

    Returns
    -------
    PredictSummary
        The number of rows is that of those scored and those set aside.

    Raises
    ------
    PerenneError
        If the version or a file cannot be read, a column is missing, there is no row, or nothing can be
        written. Then there is no new file.

    """
    contract = contract_of(name, version.commit)
    outputs.check(out, paths)
    files = given(paths, contract)
    outputs.check(out, [file.path for file in files])
    with TemporaryDirectory(prefix="perenne-") as folder:
        download(name, version.version, Path(folder), require_signed=require_signed)
        model = served.load(name, version, Path(folder))
    return _Run(model, contract, threshold, at, log).run(files, out)


class PieceScores(NamedTuple):
    """A piece of a file: its rows, the good ones of them with their scores, and the cells that break a rule.

    `first` is the number of its first row in the file; `good` has all features.
    """

    first: int
    table: pa.Table
    good: pd.DataFrame
    scores: npt.NDArray[np.float64]
    broken: pd.DataFrame


class _Run:
    """One run: what is the same for all of its rows, and what is counted."""

    def __init__(
        self, model: Served, contract: Contract, threshold: float, at: datetime, log: BatchLog | None
    ) -> None:
        self.model, self.contract = model, contract
        self.threshold, self.at, self.log = threshold, at, log
        self.rows = self.scored = self.aside = self.unseen = self.logged = 0
        self.rules: Counter[str] = Counter()
        self.features = FileFeatures(contract, model.features.past)

    def run(self, files: Sequence[InputFile], out: Path) -> PredictSummary:
        present = {name for file in files for name in file.columns}
        shown = [name for name in self.contract.columns if name in present]
        self.schema = outputs.scores_schema(self.contract, shown)
        self.beside = outputs.rejected_schema(self.contract)
        with ExitStack() as stack:
            writers = stack.enter_context(outputs.opened(out, self.schema, self.beside))
            bar = stack.enter_context(tqdm(desc="predict", unit="row", disable=None))
            if self.contract.remembered:
                for file in files:
                    for first, _, good, _ in self._checked(file):
                        with _rows_named(file, good.index + first):
                            self.features.add(good)
            for file in files:
                for scores, rejected in self._pieces(file):
                    writers.scores.write_table(scores)
                    writers.rejected.write_table(rejected)
                    self.scored, self.aside = self.scored + len(scores), self.aside + len(rejected)
                    bar.update(len(scores) + len(rejected))
            if not self.rows:
                raise PerenneError(f"{', '.join(str(file.path) for file in files)}: no row to score")
            assert self.rows == self.scored + self.aside  # noqa: S101 -- the promise of the command
        logged = None if self.log is None else self.logged
        return PredictSummary(
            *(out, self.model.version.tag, self.rows, self.scored, self.unseen, self.rules, logged)
        )

    def _pieces(self, file: InputFile) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield the scores of each piece of a file, and its rows that were set aside."""
        # While one is written, the next one is scored.
        for piece in ahead(self._piece_scores(file)):
            self.rows += len(piece.table)
            self.rules.update(piece.broken["column"] + ": " + piece.broken["rule"])
            yield self._scored(piece, file), self._rejected(piece, file)

    def _piece_scores(self, file: InputFile) -> Iterator[PieceScores]:
        for first, table, good, broken in self._checked(file):
            if good.empty:
                yield PieceScores(first, table, good, np.empty(0), broken)
                continue
            with _rows_named(file, good.index + first):
                rows = self.features.complete(good)
                scores = self.model.scorer.score_frame(rows)
            yield PieceScores(first, table, rows, scores, broken)

    def _checked(self, file: InputFile) -> Iterator[tuple[int, pa.Table, pd.DataFrame, pd.DataFrame]]:
        """Yield of each piece the number of its first row, its rows, the good ones typed, and what breaks."""
        for first, table in file.pieces(self.contract):
            if plain(table, self.contract, file.zone):
                yield first, table, batches.to_frame(table), none_broken()
                continue
            raw = canonical(table, self.contract).to_pandas(types_mapper=NULLABLE.get)
            frame, broken = checked(raw, self.contract, file.zone)
            yield first, table, frame.drop(index=rules_by_row(broken).index), broken

    def _scored(self, piece: PieceScores, file: InputFile) -> pa.Table:
        rows, scores, version = piece.good, piece.scores, self.model.version
        if rows.empty:
            return self.schema.empty_table()
        ids = _ids(version.tag, file, rows.index + piece.first)
        unseen = _unseen(self.model.unseen_in(rows), len(rows))
        self.unseen += len(unseen) - unseen.null_count
        if self.log is not None:
            self.logged += self.log.add(
                *(rows, ids, scores), version=version.version, at=self.at, contract=self.contract
            )
        ours = {
            ID: ids,
            **score_columns(scores, self.contract, self.threshold),
            VERSION: pa.repeat(version.version, len(rows)),
            AT: pa.repeat(pa.scalar(self.at, outputs.UTC_TIME), len(rows)),
            UNSEEN: unseen,
        }
        given = batches.to_table(rows, batches.schema(self.contract, list(rows.columns)))
        return self._filled(self.schema, ours, given)

    def _rejected(self, piece: PieceScores, file: InputFile) -> pa.Table:
        """Rows that were set aside: values as they arrived, as text, as files differ in their types."""
        rules = rules_by_row(piece.broken)
        bad = piece.table.take(pa.array(rules.index, pa.int64()))
        ours = {FILE: [str(file.path)] * len(bad), ROW: rules.index + piece.first, BROKEN_RULES: rules}
        return self._filled(self.beside, ours, bad)

    def _filled(self, schema: pa.Schema, ours: Mapping[str, Any], given: pa.Table) -> pa.Table:
        """The columns of a schema: ours, those of the contract, or null where a file lacks one."""
        named = {own(name, self.contract): values for name, values in ours.items()}
        columns = [
            pa.array(named[field.name], field.type)
            if field.name in named
            else given[field.name].cast(field.type)
            if field.name in given.column_names
            else pa.nulls(len(given), field.type)
            for field in schema
        ]
        return pa.table(columns, schema=schema)


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items, while a thread makes the next one."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = thread.submit(next, items, None)
            yield item


def _unseen(marks: Mapping[str, pd.Series], n: int) -> pa.Array:
    """The columns whose category training has not seen, as a text for each of n rows; null: there is none."""
    texts: list[str | None] = [None] * n
    for name, mark in marks.items():
        for row in np.flatnonzero(mark):
            texts[row] = f"{texts[row]}; {name}" if texts[row] else name
    return pa.array(texts, pa.string())


@contextmanager
def _rows_named(file: InputFile, numbers: pd.Index) -> Iterator[None]:
    """Within it, an error of the project's code names the file and the row."""
    try:
        yield
    except CodeError as error:
        raise at_row(error, file.path, numbers) from error


def _ids(tag: str, file: InputFile, rows: pd.Index) -> list[str]:
    """An id for each row: another for another version, file or row, and the same if it is scored again."""
    begin = hashlib.sha256(f"{tag}\n{file.sha256}\n".encode())
    ids = []
    for row in rows.tolist():
        one = begin.copy()
        one.update(str(row).encode())
        ids.append(one.hexdigest()[:ID_LENGTH])
    return ids
