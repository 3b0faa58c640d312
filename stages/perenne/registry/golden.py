"""Golden predictions: a released model's scores of a few rows of its holdout, recorded in its tag.

A server must reproduce them first: another library, another CPU or another way of scoring could change the
scores that were measured. The tag has only the positions of the rows, so that it holds no personal data; the
rows themselves are in DVC, under the commit's lock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import NamedTuple, TypeAlias

from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import HOLDOUT
from perenne.registry import storage
from perenne.registry.tags import Version

COUNT = 36
TOLERANCE = 1e-9  # for BLAS, whose last bits may differ between CPUs; trees agree to the bit

Score: TypeAlias = float | list[float]
"""One number, or the probability of each of several classes, in the contract's order."""


class Other(NamedTuple):
    """A golden row, its score now, and the one that was released."""

    row: int
    score: Score
    released: Score


def record(case: str) -> dict[int, Score]:
    """Return scores of the model that a release puts to use, by the position of their row in the holdout.

    Returns
    -------
    dict
        Position of a row in the holdout, counted from 0 -> score. At most `COUNT` rows, evenly spread.

    Raises
    ------
    PerenneError
        If the model or the holdout is missing or cannot be read.

    """
    from perenne.common import batches, locked, model, model_file
    from perenne.common.contract import read_contract

    path = locked.load().released
    pipeline, _ = model_file.load(path, path.with_suffix(".json"))
    holdout = batches.read_parquet(HOLDOUT)
    rows = _spread(len(holdout))
    scores = model.predict(pipeline, holdout.iloc[rows], read_contract(case))
    return dict(zip(rows, scores.tolist(), strict=True))


def recorded(version: Version) -> dict[int, Score]:
    """Return the golden predictions in a version's tag, by row.

    Raises
    ------
    PerenneError
        If there are none, or one is neither a number nor a list of them.

    """
    golden = version.proof.golden if version.proof else None
    if not golden:
        raise PerenneError(
            f"{version.tag}: the tag holds no golden predictions; perenne release makes tags that do"
        )
    scores: dict[int, Score] = {}
    for row, score in golden.items():
        given = score if isinstance(score, list) else [score]
        numbers = [float(number) for number in given if isinstance(number, int | float)]
        if not numbers or len(numbers) < len(given) or row < 0:
            raise PerenneError(f"{version.tag}: golden.{row}: found {score!r}, must be a score by its row")
        scores[row] = numbers if isinstance(score, list) else numbers[0]
    return scores


def first_other(recorded: Mapping[int, Score], scores: Sequence[Score]) -> Other | None:
    """Return the first row whose score is not the released one; None if there is none.

    >>> first_other({0: 0.5, 9: [0.25, 0.75]}, [0.5, [0.25, 0.75 + 1e-12]])
    >>> first_other({0: 0.5, 9: [0.25, 0.75]}, [0.5, [0.75, 0.25]])
    Other(row=9, score=[0.75, 0.25], released=[0.25, 0.75])
    """
    pairs = zip(recorded.items(), scores, strict=True)
    return next((Other(row, score, old) for (row, old), score in pairs if not _equal(score, old)), None)


def _equal(score: Score, released: Score) -> bool:
    if isinstance(score, list) and isinstance(released, list):
        return len(score) == len(released) and all(map(_equal, score, released))
    if isinstance(score, list) or isinstance(released, list):
        return False
    return math.isclose(score, released, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def rows(version: Version, contract: Contract) -> list[dict[str, object]]:
    """Return the rows of a version's golden predictions in JSON's types: what a request must have.

    Features that are made of earlier rows are among it: those rows are elsewhere, and the tag names none.

    Returns
    -------
    list of dict
        In the order of `recorded`. A key is left out where the row has no value for it.

    Raises
    ------
    PerenneError
        If the tag has no golden predictions, the holdout is unavailable, or it has fewer rows than the tag
        says.

    """
    import pyarrow.parquet as pq

    positions = list(recorded(version))
    holdout = pq.read_table(BytesIO(storage.obtain(version.commit, HOLDOUT)))
    if max(positions) >= len(holdout):
        raise PerenneError(f"{version.tag}: golden.{max(positions)}: the holdout has {len(holdout)} rows")
    asked = list(dict.fromkeys([contract.time, *contract.required, *contract.remembered]))
    return [
        {name: _plain(value, contract) for name, value in row.items() if value is not None}
        for row in holdout.select(asked).take(positions).to_pylist()
    ]


def _plain(value: object, contract: Contract) -> object:
    """A value as JSON has it; batches have moments in UTC if the contract names a zone."""
    if not isinstance(value, datetime):
        return value
    return value.isoformat() + ("Z" if contract.zone else "")


def _spread(count: int) -> list[int]:
    """Positions evenly from the first row to the last.

    >>> _spread(5), len(_spread(1000)), _spread(1000)[-1]
    ([0, 1, 2, 3, 4], 36, 999)
    """
    return sorted({round(i * (count - 1) / (COUNT - 1)) for i in range(COUNT)})
