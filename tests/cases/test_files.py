"""One's own files: read whatever their kind, cut by period, and refused by name, row and value."""

from __future__ import annotations

import gzip
import os
import random
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as pq
import pytest

from perenne.cases.files import Files
from perenne.cases.reading import plain
from perenne.common import batches, names, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.pipeline import ingest, validate
from tests import tiny
from tests.tiny import HEADER, MONTHS, row, table

INCOMING = names.INCOMING / "tiny"


@pytest.fixture(autouse=True)
def incoming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty folder of the case, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    INCOMING.mkdir(parents=True)
    return INCOMING


def write(name: str, content: str | bytes | pa.Table) -> None:
    """Write a file as its ending says."""
    path = INCOMING / name
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def bring(contract: Contract | None = None, through: str = "2021-04", glob: str = "*") -> dict[str, pa.Table]:
    """Return the batches as `ingest` would write them, by period."""
    contract = contract or tiny.contract()
    source = Files(source="files", through=through, glob=glob).of_case("tiny")
    return {str(period): ingest.table(frame, contract) for period, frame in ingest.ingest(source, contract)}


def refused(**more: Any) -> str:
    """Return the line that says what is wrong."""
    with pytest.raises(PerenneError) as caught:
        bring(**more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parquet(text: str) -> pa.Table:
    """Return the rows of a CSV in the types of the contract."""
    return ingest.table(tiny.frame(text), tiny.contract())


def test_rows_are_cut_by_period() -> None:
    """Each month gets its rows, in the contract's types, and every row is somewhere."""
    write("visits.csv", table(*MONTHS, rows=20))
    found = bring()
    assert list(found) == list(MONTHS)
    for month, batch in found.items():
        assert batch.schema == batches.schema(tiny.contract())
        assert batch["id"].to_pylist() == sorted(range(20), key=lambda n: (n % 28, n))
        assert {str(time)[:7] for time in batch["seen"].to_pylist()} == {month}


def test_rows_after_through_are_left_out() -> None:
    """`ingest.through` is the last period that comes in, though the files know more."""
    write("visits.csv", table(*MONTHS))
    assert list(bring(through="2021-02")) == ["2021-01", "2021-02"]


def sliced(lines: list[str], cuts: list[int]) -> None:
    """Write rows into several files, each with a header."""
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(lines)], strict=True)):
        write(f"{number}.csv", "\n".join([HEADER, *lines[start:stop], ""]))


def test_order_of_rows_and_files_changes_nothing(incoming: Path) -> None:
    """Shuffled, cut into files, with equal keys: the batches are the same to the last row."""
    same_key = row(5, "2021-01").replace("red", "blue").replace("blue", "red")
    lines = [*table(*MONTHS).splitlines()[1:], same_key, row(5, "2021-01").replace(",0", ",1", 1)]
    sliced(lines, [])
    rows = tiny.contract("role: entity", "role: ignored")
    straight = bring(rows)
    random.Random(1).shuffle(lines)  # noqa: S311 -- no secret
    sliced(lines, [7, 7, 50])
    assert len(list(incoming.iterdir())) == 4
    shuffled = bring(rows)
    assert all(shuffled[month].equals(straight[month]) for month in MONTHS)


VERSIONED = tiny.contract("columns:", "columns:\n  loaded: {type: datetime, role: version, missing: true}")


def loaded(text: str, *times: str) -> str:
    """Return a CSV with a version for each row."""
    lines = zip(text.splitlines(), ["loaded", *times], strict=True)
    return "\n".join(f"{line},{time}" for line, time in lines) + "\n"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (",0.5,", ",99.5,", "size is '99.5' and '0.5'"),
        (",0.5,", ",0.1,", "size is '0.1' and '0.5'"),
        (",0.5,", ",,", "size is nan and '0.5'"),
        (",0\n", ",1\n", "won is '1' and '0'"),
    ],
)
def test_contradicting_rows_are_refused_with_both_files(old: str, new: str, found: str) -> None:
    """Neither the larger nor the smaller value wins: one line names both rows, and what would decide."""
    first = table("2021-01", rows=1)
    write("visits.csv", first + row(1, "2021-01") + "\n")
    write("visits-correction.csv", first.replace(old, new))
    assert refused() == (
        "data/incoming/tiny/visits-correction.csv: row 1 and data/incoming/tiny/visits.csv: row 1 contradict "
        "each "
        f"other: both are id 0, seen 2021-01-01 00:00:00, but {found}; keep one, or give the contract a "
        "column with the role version: the latest counts"
    )


