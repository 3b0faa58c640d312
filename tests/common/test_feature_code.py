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
from perenne.common.project_code import CodeError
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
    "return rows['pay'] + 1j": "returns values of dtype complex128, must be numbers",
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


ROWS = {  # what fails, and the row that the error is of
    "if (rows['pay'] == 7).any(): raise ValueError('a\\nb')": (2, "stages/ours.py:4: ValueError: a b"),
    "if (rows['pay'] == 7).any(): raise SystemExit(0)": (2, "stages/ours.py:4: SystemExit: 0"),
    "if (rows['pay'] == 7).any(): return rows['pay'].astype(str)": (2, "must be numbers; convert them"),
    "if (rows['pay'] == 1).any(): return 5": (0, "returns a int, must be a Series"),
    "raise ValueError('always')": (None, "stages/ours.py:4: ValueError: always"),
    "if len(rows) > 2: raise ValueError('many')": (None, "stages/ours.py:4: ValueError: many"),
}


@pytest.mark.parametrize("body", ROWS)
def test_error_names_the_row(code: Path, body: str) -> None:
    """If the code fails for a row and not for any; the brief text has nothing of a row in it."""
    code.write_text(f"\n\ndef make(rows):\n    {body}\n    return rows['pay']\n", encoding="utf-8")
    row, said = ROWS[body]
    rows = [{"pay": pay} for pay in (1.0, 2.0, 7.0, 3.0, 7.0)]
    with pytest.raises(CodeError) as error:
        RequestFeatures(contract("mine: {code: stages.ours.make, of: [pay, hours]}")).complete(rows)
    assert error.value.row == row
    assert said in str(error.value)
    place, _, rest = said.partition(": ")
    brief = f"{rest.split(':')[0]} at {place}" if place.startswith("stages/") else str(error.value)
    assert error.value.brief == brief


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
