"""A model of a file, learned in parts: the same bytes as from all rows in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from perenne.common import batches, model_file
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.compute.engine import Workers
from perenne.compute.local import HERE
from perenne.pipeline import by_parts, train
from tests import gangs
from tests.pipeline.test_estimators import CONTRACTS, rows, spec

CUT = Cut(pd.Period("2020-03", "M"), window=1, holdout=1, label_delay=0)
GIVEN: dict[str, Any] = {"n_estimators": 5, "subsample": 0.8, "monotone_constraints": {"age": 1}}


def written(frame: pd.DataFrame, path: Path, contract: Contract) -> Path:
    """A file with row groups of several sizes, as `split` writes it."""
    like = batches.schema(contract)
    with pq.ParquetWriter(path, like) as writer:
        for first, end in ((0, 700), (700, 701), (701, 2_000)):
            writer.write_table(batches.to_table(frame[first:end], like))
    return path


def estimator(task: str) -> str:
    """The path in params.yaml."""
    return f"perenne.BinnedXGB{'Regressor' if task == 'regression' else 'Classifier'}"


def test_parts_of_a_file_give_the_model_of_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its card: in this process, and in two, which divide a row group and read little at a time."""
    with gangs.workers(tmp_path, 2) as workers:
        for task, contract in CONTRACTS.items():
            frame = rows(task, 2_000)
            path = written(frame, tmp_path / f"{task}.parquet", contract)
            section = spec(estimator(task), **GIVEN)
            expected = train.made(batches.read_parquet(path), CUT, section, contract)
            ways: list[Workers] = [HERE, workers]
            for way in ways:
                monkeypatch.setattr(by_parts, "ROWS_AT_ONCE", 64)
                found = train.made_of(path, CUT, section, contract, way)
                assert model_file.dumps(found.pipeline) == model_file.dumps(expected.pipeline), (
                    task,
                    way.members,
                )
                assert found.card == expected.card
        assert workers.calls == ["survey", "measure", "learn"] * 3


def test_what_needs_all_rows_at_once_has_them(tmp_path: Path) -> None:
    """Another estimator, or a category with too many values; a column without any value is left out."""
    contract = CONTRACTS["binary"]
    frame = rows("binary", 2_000)
    many = frame.assign(colour=[f"c{number % 300}" for number in range(2_000)])
    none = frame.assign(**{"size, {in} m": float("nan")})
    hgb = spec("sklearn.ensemble.HistGradientBoostingClassifier", max_iter=3)
    ours = spec(estimator("binary"), n_estimators=3)
    for number, (rows_of, section) in enumerate([(frame, hgb), (many, ours), (none, ours)]):
        path = written(rows_of, tmp_path / f"{number}.parquet", contract)
        by_file = train.from_file(path, section, contract, HERE)
        assert (by_file is None) == (rows_of is not none)
        found = train.made_of(path, CUT, section, contract)
        expected = train.made(batches.read_parquet(path), CUT, section, contract)
        assert model_file.dumps(found.pipeline) == model_file.dumps(expected.pipeline)
        assert found.card == expected.card


def test_errors_are_those_of_rows_in_memory(tmp_path: Path) -> None:
    """A class that is missing, a wrong parameter, a file that cannot be read."""
    contract = CONTRACTS["binary"]
    path = written(rows("binary", 2_000).assign(y=0), tmp_path / "one.parquet", contract)
    good = written(rows("binary", 2_000), tmp_path / "good.parquet", contract)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(good.read_bytes()[:-50])
    section = spec(estimator("binary"))
    for file, given, says in (
        (
            path,
            section,
            f"{path}: none of 2,000 rows has y = 1; a binary model learns from rows of every class",
        ),
        (good, spec(estimator("binary"), bins=1), "params.yaml: train.params: bins: found 1, must be "),
        (broken, section, f"{broken}: not a readable Parquet file (truncated?): "),
    ):
        with pytest.raises(PerenneError) as caught:
            train.made_of(file, CUT, given, contract)
        assert str(caught.value).startswith(says)
