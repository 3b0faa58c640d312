"""Golden predictions: what a released model says of a few rows of its holdout, recorded in its tag.

Whoever serves the model must reproduce them first: with another library, another CPU or another way of
scoring, what is served is not what was measured. The tag names the rows by their place, for people must not
be found in a tag; the rows themselves are in DVC, under the commit's lock.
"""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from typing import Any

from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import HOLDOUT
from perenne.registry import storage
from perenne.registry.tags import Version

COUNT = 36


def record(case: str) -> dict[int, float]:
    """The scores of the model in the working tree, by the places of their rows in the holdout."""
    from perenne.common import batches, model
    from perenne.common.contract import read_contract

    pipeline, _ = model.load()
    holdout = batches.read_parquet(HOLDOUT)
    rows = _spread(len(holdout))
    scores = model.predict(pipeline, holdout.iloc[rows], read_contract(case))
    return dict(zip(rows, scores.tolist(), strict=True))


def recorded(version: Version) -> dict[int, float]:
    """What the tag of a version holds; a `PerenneError` if there is none."""
    found = (version.proof or {}).get("golden")
    if not isinstance(found, dict) or not found:
        raise PerenneError(
            f"{version.tag}: the tag holds no golden predictions; perenne release makes tags that do"
        )
    for row, score in found.items():
        if not isinstance(row, int) or not isinstance(score, int | float):
            raise PerenneError(f"{version.tag}: golden.{row}: found {score!r}, must be a score by its row")
    return {int(row): float(score) for row, score in found.items()}


def rows(version: Version, contract: Contract) -> list[dict[str, Any]]:
    """The rows that a version's golden predictions are of, as JSON holds them: time and features."""
    import pyarrow.parquet as pq

    places = list(recorded(version))
    holdout = pq.read_table(BytesIO(storage.obtain(version.commit, HOLDOUT)))
    if max(places) >= len(holdout):
        raise PerenneError(f"{version.tag}: golden.{max(places)}: the holdout has {len(holdout)} rows")
    return [
        {name: _plain(value) for name, value in row.items() if value is not None}
        for row in holdout.select([contract.time, *contract.features]).take(places).to_pylist()
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _spread(count: int) -> list[int]:
    """Places evenly from the first row to the last.

    >>> _spread(5), len(_spread(1000)), _spread(1000)[-1]
    ([0, 1, 2, 3, 4], 36, 999)
    """
    return sorted({round(i * (count - 1) / (COUNT - 1)) for i in range(COUNT)})