def test_a_label_that_arrives_later_is_no_contradiction() -> None:
    """The row was delivered without it; nor is a row that was delivered twice, written in another way."""
    write("a.csv", table("2021-01", rows=2).replace(",0\n", ",\n"))
    write("b.csv", table("2021-01", rows=2))
    write("c.csv", table("2021-01", rows=2).replace("0.5", "0.50").replace("red", "red "))
    assert bring()["2021-01"].num_rows == 6


def test_rows_of_one_version_must_agree() -> None:
    """Also those without a version; rows of several versions may differ."""
    first, second = table("2021-01", rows=1), table("2021-01", rows=1).replace("0.5", "9.5")
    for times, agree in (
        (("2021-02-01", "2021-03-01"), True),
        (("", "2021-03-01"), True),
        (("2021-02-01", "2021-02-01"), False),
        (("", ""), False),
    ):
        write("a.csv", loaded(first, times[0]))
        write("b.csv", loaded(second, times[1]))
        if agree:
            assert bring(VERSIONED)["2021-01"].num_rows == 2
        else:
            assert "a.csv: row 1 and data/incoming/tiny/b.csv: row 1 contradict" in refused(
                contract=VERSIONED
            )


def test_later_rows_leave_earlier_batches_alone() -> None:
    """A period that did not change keeps its bytes when another file arrives."""
    write("a.csv", table(*MONTHS[:3]))
    before = bring()
    write("b.csv", table(MONTHS[3]))
    after = bring()
    assert list(after) == list(MONTHS)
    assert all(after[month].equals(batch) for month, batch in before.items())


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_size_of_the_pieces_changes_nothing(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file read a few rows at a time, missing values among them, gives the same batches."""
    text = table(*MONTHS).replace(",3.5,", ",,").replace("7,2021", "9007199254740993,2021")
    write(f"visits.{ending}", parquet(text) if ending == "parquet" else text)
    whole = bring()
    monkeypatch.setattr(plain, "PIECE", 300)
    pieces = bring()
    assert list(pieces) == list(whole)
    assert all(pieces[month].equals(whole[month]) for month in MONTHS)
    assert 9007199254740993 in whole["2021-01"]["id"].to_pylist()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", table(*MONTHS)),
        ("A.CSV", table(*MONTHS)),
        ("a.csv", "\ufeff" + table(*MONTHS)),
        ("a.csv", table(*MONTHS).replace("\n", "\r\n")),
        ("a.csv", table(*MONTHS).rstrip("\n")),
        ("a.csv", table(*MONTHS).replace("red", '"red"').replace("\n", "\n\n")),
        ("a.csv", table(*MONTHS).replace(",true,", ",TRUE,").replace(",true,", ",1,")),
        ("a.csv", "\n".join(f'"a, ""b""\nc",{line}' for line in table(*MONTHS).splitlines())),
    ],
    ids=[
        "gzip",
        "upper case",
        "byte order mark",
        "CRLF",
        "no last newline",
        "quotes, blank lines",
        "TRUE",
        "text",
    ],
)
def test_csv_as_others_write_it(name: str, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ways to write the same rows; also where a piece ends within quotes."""
    write("a.csv", table(*MONTHS))
    first = bring()
    (INCOMING / "a.csv").unlink()
    monkeypatch.setattr(plain, "PIECE", 400)
    write(name, content)
    found = bring()
    assert all(found[month].equals(first[month]) for month in MONTHS)


def test_parquet_of_any_plain_type_is_the_same_batch() -> None:
    """Narrow integers, nanoseconds with a zone, dates, dictionaries: what matters is the value."""
    write("a.parquet", parquet(table("2021-01")))
    plain = bring()["2021-01"]
    other = {
        "id": pa.int16(),
        "seen": pa.timestamp("ns", "UTC"),
        "size": pa.float32(),
        "colour": pa.dictionary(pa.int8(), pa.string()),
        "member": pa.date32(),
        "won": pa.uint8(),
    }
    narrow = parquet(table("2021-01"))
    for name, kind in other.items():
        column = narrow[name].dictionary_encode() if name == "colour" else narrow[name].cast(kind)
        narrow = narrow.set_column(narrow.schema.get_field_index(name), name, column)
    write("a.parquet", narrow)
    assert bring()["2021-01"].equals(plain)


def test_missing_values_change_no_neighbour() -> None:
    """A large identifier beside a missing one is no float; a column all missing is one of missing values."""
    whole = parquet(table("2021-01", rows=2))
    whole = whole.set_column(0, "id", pa.array([2**53 + 1, None])).set_column(2, "size", pa.nulls(2))
    write("a.parquet", whole)
    write("b.parquet", parquet(table("2021-01", rows=1)))
    batch = bring()["2021-01"]
    assert batch.schema == batches.schema(tiny.contract())
    assert set(batch["id"].to_pylist()) == {2**53 + 1, None, 0}
    assert batch["size"].null_count == 2


def test_files_may_disagree_on_a_type() -> None:
    """One file has numbers where another has text: the rows meet, and each value is read for itself."""
    write("a.parquet", parquet(table("2021-01", rows=3)))
    write("b.csv", f"{HEADER}\n{row(3, '2021-01')}\n")
    assert bring()["2021-01"]["id"].to_pylist() == [0, 1, 2, 3]


def test_a_category_is_one_value_however_a_file_writes_it() -> None:
    """Decimals of a whole number, blanks, composed characters: by CSV and by Parquet, with a gap or not."""
    rows = tiny.contract("values: [red, blue]", "missing: true")
    spelled = {
        "1": ["1", "1.0", " 1", "1.00"],
        "caf\u00e9": ["caf\u00e9", "cafe\u0301 "],
        None: ["", "  ", "NA "],
    }
    for number, text in enumerate(text for spellings in spelled.values() for text in spellings):
        write(
            f"{number}.csv",
            f"{HEADER}\n{row(number, '2021-01').replace('red', text).replace('blue', text)}\n",
        )
    codes = parquet(table("2021-02", rows=2)).drop_columns("colour").append_column("colour", pa.array([1, 2]))
    gap = (
        parquet(table("2021-03", rows=2))
        .drop_columns("colour")
        .append_column("colour", pa.array([1.0, None]))
    )
    write("codes.parquet", codes)
    write("gap.parquet", gap)
    found = bring(rows)
    assert found["2021-01"]["colour"].to_pylist() == [name for name, each in spelled.items() for _ in each]
    assert found["2021-02"]["colour"].to_pylist() == ["1", "2"]
    assert found["2021-03"]["colour"].to_pylist() == ["1", None]


def test_a_word_for_missing_is_a_value_where_the_contract_lists_it() -> None:
    """Namibia's code is NA: it stays in the column that lists it, and is missing in all others."""
    write("a.csv", table("2021-01", rows=4).replace("red", "NA").replace(",2.5,", ",NA,"))
    batch = bring(tiny.contract("[red, blue]", "[NA, blue]"))["2021-01"]
    assert batch["colour"].to_pylist() == ["NA", "blue", "NA", "blue"]
    assert batch["size"].to_pylist() == [0.5, 1.5, None, 3.5]
    assert bring(tiny.contract())["2021-01"]["colour"].to_pylist() == [None, "blue", None, "blue"]


def test_column_that_does_not_fit_stays_as_it_came() -> None:
    """One bad cell makes text of its own column, for `validate` to name; the others are typed."""
    write("a.csv", table("2021-01").replace(",2.5,", ",big,"))
    batch = bring()["2021-01"]
    assert {"big", "0.5"} <= set(batch["size"].to_pylist())
    assert batch["id"].type == pa.int64()


def test_row_in_which_nothing_fits_is_brought_in() -> None:
    """However bad a row is, it is for `validate` to say so, as long as its time is known."""
    write("a.csv", f"{HEADER}\nx,2021-01-05T09:00,x,7,x,x,x\n")
    assert bring()["2021-01"].to_pylist()[0]["id"] == "x"


def test_numbers_in_a_time_column_are_not_times() -> None:
    """Nor is any number quietly taken for nanoseconds since 1970."""
    whole = parquet(table("2021-01"))
    write("a.parquet", whole.set_column(5, "member", pa.array([20201231] * 20)))
    assert bring()["2021-01"]["member"].type == pa.int64()
    write("a.parquet", whole.set_column(1, "seen", pa.array([20210101] * 20)))
    assert refused() == (
        "data/incoming/tiny/a.parquet: row 1: seen = 20210101 is not a date that can be right, nor is any "
        "after it; write it like 2021-09-30, or name its format in the contract, such as read: "
        '{dates: "%d/%m/%Y"}'
    )


def test_columns_that_the_contract_does_not_name_are_ignored() -> None:
    """Whatever they are, and in whatever encoding."""
    text = "\n".join(f"{line},n\xe9e" for line in table("2021-01").splitlines())
    write("a.csv", text.replace("won,n\xe9e", "won,note").encode("latin-1"))
    assert len(bring()["2021-01"]) == 20


def test_column_that_only_a_later_file_has_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """It is left out, as one is that all files have and the contract does not name; that one is known."""
    for name, month, more in (("a", "2021-01", ["note"]), ("b", "2021-02", ["note", "discount"])):
        lines = table(month).splitlines()
        rows = [",".join([lines[0], *more]), *(",".join([line, *map(str, more)]) for line in lines[1:])]
        write(f"{name}.csv", "\n".join(rows))
    assert list(bring()) == ["2021-01", "2021-02"]
    assert capsys.readouterr().err == (
        "warning: data/incoming/tiny/b.csv: not in all files nor in the contract, so left out: column "
        "'discount'\n"
    )


def test_header_alone_is_a_month_without_visits() -> None:
    """It adds nothing and breaks nothing, unless there is nothing else."""
    write("a.csv", HEADER)
    write("b.csv", f"{HEADER}\n")
    assert refused() == "data/incoming/tiny/*: no row in or before 2021-04 (ingest.through)"
    write("c.csv", table("2021-01"))
    assert len(bring()["2021-01"]) == 20


GOOD = table("2021-01", rows=3)
GZIPPED = gzip.compress(b"a", mtime=0)  # with the time of day, each worker would collect a test of its own
LINES = GOOD.splitlines()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "a.csv: is empty; must hold at least the columns id, seen, size, colour, adult, membe"),
        ("a.csv.gz", "", "a.csv.gz: "),
        ("a.parquet", b"", "a.parquet: not a readable Parquet file (truncated, or another format?): "),
        ("a.csv", GOOD + "7,2021-01-02\n", "a.csv: line 5: 2 fields, must be 7 (id, seen, size, colour, adu"),
        ("a.csv", GOOD.replace("1.5", "1,5"), "a.csv: line 3: 8 fields, must be 7 (id, seen, size, colour,"),
        ("a.csv.gz", GOOD + "7,2021-01-02\n", "a.csv.gz: line 5: 2 fields, must be 7"),
        ("a.csv", GOOD.replace("1.5", '"1.5'), "a.csv: line 3: unexpected end of data; is a quote not close"),
        ("a.csv", GOOD.replace("blue", "bl\xfc").encode("latin-1"), "a.csv: line 3: not UTF-8: byte 0xfc in"),
        ("a.csv", GOOD.replace("size", "\xdf").encode("latin-1"), "a.csv: line 1: not UTF-8: byte 0xdf in b"),
        ("a.csv", GOOD.encode("utf-16"), "a.csv: line 1: not UTF-8: byte 0xff"),
        ("a.csv", GOOD.replace("size", "szie"), "a.csv: no column 'size'; did you mean 'szie'? Valid: adult"),
        ("a.csv", GOOD.replace("size", "id"), "a.csv: 2 columns have the name 'id'; keep one"),
        ("a.csv", GOOD.replace(",", ";"), "a.csv: no column 'id'; valid: id;seen;size;colour;adult;member;w"),
        ("a.csv", GOOD.replace("2021-01", "01/2021"), "a.csv: row 1: seen = '01/2021-01' is not a date tha"),
        ("a.csv", f"{LINES[0]}\n1,,1,red,true,,1\n", "a.csv: row 1: seen is missing, nor is any after it; "),
        ("a.doc", GOOD, "a.doc: not a file this reads; use .csv, .tsv, .tab, .txt, .json, .jsonl, .ndj"),
        ("a.parquet", GOOD, "a.parquet: not a readable Parquet file (truncated, or another format?): "),
        ("a.csv", pa.table({"a": [1]}), "a.csv: holds .parquet by its first bytes; give it that ending"),
        ("a.csv", GZIPPED, "a.csv: holds .csv.gz by its first bytes; give it that ending"),
        ("a.parquet", pa.table({"id": [1]}), "a.parquet: no column 'seen'; valid: id"),
        ("a.csv", GOOD.replace("\n", "\r"), "a.csv: its first line cannot be read: a line ends with"),
        ("a.csv", GOOD.replace("size", "s" * 200_000), "a.csv: its first line cannot be read: field larger"),
        ("a.csv", GOOD.replace("size", "\x1b[31m\u2028"), r"a.csv: no column 'size'; valid: \x1b[31m\u2028"),
        ("a\n::error::.csv", GOOD, r"a\n::error::.csv'"),
    ],
)  # fmt: skip
def test_bad_file_is_one_line(name: str, content: str | bytes | pa.Table, said: str) -> None:
    """The line names the file, the line or row, the value and what would do."""
    write(name, content)
    assert refused().removeprefix("'").startswith(f"data/incoming/tiny/{said}")


