"""Numbers and dates as people write them, made those of the pipeline; and the whole way of such a file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from perenne.cases.files import Files
from perenne.cases.reading.canonical import canonical
from perenne.common import batches, names, strict_yaml
from perenne.common.column import Column
from perenne.common.contract import Contract
from perenne.common.reading import Read
from perenne.common.typed import parse
from perenne.pipeline import ingest, validate
from tests import tiny
from tests.tiny import MONTHS, table

NUMBER, TIME = (Column(type=kind, role=("ignored",)) for kind in ("number", "datetime"))


def made(column: Column, values: list[Any], **read: Any) -> list[Any]:
    """Return the values as the pipeline writes them."""
    found: list[Any] = canonical(pa.chunked_array([pa.array(values)]), column, Read(**read)).to_pylist()
    return found


EURO = {"decimal": ",", "thousands": ".", "strip": ("€", "EUR")}
DOLLAR = {"thousands": ",", "strip": ("$", "%", "kg", "g", "()")}


@pytest.mark.parametrize(
    ("read", "text", "number"),
    [
        (EURO, "1.234,50 €", "1234.50"),
        (EURO, "€ 7", "7"),
        (EURO, "EUR1.234.567", "1234567"),
        (EURO, "-1.234", "-1234"),
        (EURO, "- 3,5", "-3.5"),
        (EURO, "\u22123,5\u00a0€", "-3.5"),
        (EURO, "-€3,5", "-3.5"),
        (EURO, "+4", "4"),
        (EURO, " ,5 ", ".5"),
        (EURO, "1,5E-3", "1.5E-3"),
        (DOLLAR, "$1,234.50", "1234.50"),
        (DOLLAR, "(1,200)", "-1200"),
        (DOLLAR, "$(1,200.5)", "-1200.5"),
        (DOLLAR, "($1,200)", "-1200"),
        (DOLLAR, "1,20,000", "120000"),
        (DOLLAR, "5 %", "5"),
        (DOLLAR, "5kg", "5"),
        (DOLLAR, "5 g", "5"),
        ({"decimal": ",", "thousands": " "}, "1 234 567,5", "1234567.5"),
        ({"decimal": ",", "thousands": " "}, "1\u202f234\u00a0567", "1234567"),
        ({"thousands": "'"}, "1'234.5", "1234.5"),
        ({"thousands": "'"}, "1\u2019234.5", "1234.5"),
        ({"thousands": "_"}, "1_234", "1234"),
    ],
)
def test_number_is_read_by_the_contract(read: dict[str, Any], text: str, number: str) -> None:
    """Units, thousands, brackets and blanks of any width; a file may mix numbers with and without them."""
    assert made(NUMBER, [text, None, "7"], **read) == [number, None, "7"]
    assert float(batches.typed(pd.Series([number]), NUMBER)[0]) == float(number)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (EURO, "1,5,"),
        (EURO, "1.23,5"),
        (EURO, "12.34.567,8.9"),
        (EURO, "(5)"),
        (EURO, "5 $"),
        (EURO, "€"),
        (EURO, "x"),
        (DOLLAR, "12,34"),
        (DOLLAR, "1,2345"),
        (DOLLAR, "(5"),
        (DOLLAR, "-(5)"),
        ({"decimal": ",", "thousands": " "}, "12 34"),
    ],
)
def test_text_that_is_no_such_number_stays_and_is_no_number(read: dict[str, Any], text: str) -> None:
    """`validate` quarantines it as it is."""
    assert made(NUMBER, [text], **read) == [text]
    assert batches.typed(pd.Series([text]), NUMBER).isna().all()


@pytest.mark.parametrize("text", ["1.5", "1.234", "-.5", "5.", "1.5e3"])
def test_point_where_a_comma_is_the_decimal_is_no_number(text: str) -> None:
    """It may be a thousand times as much: it says why it is refused, and `validate` does not read it."""
    (said,) = made(NUMBER, [text], decimal=",")
    assert said == f"{text} (read.decimal is a comma)"
    assert batches.typed(pd.Series([said]), NUMBER).isna().all()


def test_numbers_that_a_file_types_and_other_columns_are_left_alone() -> None:
    """Only texts of numbers and times are read."""
    assert made(NUMBER, [1.5, None], **EURO) == [1.5, None]
    assert made(Column(type="category", role=("ignored",)), ["1.234,50 €"], **EURO) == ["1.234,50 €"]
    assert made(NUMBER, ["1,5", "$2"]) == ["1,5", "$2"]


DAY, MINUTE = "%d/%m/%Y", "%d/%m/%Y %H:%M"


@pytest.mark.parametrize(
    ("dates", "text", "time"),
    [
        ((DAY,), "31/12/2021", "2021-12-31"),
        ((DAY,), " 1/2/2021 ", "2021-02-01"),
        ((DAY,), "2021-12-31", "2021-12-31"),
        (("%d%m%Y",), "20111012", "20111012"),
        (("%d%m%Y",), "31122021", "2021-12-31"),
        ((DAY, MINUTE), "31/12/2021 13:05", "2021-12-31T13:05:00"),
        (("%m/%d/%Y", DAY), "01/02/2021", "2021-01-02"),
        (("%m/%d/%Y", DAY), "31/12/2021", "2021-12-31"),
        (("%d.%m.%y %I:%M:%S.%f %p",), "01.02.21 01:05:06.5 PM", "2021-02-01T13:05:06.500000"),
        (("%d/%m/%Y %H:%M %z",), "31/12/2021 13:05 +0100", "2021-12-31T13:05:00+01:00"),
        (("%b %Y",), "Mar 2021", "2021-03-01"),
        (("%Y",), "2021", "2021-01-01"),
        (("%G week %V",), "2021 week 05", "2021-02-01"),
        (("%G-W%V",), "2020-W53", "2020-12-28"),
        ((DAY,), "31/12/9999", "9999-12-31"),
        (("seconds",), "1612137600", "2021-02-01T00:00:00+00:00"),
        (("seconds",), "1612137600.0", "2021-02-01T00:00:00+00:00"),
        (("seconds",), "-1", "1969-12-31T23:59:59+00:00"),
        (("milliseconds",), "1612137600123", "2021-02-01T00:00:00.123+00:00"),
        (("seconds", "%Y"), "2021-03", "2021-03"),
    ],
)
def test_date_is_read_by_the_contract(dates: tuple[str, ...], text: str, time: str) -> None:
    """The first format that fits, where a value is not ISO 8601 already; the pipeline reads the result."""
    assert made(TIME, [text, None], dates=dates) == [time, None]
    assert batches.typed(pd.Series([time]), TIME).notna().all()


@pytest.mark.parametrize(
    ("dates", "text"),
    [
        ((DAY,), "32/12/2021"),
        ((DAY,), "31/12/2021 13:05"),
        ((DAY,), "12/31/2021"),
        (("%G week %V",), "2021 week 53"),
        (("seconds",), "99999999999999999999"),
        (("seconds",), "253402300800"),
        (("seconds",), "1.5"),
        (("seconds",), "soon"),
    ],
)
def test_text_that_fits_no_format_stays(dates: tuple[str, ...], text: str) -> None:
    """And is no time for the pipeline either."""
    assert made(TIME, [text], dates=dates) == [text]
    assert batches.typed(pd.Series([text]), TIME).isna().all()


def test_numbers_of_a_typed_column_are_times_where_the_contract_says_so() -> None:
    """Integers, also those that a gap made floats of; what fits no format keeps its digits."""
    assert made(TIME, [1612137600, None], dates=("seconds",)) == ["2021-02-01T00:00:00+00:00", None]
    assert made(TIME, [1612137600123.0, None], dates=("milliseconds",)) == [
        "2021-02-01T00:00:00.123+00:00",
        None,
    ]
    assert made(TIME, [20210131, 7], dates=("%Y%m%d",)) == ["2021-01-31", "7"]
    assert made(TIME, [1612137600]) == [1612137600]
    assert made(TIME, [datetime(2021, 1, 2)], dates=("seconds",)) == [datetime(2021, 1, 2)]


# The whole way of a file.


def brought(contract: Contract, tmp_path: Path, content: dict[str, bytes]) -> dict[str, pa.Table]:
    """Return the batches of a case that has some files, as `ingest` would write them."""
    folder = tmp_path / names.INCOMING / "own"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    source = Files(source="files", through="2099-12", glob="*").of_case("own")
    return {str(period): ingest.table(frame, contract) for period, frame in ingest.ingest(source, contract)}


def checked(batch: pa.Table, period: str, contract: Contract) -> validate.Checked:
    """Return a batch as `validate` parts it."""
    raw = batch.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get)
    return validate.validate(raw, pd.Period(period), contract, matured=True)


PERSONNEL = """\
row: one employee on entry
task: binary
period: month
label_delay: 0
read: {delimiter: ";", encoding: latin-1, decimal: ",", dates: "%d/%m/%Y"}
columns:
  identité: {type: integer, role: entity}
  date d'entrée: {type: datetime, role: time}
  ancienneté: {type: number, role: feature, range: [0, 100], unit: years}
  catégorie: {type: category, role: [feature, slice], values: [cadre, ouvrier, employé, ingénieur]}
  départ: {type: boolean, role: target, values: [non, oui]}
