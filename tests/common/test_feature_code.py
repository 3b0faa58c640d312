"""Features made by code of the project: of the row alone, or one line says why not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from perenne.common import batches
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.features import BatchFeatures
from perenne.serving.completion import RequestFeatures
from tests import shop

PERIOD = pd.Period("2021-01", "M")
DECLARED = shop.CONTRACT[: shop.CONTRACT.index("derived:")]
GOOD = """\
import numpy as np

def make(rows):
    assert "returned" not in rows and "customer" not in rows
    return (rows["pay"] / (rows["hours"].astype("float64") + 1)).rename("anything")

def both(rows):
    late = rows["ordered"].dt.hour > 12
    return rows.assign(late=late.map({True: "late", False: "early"}), half=rows["pay"] / 2)
"""


def contract(*features: str) -> Contract:
    """Return the contract with some features of code."""
    return shop.contract(text=f"{DECLARED}derived:\n" + "".join(f"  {each}\n" for each in features))


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the module of a project that is the current folder; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    known = {name: sys.modules.pop(name) for name in [*sys.modules] if name.split(".")[0] == "stages"}
    path = tmp_path / "stages" / "ours.py"
    path.parent.mkdir()
    (path.parent / "__init__.py").touch()
    path.write_text(GOOD, encoding="utf-8")
    yield path
    for name in [name for name in sys.modules if name.split(".")[0] == "stages"]:
        del sys.modules[name]
    sys.modules.update(known)


def test_service_makes_the_same_as_the_pipeline(code: Path) -> None:
    """A Series, or the column of a DataFrame by the feature's name; bit for bit, in any number of rows."""
    assert code.exists()
    of_code = contract(
        "mine: {code: stages.ours.make}",
        "half: {code: stages.ours.both}",
        "late: {code: stages.ours.both, type: category, of: [ordered, pay]}",
        "mine before: {lag: mine}",
    )
    rows = shop.orders((str(PERIOD),))
    made = BatchFeatures(of_code).add(rows, PERIOD)
    assert set(made["late"]) == {"late", "early"}
    assert made["mine before"].notna().any()
    names = ["mine", "half", "late"]
    table = batches.to_table(made, batches.schema(of_code))
    expected = [{k: v for k, v in row.items() if v is not None} for row in table.select(names).to_pylist()]
    requests = [
        {k: v for k, v in row.items() if v is not None} for row in table.select(list(of_code.raw)).to_pylist()
    ]
    service = RequestFeatures(of_code)
    together = service.complete(requests).rows
    alone = [service.complete([row]).rows[0] for row in requests]
    for found in (together, alone):
        assert [{name: row[name] for name in names if name in row} for row in found] == expected


WRONG = {
    "return rows['pay'] - rows['pay'].mean()": "the value of a row depends on other rows",
    "return rows['pay'].rank()": "the value of a row depends on other rows",
    "return rows['pay'].shift(-1)": "the value of a row depends on other rows",
    "return rows.index.to_series()": "the value of a row depends on other rows",
    "return rows['pay'] + np.random.default_rng().normal()": "gives the same rows other values each time",
    "return rows['pay'].reset_index(drop=True)[:3]": "returns 3 values for",
    "return rows['pay'].iloc[::-1]": "or another index; keep the index of its rows",
    "return rows['pay'].tolist()": "returns a list, must be a Series or a DataFrame",
    "return rows": "returns no column 'mine'; valid: colour, hours",
    "return rows['colour']": "returns values of dtype str, must be numbers; convert them, or",
    "return rows['returned']": "stages/ours.py:4: KeyError: 'returned'",
    "return 1 / 0": "stages/ours.py:4: ZeroDivisionError: division by zero",
}


@pytest.mark.parametrize("body", WRONG)
def test_wrong_code_is_one_line(code: Path, body: str) -> None:
    """What is not of the row alone, what is not a value a row, and what fails."""
    code.write_text(f"import numpy as np\n\ndef make(rows):\n    {body}\n", encoding="utf-8")
    with pytest.raises(PerenneError) as error:
        BatchFeatures(contract("mine: {code: stages.ours.make, of: [pay, hours, colour, ordered]}")).add(
            shop.orders((str(PERIOD),)), PERIOD
        )
    assert WRONG[body] in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_missing_code_is_one_line(code: Path) -> None:
    """The module or the function; with the nearest name."""
    assert code.exists()
    rows = shop.orders((str(PERIOD),))
    with pytest.raises(
        PerenneError, match=r"contract.yaml: derived.mine.code: .*stages/ours.py has no mak; did"
    ):
        BatchFeatures(contract("mine: {code: stages.ours.mak}")).add(rows, PERIOD)
    with pytest.raises(PerenneError, match=r"there is no stages/theirs.py; write the module"):
        BatchFeatures(contract("mine: {code: stages.theirs.make}")).add(rows, PERIOD)