@pytest.mark.parametrize("place", range(10, 60, 5))
def test_damaged_gzip_is_named(place: int, incoming: Path) -> None:
    """Whichever byte of its content is wrong."""
    data = bytearray(gzip.compress(GOOD.encode(), mtime=0))
    data[place] ^= 0xFF
    (incoming / "a.csv.gz").write_bytes(data)
    assert refused().startswith("data/incoming/tiny/a.csv.gz: ")


def test_name_of_a_file_that_is_no_text_is_refused(incoming: Path) -> None:
    """Some systems allow any bytes."""
    Path(os.fsdecode(bytes(incoming) + b"/a\xff.csv")).write_text(GOOD)
    assert refused() == r"'data/incoming/tiny/a\udcff.csv': its name cannot be printed; rename it"


@pytest.mark.parametrize("kind", [pa.decimal128(38, 0), pa.decimal128(38, 2), pa.decimal256(50, 0)])
@pytest.mark.parametrize("type", ["text", "integer"])
def test_long_identifiers_stay_apart(type: str, kind: pa.DataType) -> None:  # noqa: A002 -- the contract's word
    """Databases export them as decimals; as floats, those beyond 2**53 would meet."""
    contract = tiny.contract("id: {type: integer", f"id: {{type: {type}")
    rows = parquet(table("2021-01"))
    ids = pa.array([Decimal(2**53 + n) for n in range(len(rows))], kind)
    write("a.parquet", rows.set_column(0, "id", ids))
    assert quarantined(contract) == {"2021-01": {}}
    found = bring(contract)["2021-01"]["id"].to_pylist()
    assert sorted(int(Decimal(value)) for value in found) == [2**53 + n for n in range(len(rows))]


