"""The file of predictions, read one period after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from perenne.common.errors import PerenneError
from perenne.common.names import PREDICTION
from perenne.watch import validated
from perenne.watch.validated import by_period, predictions, shown
from tests.bench_look import CONTRACT

MONTHS = list(pd.period_range("2021-01", periods=5, freq="M"))


def rows(seed: int = 0) -> pd.DataFrame:
    """Return 300 rows of five months, in order of their months."""
    rng = np.random.default_rng(seed)
    at = np.repeat([month.start_time for month in MONTHS], [10, 120, 1, 99, 70])
    values = {name: rng.normal(size=300).round(3) for name in CONTRACT.features}
    labels = (rng.random(300) < 0.5).astype("int64")
    frame = pd.DataFrame({**values, CONTRACT.target: labels, PREDICTION: rng.random(300).round(3)})
    return frame.assign(**{CONTRACT.time: pd.DatetimeIndex(at).as_unit("us")})


@pytest.fixture(params=["in order", "in disorder"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of several row groups, which are read in several pieces."""
    monkeypatch.setattr(validated, "AT_ONCE", 16)
    frame = rows()
    if request.param == "in disorder":
        frame = frame.sample(frac=1, random_state=0)
    path = tmp_path / "predictions.parquet"
    frame.to_parquet(path, index=False, row_group_size=64)
    return path


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 0, 3], [1, 1, 2]], ids=str)
@pytest.mark.parametrize("content", [False, True], ids=["file", "content"])
def test_periods_have_their_rows(file: Path, order: list[int], *, content: bool) -> None:
    """In whatever order they are asked for, whole or some columns, from a file or from its content."""
    expected = by_period(pd.read_parquet(file), CONTRACT)
    found = predictions(CONTRACT, file.read_bytes() if content else file)
    assert list(found) == MONTHS
    for place in order:
        own = expected[MONTHS[place]].reset_index(drop=True)
        pd.testing.assert_frame_equal(found[MONTHS[place]], own)
        some = [PREDICTION, CONTRACT.target]
        pd.testing.assert_frame_equal(found.only(MONTHS[place], some)[some], own[some])


def test_what_is_shown_are_labels_and_predictions_of_all(file: Path) -> None:
    """Month by month, and no other column."""
    found = shown(predictions(CONTRACT, file), CONTRACT)
    expected = pd.concat(by_period(pd.read_parquet(file), CONTRACT).values(), ignore_index=True)
    pd.testing.assert_frame_equal(found, expected[[CONTRACT.target, PREDICTION]])


def test_no_file_is_one_line(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(PerenneError, match=r"none\.parquet: no such file"):
        predictions(CONTRACT, tmp_path / "none.parquet")


def test_a_period_without_rows_is_none_of_them(file: Path) -> None:
    """And it is not made up."""
    with pytest.raises(KeyError):
        predictions(CONTRACT, file)[MONTHS[-1] + 1]
