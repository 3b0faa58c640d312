"""The two files that are written: the scores, and beside them the rows that were set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from perenne.common import batches, disk, predicted
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import BROKEN_RULES
from perenne.serving.rows import input_columns

ENDINGS = (".parquet", ".csv")
UTC_TIME = pa.timestamp("us", "UTC")
# What a contract may call a column of its own as well.
ID, SCORE, CLASS, VERSION, AT, UNSEEN = "id", "score", "class", "model_version", "predicted_at", "unseen"
FILE, ROW = "file", "row"
BEFORE = "prediction_"


def own(name: str, contract: Contract) -> str:
    """What a column of ours is called: so that no column of the contract has the same name.

    >>> from tests.tiny import contract
    >>> own("id", contract()), own("score", contract())
    ('prediction_id', 'score')
    """
    while name in contract.columns:
        name = f"{BEFORE}{name}"
    return name


def beside(out: Path) -> Path:
    """Where the rows go that were set aside.

    >>> str(beside(Path("out/scores.parquet")))
    'out/scores.rejected.parquet'
    """
    return out.with_name(f"{out.stem}.rejected{out.suffix}")


def check(out: Path, inputs: Iterable[Path]) -> None:
    """Check that both files can be written where they are to be.

    Raises
    ------
    PerenneError
        If the ending is none of `ENDINGS`, the folder is not there, or a file is an input or a folder.

    """
    if out.suffix not in ENDINGS:
        raise PerenneError(f"--out: {out}: must end in {' or '.join(ENDINGS)}")
    if not out.parent.is_dir():
        raise PerenneError(f"--out: {out}: there is no folder {out.parent}; make it first")
    for path in (out, beside(out)):
        if path.is_dir():
            raise PerenneError(f"--out: {path}: is a folder; name a file")
        if path.exists() and any(given.exists() and path.samefile(given) for given in inputs):
            raise PerenneError(f"--out: {path}: is a file to be scored; name another one")


def scores_schema(contract: Contract, columns: Iterable[str]) -> pa.Schema:
    """The columns of the scores.

    Parameters
    ----------
    contract
        That of the version that scores.
    columns
        Those that the inputs have: of these the entity and the time are written.

    """
    named = [name for name in columns if name in (*contract.entity, contract.time)]
    # Moments say that they are in UTC, else they would be taken for local times.
    moment = UTC_TIME if contract.zone else pa.timestamp("us")
    shown = [
        f.with_type(moment) if pa.types.is_timestamp(f.type) else f
        for f in (batches.schema(contract, named) if named else [])
    ]
    ours = [(ID, pa.string()), *_score_fields(contract)]
    ours += [(VERSION, pa.string()), (AT, UTC_TIME), (UNSEEN, pa.string())]
    return pa.schema([*shown, *((own(name, contract), kind) for name, kind in ours)])


def _score_fields(contract: Contract) -> list[tuple[str, pa.DataType]]:
    match contract.task.outcome:
        case "event":
            return [(SCORE, pa.float64()), (CLASS, pa.int64())]
        case "class":
            named = pa.int64() if isinstance(contract.classes[0], int) else pa.string()
            each = [(of_class(name), pa.float64()) for name in contract.classes]
            return [(CLASS, named), (SCORE, pa.float64()), *each]
        case _:
            return [(SCORE, pa.float64())]


def of_class(name: object) -> str:
    """What the column with the probability of a class is called, where there are several.

    >>> of_class("wheat")
    'score: wheat'
    """
    return f"{SCORE}: {name}"


def score_columns(scores: predicted.Array, contract: Contract, threshold: float) -> dict[str, Any]:
    """What `scores_schema` has of scores, by our names of the columns.

    Parameters
    ----------
    scores
        Shape (rows,), or (rows, classes) where there are several.
    contract
        That of the version that scored.
    threshold
        The lowest score of class 1, if the target is an event.

    """
    match contract.task.outcome:
        case "event":
            return {SCORE: scores, CLASS: (scores >= threshold).astype("int64")}
        case "class":
            place = scores.argmax(axis=1)  # of equal ones the first
            each = {of_class(name): scores[:, at] for at, name in enumerate(contract.classes)}
            named = predicted.values(place.astype(np.float64), contract)
            return {CLASS: named, SCORE: scores[np.arange(len(scores)), place], **each}
        case _:
            return {SCORE: scores}


def rejected_schema(contract: Contract) -> pa.Schema:
    """The columns of rows set aside: where each is from, its values as text, and the rules that it breaks."""
    names = [own(FILE, contract), *input_columns(contract), BROKEN_RULES]
    texts = [(name, pa.string()) for name in names]
    return pa.schema([texts[0], (own(ROW, contract), pa.int64()), *texts[1:]])


class Writers(NamedTuple):
    """Both files; each has `write_table`."""

    scores: Any  # Arrow's, which has no types
    rejected: Any


@contextmanager
def opened(out: Path, scores: pa.Schema, rejected: pa.Schema) -> Iterator[Writers]:
    """Open both files under temporary names; they get their own if the block ends without an error.

    Raises
    ------
    PerenneError
        If they cannot be written.

    """
    try:
        with (
            disk.replacing(out) as first,
            disk.replacing(beside(out)) as second,
            _writer(first, out.suffix, scores) as scored,
            _writer(second, out.suffix, rejected) as other,
        ):
            yield Writers(scored, other)
    except OSError as error:
        raise PerenneError(f"{out}: cannot be written: {error.strerror or error}") from error


def _writer(path: Path, suffix: str, schema: pa.Schema) -> Any:
    """Arrow's writer of a format: both have `write_table`."""
    if suffix == ".csv":
        return pcsv.CSVWriter(path, schema)
    return pq.ParquetWriter(path, schema, compression="zstd")