def test_time_that_does_not_fit_is_refused() -> None:
    """Java's "for ever" would come out as a day of 1969."""
    rows = parquet(table("2021-01"))
    ever = pa.array([2**63 - 1] * len(rows), pa.timestamp("ms"))
    write("a.parquet", rows.set_column(rows.schema.get_field_index("member"), "member", ever))
    assert refused().startswith("data/incoming/tiny/a.parquet: column 'member': is timestamp[ms]; use ")


def test_duration_is_refused() -> None:
    """As a number it would lose its unit."""
    rows = parquet(table("2021-01"))
    spans = pa.array([3600] * len(rows), pa.duration("s"))
    write("a.parquet", rows.set_column(rows.schema.get_field_index("size"), "size", spans))
    assert refused().startswith("data/incoming/tiny/a.parquet: column 'size': is duration[s]; use ")


def test_bytes_that_are_no_text_are_refused() -> None:
    """Of a column of bytes, and of one that claims to be text."""
    rows = parquet(table("2021-01"))
    data = pa.array([b"\xff"] * len(rows))
    for colour in (data, data.view(pa.string())):
        write("a.parquet", rows.set_column(rows.schema.get_field_index("colour"), "colour", colour))
        assert "column 'colour': is " in refused()


@pytest.mark.parametrize("name", [".size", ".", "..", "a.b", "size[0]"])
def test_name_of_a_column_is_no_path(name: str) -> None:
    """A dot in it means nothing."""
    contract = tiny.contract("  size:", f"  '{name}':")
    write("a.csv", table("2021-01").replace("size", name))
    assert len(bring(contract)["2021-01"]) == 20


