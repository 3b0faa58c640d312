"""The two files that adoption writes: read back, they say what was found."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from perenne.adopt import written
from perenne.adopt.columns import Guess
from perenne.adopt.cutting import Batching, Cutting
from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.params import Params
from perenne.common.reading import Read
from perenne.common.task import TASKS
from perenne.common.typed import parse
from tests.project import ROOT

CUT = Cutting(pd.Period("2021-08"), pd.Period("2021-10"), 8, 2, 0, learned=8000, judged=2000, events=400)
COLUMNS = {
    "seen: at": Guess("datetime", ("time",)),
    "no": Guess("category", ("feature", "slice"), values=("no", "1", "ja, nein"), missing=True),
    **{f"x {i:02d} [%]": Guess("number", ("feature",), range=(-i, 1.5 * i)) for i in range(8, 21)},
    "y": Guess("boolean", ("target",), values=("bad", "good"), about="0.3 # of them: good"),
}


def contract() -> str:
    """Return the text of a contract with names and values that YAML would take for something else."""
    batching = Batching("month", 10, 1000.0, 200.0)
    read = Read(delimiter=";", decimal=",", dates=("%d/%m/%Y",), missing=("?", "-"))
    return written.contract("a", "a.csv", TASKS["binary"], batching, CUT, COLUMNS, read, "Europe/Paris")


def test_contract_says_what_was_found() -> None:
    """Each column with its type, roles and values, whatever they are called."""
    read = parse(Contract, strict_yaml.loads(contract()), "contract.yaml")
    assert list(read.columns) == list(COLUMNS)
    assert read.columns["no"].values == ("no", "1", "ja, nein")
    assert read.columns["y"].about == "0.3 # of them: good"
    assert (read.period, read.zone, read.read.missing) == ("month", "Europe/Paris", ("?", "-"))


def test_columns_that_count_up_are_one_line() -> None:
    """Thirteen columns, one line, and a range that holds for all."""
    lines = [line for line in contract().splitlines() if line.startswith("  x")]
    assert lines == ["  x {08..20} [%]: {type: number, role: feature, range: [-20, 30]}"]
    read = parse(Contract, strict_yaml.loads(contract()), "contract.yaml")
    assert read.columns["x 09 [%]"] == read.columns["x 20 [%]"]


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        ([f"v{i}" for i in range(1, 13)], ["v{1..12}"]),
        ([f"v{i}_2024" for i in range(5)], ["v{0..4}_2024"]),
        ([f"v{i}" for i in (1, 2, 3)], ["v1", "v2", "v3"]),
        ([f"v{i}" for i in (1, 2, 3, 5, 6, 7, 8, 9)], ["v1", "v2", "v3", "v{5..9}"]),
        (["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "e"]),
    ],
)
def test_only_numbers_without_gaps_are_put_together(names: list[str], lines: list[str]) -> None:
    """Five at least, next to each other."""
    assert list(written.runs({name: Guess("number", ("feature",)) for name in names})) == lines


@pytest.mark.parametrize("task", TASKS)
def test_params_are_those_of_the_other_cases(task: str) -> None:
    """All sections and keys, with the same comments but for what is the case's own."""
    text = written.params("a", TASKS[task], "month", CUT, 8)
    assert parse(Params, strict_yaml.loads(text), "params.yaml").split.as_of == "2021-08"

    def keys(content: str) -> list[str]:
        own = re.sub(r"^ingest:.*?^$", "", content, flags=re.MULTILINE | re.DOTALL)
        return re.findall(r"^ *(\w+):", own, flags=re.MULTILINE)

    def comments(content: str) -> set[str]:
        return {re.sub(r"quarter", "month", c) for c in re.findall(r"# .*", content)}

    ours = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert keys(text) == keys(ours)
    assert len(comments(ours) - comments(text)) < 10


@pytest.mark.parametrize(
    ("unit", "period"), [("day", "D"), ("year", "Y-DEC"), ("hour", "h"), ("week", "W-SUN")]
)
def test_periods_are_texts_in_every_unit(unit: str, period: str) -> None:
    """YAML would take 2021 for a number, and 2021-08-01 for a date, which DVC refuses."""
    cut = CUT._replace(as_of=pd.Period("2021-08-01", period), through=pd.Period("2022-08-01", period))
    text = written.params("a", TASKS["binary"], unit, cut, 8)  # type: ignore[arg-type]  # a parameter of the test
    assert parse(Params, strict_yaml.loads(text), "params.yaml").split.as_of == str(cut.as_of)


def test_tolerance_is_what_the_holdout_can_tell() -> None:
    """With few events, nothing narrower could be proven; with many, it is the built-in cases'."""

    def calibration(events: int) -> float:
        text = written.params("a", TASKS["binary"], "month", CUT._replace(events=events), 8)
        return parse(Params, strict_yaml.loads(text), "params.yaml").tolerance.calibration

    assert calibration(100_000) == 0.05
    assert 1.96 / 20 < calibration(400) < 0.2
    assert calibration(3) == 0.5