"""


def test_french_file_is_taken_in_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Semicolons, decimal commas, day/month/year, Latin-1, oui and non: every row is kept with its values."""
    monkeypatch.chdir(tmp_path)
    contract = parse(Contract, strict_yaml.loads(PERSONNEL), "contract.yaml")
    rng, n = np.random.default_rng(9), 1000
    days = pd.date_range("2019-01-01", periods=n, freq="8h").normalize()
    true = pd.DataFrame(
        {
            "identité": np.arange(n),
            "date d'entrée": days,
            "ancienneté": rng.gamma(3, 4, n).round(2),
            "catégorie": rng.choice(["cadre", "ouvrier", "employé", "ingénieur"], n),
            "départ": rng.random(n) < 0.2,
        }
    )
    shown = true.assign(départ=np.where(true["départ"], "oui", "non"))
    shown["date d'entrée"] = days.strftime("%d/%m/%Y")
    data = shown.to_csv(index=False, sep=";", decimal=",").encode("latin-1")
    found = brought(contract, tmp_path, {"personnel.csv": data})
    assert list(found) == [str(month) for month in pd.period_range("2019-01", "2019-11", freq="M")]
    kept = []
    for period, batch in found.items():
        assert batch.schema == batches.schema(contract)
        parts = checked(batch, period, contract)
        assert parts.quarantined.empty
        kept.append(parts.kept)
    together = pd.concat(kept).sort_values("identité")
    for name in contract.columns:
        assert together[name].tolist() == true[name].tolist()
    lines = data.decode("latin-1").splitlines()
    halves = {"a.csv": [lines[0], *lines[:500:-1]], "b.csv": lines[:501]}
    cut = {name: "\n".join(some).encode("latin-1") for name, some in halves.items()}
    again = brought(contract, tmp_path, cut)
    assert all(again[period].equals(batch) for period, batch in found.items())