def test_row_is_counted_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row in the message is the file's, however it was read."""
    monkeypatch.setattr(plain, "PIECE", 200)
    write("a.csv", table("2021-01", rows=28) + row(1, "2021-01").replace("2021-01-02", "2021-01-02T09Z"))
    assert refused().startswith(
        "data/incoming/tiny/a.csv: row 29: seen = '2021-01-02T09Z' has +00:00, but no off"
    )


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet"])
def test_truncated_file_is_named(name: str) -> None:
    """A download that stopped half-way gives no half of a batch."""
    write(name, parquet(table(*MONTHS)) if name.endswith("parquet") else table(*MONTHS, rows=999))
    path = INCOMING / name
    path.write_bytes(path.read_bytes()[:-40])
    assert refused().startswith(f"data/incoming/tiny/{name}: ")
    assert "runcated" in refused()


def test_nested_column_is_named() -> None:
    """A list is no value of a contract's type."""
    whole = parquet(table("2021-01"))
    write("a.parquet", whole.set_column(3, "colour", pa.array([[{"a": 1}]] * 20)))
    assert refused().startswith("data/incoming/tiny/a.parquet: column 'colour': is list<")


@pytest.mark.parametrize(
    ("glob", "said"),
    [
        (
            "visit.csv",
            "nothing matches 'visit.csv' in data/incoming/tiny; did you mean 'visits.csv'? Valid: visi",
        ),
        ("/tmp/*.csv", "'/tmp/*.csv': Non-relative patterns are unsupported; write it like \"*.csv\""),  # noqa: S108
        ("", "'': "),
    ],
)
def test_glob_that_finds_nothing(glob: str, said: str) -> None:
    """The line names the key, the pattern and the files that are there."""
    write("visits.csv", GOOD)
    assert refused(glob=glob).startswith(f"params.yaml: ingest.glob: {said}")


