"""Every kind of file gives the same rows; what stands for a missing value is missing in all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from perenne.cases import reading
from perenne.cases.files import Files
from perenne.cases.reading.kinds import BY_ENDING, TEXTS
from perenne.common import names
from perenne.common.reading import Read
from perenne.pipeline import ingest
from tests import tiny
from tests.cases.reading.written import rows, saved, wrong, zipped
from tests.tiny import MONTHS, table

CSV = table(*MONTHS).replace(",3.5,", ",,")
BY_MONTH = {f"{month}.csv": table(month).replace(",3.5,", ",,") for month in MONTHS}
# As JSON has them: with numbers, and null for a missing value.
RECORDS: list[dict[str, Any]] = json.loads(
    tiny.frame(CSV).astype({"id": int, "won": int}).to_json(orient="records")
)
FRAME = tiny.frame(CSV).astype({"id": "int64", "size": "float64", "won": "int64"}).assign(adult=True)
FRAME["seen"] = pd.to_datetime(FRAME["seen"])
TYPED = pa.Table.from_pandas(FRAME, preserve_index=False)


def stream(path: Path) -> None:
    """Write Arrow's format for streams, which has the same ending as that for files."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, TYPED.schema) as writer:
        writer.write_table(TYPED)


COLUMNS = {name: [row[name] for row in RECORDS] for name in RECORDS[0]}
LINES = "\n".join(map(json.dumps, RECORDS))
WRITERS: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda path: saved(path, CSV),
    "a.txt": lambda path: saved(path, CSV),
    "a.tsv": lambda path: saved(path, CSV.replace(",", "\t")),
    "A.TAB": lambda path: saved(path, CSV.replace(",", "\t")),
    "a.tsv.gz": lambda path: saved(path, gzip.compress(CSV.replace(",", "\t").encode())),
    "a.zip": lambda path: zipped(path, {"2021/a.csv": CSV, "__MACOSX/a.csv": "x", "2021/.DS_Store": "x"}),
    "several.csv.zip": lambda path: zipped(path, BY_MONTH),
    "tabs.zip": lambda path: zipped(path, {"a.tsv": CSV.replace(",", "\t")}),
    "a.json": lambda path: saved(path, json.dumps(RECORDS)),
    "columns.json": lambda path: saved(path, tiny.frame(CSV).to_json(orient="columns")),
    "lists.json": lambda path: saved(path, json.dumps(COLUMNS)),
    "a.jsonl": lambda path: saved(path, LINES),
    "a.ndjson.gz": lambda path: saved(path, gzip.compress(LINES.replace("\n", "\n\n").encode())),
    "a.parquet": lambda path: pq.write_table(TYPED, path),
    "a.feather": lambda path: feather.write_feather(TYPED, path),
    "a.arrow": lambda path: feather.write_feather(TYPED, path, compression="uncompressed"),
    "stream.arrow": stream,
    "a.xlsx": lambda path: FRAME.to_excel(path, index=False),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_rows_of_every_kind_make_the_same_batch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte, whatever type a kind of file gives them."""
    monkeypatch.chdir(tmp_path)
    folder = names.INCOMING / "tiny"
    folder.mkdir(parents=True)
    source = Files(source="files", through="2021-04", glob="*").of_case("tiny")
    found = []
    for each in ("a.csv", name):
        WRITERS[each](folder / each)
        batches = ingest.ingest(source, tiny.contract())
        found.append({period: ingest.table(frame, tiny.contract()) for period, frame in batches})
        (folder / each).unlink()
    assert list(map(str, found[0])) == list(MONTHS)
    assert all(found[1][period].equals(batch) for period, batch in found[0].items())


def test_every_ending_has_such_a_test() -> None:
    """A new kind has to be read as the others are; each text may be packed."""
    tested = {name.lower().split(".", 1)[1].removesuffix(".gz").removesuffix(".zip") for name in WRITERS}
    assert tested - {"zip"} >= {ending[1:] for ending in BY_ENDING}
    assert set(reading.KINDS) == {*BY_ENDING, *(f"{ending}.gz" for ending in TEXTS), ".zip"}


@pytest.mark.parametrize("name", WRITERS)
def test_header_and_columns(name: str, tmp_path: Path) -> None:
    """The names are known without the rows; of the columns only those asked for are read, in that order."""
    WRITERS[name](tmp_path / name)
    assert reading.header(tmp_path / name, Read()) == tiny.HEADER.split(",")
    (first, *_) = reading.pieces(tmp_path / name, Read(), ["won", "id"])
    assert first.column_names == ["won", "id"]
    (whole, *_) = reading.pieces(tmp_path / name, Read())
    assert whole.column_names == tiny.HEADER.split(",")


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl", "a.xlsx", "a.parquet"])
def test_markers_of_the_contract_are_missing(name: str, tmp_path: Path) -> None:
    """Text or number, in any kind of file; nothing else is."""
    frame = pd.DataFrame({"text": ["-", " ? ", "x-"], "number": [-999, 1, -99]})
    path = tmp_path / name
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".xlsx":
            frame.to_excel(path, index=False)
        case ".parquet":
            frame.to_parquet(path)
        case _:
            frame.to_json(path, orient="records", lines=path.suffix == ".jsonl")
    found = rows(path, Read(missing=("-", "?", "-999")))
    assert [row["text"] for row in found] == [None, None, "x-"]
    assert [row["number"] and int(row["number"]) for row in found] == [None, 1, -99]


def test_usual_markers_are_missing_where_a_kind_has_no_null(tmp_path: Path) -> None:
    """Not in JSON or Parquet, which can say it; nor where a column lists the word."""
    csv = saved(tmp_path / "a.csv", "a,b\nNA,NA\n")
    assert rows(csv) == [{"a": None, "b": None}]
    (piece,) = reading.pieces(csv, Read(missing=("NA",)), known={"b": ["NA"]})
    assert piece.to_pylist() == [{"a": None, "b": "NA"}]
    assert rows(saved(tmp_path / "a.json", '[{"a": "NA", "b": " "}]')) == [{"a": "NA", "b": None}]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.doc", b"a", "a.doc: not a file this reads; use .csv, .tsv, .tab, .txt, .json, .jsonl, .ndjson ("),
        ("a", b"a", "a: not a file this reads; use .csv"),
        ("a.csv", b"PK\x03\x04", "a.csv: holds .zip by its first bytes; give it that ending"),
        ("a.json", b"\x1f\x8b", "a.json: holds .json.gz by its first bytes; give it that ending"),
        ("a.parquet", b"\x1f\x8b", "a.parquet: holds .gz by its first bytes; give it that ending"),
        ("a.csv", b"ARROW1\0\0", "a.csv: holds .arrow by its first bytes; give it that ending"),
        ("a.parquet.gz", b"", "a.parquet.gz: not a file this reads; use "),
        ("a.xls", b"\xd0\xcf\x11\xe0", "a.xls: is an old .xls, or has a password; save it as .xlsx without"),
    ],
)  # fmt: skip
def test_other_kinds_are_refused(name: str, content: bytes, line: str, tmp_path: Path) -> None:
    """By their ending, or where the content is of another kind."""
    assert wrong(saved(tmp_path / name, content)).startswith(line)


def test_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """Nor one that is a folder."""
    (tmp_path / "b.csv").mkdir()
    assert wrong(tmp_path / "a.csv") == "a.csv: cannot be read: No such file or directory"
    assert wrong(tmp_path / "b.csv") == "b.csv: cannot be read: Is a directory"