def test_what_fits_no_format_is_quarantined_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the rule `type`, and the line says what would do: also for the words of a boolean."""
    monkeypatch.chdir(tmp_path)
    contract = parse(Contract, strict_yaml.loads(PERSONNEL), "contract.yaml")
    header = "identité;date d'entrée;ancienneté;catégorie;départ\n"
    good = "".join(f"{n};0{n}/02/2019;1,5;cadre;OUI\n" for n in range(1, 8))
    bad = "8;30/02/2019;1,5;cadre;oui\n9;09/02/2019;1.234;cadre;oui\n10;10/02/2019;2;cadre;yes\n"
    (batch,) = brought(contract, tmp_path, {"a.csv": (header + good + bad).encode("latin-1")}).values()
    parts = checked(batch, "2019-02", contract)
    assert parts.kept["départ"].tolist() == [True] * 7
    assert parts.broken[["column", "rule", "value"]].to_numpy().tolist() == [
        ["date d'entrée", "type", "30/02/2019"],
        ["ancienneté", "type", "1.234 (read.decimal is a comma)"],
        ["départ", "type", "yes"],
    ]
    only = parts._replace(broken=parts.broken[parts.broken["column"] == "départ"])
    said = validate.too_many(only, Path("data/raw/2019-02.parquet"), 0.01)
    assert said is not None
    assert said.endswith("found 'yes', must be non or oui")


def test_times_are_read_before_rows_are_cut_into_periods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds since 1970 are moments: the clocks of the contract's zone say of which day they are."""
    monkeypatch.chdir(tmp_path)
    seconds = 1_612_137_600 - 1_800  # half past eleven in the evening of the 31st of January, in UTC
    text = table("2021-01", rows=1).replace("2021-01-01", str(seconds))
    for zone, month in (("UTC", "2021-01"), ("Europe/Paris", "2021-02")):
        contract = tiny.contract("label_delay: 0", f"label_delay: 0\nzone: {zone}\nread: {{dates: seconds}}")
        assert list(brought(contract, tmp_path, {"a.csv": text.encode()})) == [month]


def test_contract_without_read_changes_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one that spells the defaults out."""
    monkeypatch.chdir(tmp_path)
    text = table(*MONTHS).replace(",1.5,", ",1;5,").replace("red", "01/02/2021")
    spelled = 'read: {delimiter: ",", encoding: utf-8, decimal: ".", strip: [], dates: []}'
    rows = [tiny.contract(), tiny.contract("label_delay: 0", f"label_delay: 0\n{spelled}")]
    first, second = (brought(contract, tmp_path, {"a.csv": text.encode()}) for contract in rows)
    assert all(second[month].equals(first[month]) for month in MONTHS)
    assert {"1;5", "0.5"} <= set(first["2021-01"]["size"].to_pylist())