@pytest.mark.parametrize("folder", ["__pycache__", "2021/__pycache__", ".dvc", ".hidden/2021"])
def test_folders_that_dvc_or_people_do_not_see_are_not_read(folder: str) -> None:
    """What is in them is in no hash."""
    write("visits.csv", GOOD)
    before = bring(glob="**/*.csv")
    path = names.INCOMING / "tiny" / folder / "visits.csv"
    path.parent.mkdir(parents=True)
    path.write_text("nothing that this contract knows", encoding="utf-8")
    assert list(bring(glob="**/*.csv")) == list(before)


def test_case_reads_no_other_cases_files() -> None:
    """However wide its pattern is; what lies in no case's folder is refused, with where it belongs."""
    write("visits.csv", GOOD)
    before = bring(glob="**/*.csv")
    other = names.INCOMING / "other" / "a.csv"
    other.parent.mkdir()
    other.write_text("nothing that this contract knows", encoding="utf-8")
    assert list(bring(glob="**/*.csv")) == list(before)
    (names.INCOMING / "README.md").touch()
    (names.INCOMING / "May.CSV").touch()
    assert refused() == (
        "data/incoming/May.CSV: each case has a folder of its own; move the files of this one to "
        "data/incoming/tiny/ (with dvc move, where DVC keeps them)"
    )


def test_through_before_everything() -> None:
    """No batch at all is an error, not an empty folder."""
    write("visits.csv", GOOD)
    assert refused(through="2020-12") == "data/incoming/tiny/*: no row in or before 2020-12 (ingest.through)"
    assert "'2020' is not a month; write it like 2013-05" in refused(through="2020")


def rows(*lines: str) -> str:
    """Return a CSV with good rows at some times."""
    return "\n".join([HEADER, *(f"{n},{time},1,red,true,,1" for n, time in enumerate(lines)), ""])


def quarantined(contract: Contract | None = None, through: str = "2021-04") -> dict[str, dict[str, int]]:
    """Return the rules that are broken in each batch, as the stage `validate` counts them."""
    contract, counts = contract or tiny.contract(), {}
    for period, batch in bring(contract, through).items():
        raw = batch.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        checked = validate.validate(raw, periods.parse(period, contract.period, ""), contract, matured=True)
        counts[period] = checked.counts().rules
    return counts


@pytest.mark.parametrize(
    ("moment", "rule"),
    [
        ("02/01/2021", "type"),
        ("2021-02-30", "type"),
        ("now", "type"),
        ("", "missing"),
        ("2121-01-02", "outside its period"),
        ("0001-01-01", "outside its period"),
        ("1970-01-01", "outside its period"),
        ("9999-12-31", "outside its period"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("at", [0, 30, 79])
def test_time_that_cannot_be_right_is_quarantined(
    moment: str, rule: str, ending: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes no batch of its own, stops nothing, and is counted in the batch of its neighbour."""
    lines = table(*MONTHS).splitlines()
    lines[1 + at] = row(99, MONTHS[at // 20]).replace(f"{MONTHS[at // 20]}-16", moment, 1)
    text = "\n".join([*lines, ""])
    write(f"a.{ending}", parquet(text) if ending == "parquet" else text)
    monkeypatch.setattr(plain, "PIECE", 400)
    spoiled = "missing" if ending == "parquet" and rule == "type" and moment != "now" else rule
    expected: dict[str, dict[str, int]] = {month: {} for month in MONTHS}
    expected[MONTHS[at // 20]] = {f"seen: {spoiled}": 1}
    if ending == "csv" or moment not in ("02/01/2021", "2021-02-30", "now"):  # a column of times has no words
        assert quarantined() == expected


def test_row_far_from_all_others_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """One line names the file, how many rows, when, and what would let them in."""
    write("b.csv", table(*MONTHS) + row(3, "2121-01"))
    bring()
    assert capsys.readouterr().err == (
        "warning: data/incoming/tiny/b.csv: 1 row(s) in 2121-01, far from all others: they are quarantined "
        "as outside their period; a range of seen in the contract would allow them\n"
    )


def test_range_of_the_time_says_which_rows_can_be_right() -> None:
    """What is outside is quarantined by the rule `range`, and what is far away and allowed is a batch."""
    write("a.csv", table("1921-01", *MONTHS) + row(3, "2019-12"))
    assert list(quarantined()) == ["1921-01", "2019-12", *MONTHS]
    ranged = tiny.contract("role: time", "role: time, range: [2021-01-01, 2021-04-28]")
    assert quarantined(ranged) == {m: {} for m in MONTHS} | {
        "2021-01": {"seen: range": 20},
        "2021-04": {"seen: range": 1},
    }
    write("a.csv", table(*MONTHS) + row(3, "1921-01"))
    assert list(quarantined()) == list(MONTHS)
    wide = tiny.contract("role: time", "role: time, range: [1900-01-01, 2100-01-01]")
    assert list(quarantined(wide)) == ["1921-01", *MONTHS]


def test_time_is_what_the_clock_shows() -> None:
    """Without a zone in the contract an offset moves no row to another day; all must have the same."""
    for content in (
        rows("2021-01-31T23:30:00-05:00", "2021-02-01T00:30-05"),
        pa.table(
            {name: parquet(rows("2021-01-31T23:30", "2021-02-01T00:30"))[name] for name in HEADER.split(",")}
        ),
    ):
        name = "a.csv" if isinstance(content, str) else "a.parquet"
        if not isinstance(content, str):
            (INCOMING / "a.csv").unlink()
            clock = compute.assume_timezone(content["seen"], "America/New_York")
            content = content.set_column(1, "seen", clock)
        write(name, content)
        found = {month: batch["seen"].to_pylist() for month, batch in bring().items()}
        assert found == {"2021-01": [datetime(2021, 1, 31, 23, 30)], "2021-02": [datetime(2021, 2, 1, 0, 30)]}


@pytest.mark.parametrize("second", ["2022-03-27T11:00+02:00", "2022-03-27", "2022-03-27T11:00Z"])
@pytest.mark.parametrize("apart", [True, False])
def test_mixture_of_offsets_is_refused(second: str, apart: bool) -> None:  # noqa: FBT001 -- a parameter
    """Which day a row is of would be a guess; the line names both rows, and what would do."""
    if apart:
        write("a.csv", rows("2022-03-20T11:00+01:00"))
        write("b.csv", rows(second))
    else:
        write("a.csv", rows("2022-03-20T11:00+01:00", second))
    line = refused(through="2022-04")
    assert line.startswith(
        "data/incoming/tiny/" + ("b.csv: row 1: " if apart else "a.csv: row 2: ") + f"seen = {second!r} has "
    )
    assert "but +01:00 is in data/incoming/tiny/a.csv: row 1; name the clocks" in line


def test_zone_of_the_contract_cuts_time_into_periods() -> None:
    """Moments with any offset, and readings of its clocks, fall into the days that its clocks show."""
    write(
        "a.csv",
        rows(
            "2022-03-26T22:59Z",
            "2022-03-26T23:00Z",
            "2022-03-27",
            "2022-03-27T23:30",
            "2022-03-27T19:00-05:00",
        ),
    )
    paris = tiny.contract("period: month", "period: day\nzone: Europe/Paris")
    days = {day: batch["id"].to_pylist() for day, batch in bring(paris, "2022-03-31").items()}
    assert days == {"2022-03-26": [0], "2022-03-27": [1, 2, 3], "2022-03-28": [4]}
    assert all(not rules for rules in quarantined(paris, "2022-03-31").values())


def test_hour_that_occurs_twice_is_two_hours_of_moments() -> None:
    """Clocks set back: equal readings with other offsets are other moments. Set forward: no such time."""
    write(
        "a.csv",
        rows("2022-10-30T02:30+02:00", "2022-10-30T02:30+01:00", "2022-10-30T02:10").replace(
            "1,2022", "0,2022"
        ),
    )
    paris = tiny.contract("period: month", "period: hour\nzone: Europe/Paris")
    (batch,) = bring(paris, "2022-10-30 02:00").values()
    assert sorted(batch["seen"].to_pylist()) == [
        datetime(2022, 10, 30, *t) for t in ((0, 10), (0, 30), (1, 30))
    ]
    assert quarantined(paris, "2022-10-30 02:00") == {"2022-10-30 02:00": {}}
    write("a.csv", rows("2022-03-27T01:30", "2022-03-27T02:30", "2022-03-27T03:30"))
    found = quarantined(paris, "2022-10-30 02:00")
    assert found == {"2022-03-27 01:00": {"seen: type": 1}, "2022-03-27 03:00": {}}


@pytest.mark.parametrize(
    "kind", [pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("us", "Asia/Tokyo")]
)
def test_zone_and_parquet(kind: pa.DataType) -> None:
    """A column of moments has its own zone; one without is of the contract's clocks."""
    content = parquet(rows("2022-03-31T23:30"))
    write("a.parquet", content.set_column(1, "seen", content["seen"].cast(kind)))
    paris = tiny.contract("period: month", "period: month\nzone: Europe/Paris")
    assert list(bring(paris, "2022-05")) == ["2022-03" if kind.tz is None else "2022-04"]


def test_without_an_entity_rows_still_have_one_order() -> None:
    """A contract may name no entity; then equal times are ordered by what the rows hold."""
    rows = tiny.contract("role: entity", "role: ignored")
    write("a.csv", GOOD)
    straight = bring(rows)
    write("a.csv", "\n".join([LINES[0], *reversed(LINES[1:])]))
    assert bring(rows)["2021-01"].equals(straight["2021-01"])


def test_pandas_is_not_asked_what_a_text_means() -> None:
    """Leading zeros and words are kept in a category; only empty and NA-like values are missing."""
    rows = tiny.contract("[feature, slice], values: [red, blue]", "feature, missing: true")
    text = GOOD.replace("red", "007").replace("blue", "NA")
    write("a.csv", text)
    assert bring(rows)["2021-01"]["colour"].to_pylist() == ["007", None, "007"]
