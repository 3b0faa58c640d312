"""Files as they occur: each is taken in as a careful person would, or refused in one line."""

from __future__ import annotations

import gzip
import json
import os
import unicodedata
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.adopt import adopt as steps
from perenne.adopt.study import study
from perenne.adopt.wishes import Wishes
from perenne.cases.reading import pieces
from perenne.common.errors import PerenneError
from tests.adopt.test_study import contract, refuse, studied, visits

N = 1200
NFD = unicodedata.normalize("NFD", "départ")
DAYS = pd.date_range("2023-01-01", "2024-12-31", periods=N)


def sizes(**columns: Any) -> pd.DataFrame:
    """Return two years of rows with a number to predict; a column may be replaced or added before it."""
    rng = np.random.default_rng(5)
    x, z = rng.normal(size=N).round(3), rng.gamma(2, 3, N).round(2)
    frame = pd.DataFrame(
        {
            "when": DAYS.strftime("%Y-%m-%d"),
            "x": x,
            "z": z,
            "kind": rng.choice(list("abc"), N),
            "y": (2 * x + z + rng.normal(size=N)).round(3),
        }
    ).assign(**columns)
    return frame[[*(name for name in frame if name != "y"), "y"]]


def text(frame: pd.DataFrame, above: str = "", below: str = "", separator: str = ",") -> str:
    """Return a CSV with lines above and below it."""
    return above + frame.to_csv(index=False, sep=separator) + below


@pytest.mark.parametrize(
    ("name", "values", "form"),
    [
        ("when", DAYS.strftime("%d.%m.%y"), "%d.%m.%y"),
        ("when", DAYS.strftime("%m/%d/%y"), "%m/%d/%y"),
        ("when", DAYS.strftime("%m/%Y"), "%m/%Y"),
        ("when", DAYS.strftime("%b-%y"), "%b-%y"),
        ("when", DAYS.strftime("%G-W%V"), "%G-W%V"),
        ("woche", DAYS.strftime("KW%V/%G"), "KW%V/%G"),
        ("date", DAYS.strftime("%Y%m%d"), "%Y%m%d"),
        ("month", DAYS.strftime("%Y%m"), "%Y%m"),
        ("ts", DAYS.astype("datetime64[s]").astype(int), "seconds"),
        ("eventTime", DAYS.astype("datetime64[ms]").astype(int), "milliseconds"),
    ],
)
def test_times_are_found_however_they_are_written(
    tmp_path: Path, name: str, values: object, form: str
) -> None:
    """With two digits for the year, as months, weeks or numbers; not rows in their order."""
    found = studied(tmp_path / "a.csv", sizes(when=values).rename(columns={"when": name}))
    assert contract(found).time == name
    assert contract(found).read.dates == (form,)
    assert (found.chosen.unit, found.chosen.batches - found.chosen.batches % 2) == ("month", 24)


MOIS = ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([f"{day.day} {MOIS[day.month - 1]} {day.year}" for day in DAYS], "'1 janv. 2023' is not read"),
        ([f"{day.year}Q{day.quarter}" for day in DAYS], "'2023Q1' is not read as a time"),
        (DAYS.strftime("%Y-%m-%d %H:%M CET"), "CET' is not read as a time; write it as 2021-03-31"),
        (DAYS.astype("datetime64[s]").astype(int) + 0.5, "seems to count time since 1970"),
        (DAYS.astype("datetime64[ns]").astype(int), "seems to count time since 1970"),
        (DAYS.strftime("%Y-%m-%d").where(np.arange(N) % 9 > 0, "0000-00-00"), "--time when sets these rows"),
    ],
)
def test_order_never_stands_for_a_time_that_cannot_be_read(tmp_path: Path, values: object, says: str) -> None:
    """A person knows how to write it."""
    with pytest.raises(PerenneError, match=r"^when: ") as caught:
        studied(tmp_path / "a.csv", sizes(when=values))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (text(sizes(), below="Total,1.5,4000,,9999\n"), N),
        (text(sizes(), below=",1.5,4000,,9999\n"), N),
        (text(sizes(), below=";;;;\n;;;;\n", separator=";"), N),
        (text(sizes()).replace("\n", "\n,m/s,kg,,EUR\n", 1), N),
        (text(sizes(when=sizes()["when"].where(np.arange(N) % 400 > 0, "tbd"))), N - 3),
        (text(sizes(when=sizes()["when"].where(np.arange(N) % 400 > 0, "2099-01-01"))), N - 3),
        (text(sizes(when=sizes()["when"].where(np.arange(N) % 400 > 0, "1900-01-01"))), N - 3),
        (text(sizes(), above="\n\n"), N),
    ],
)
def test_few_rows_without_a_time_are_set_aside(tmp_path: Path, content: str, rows: int) -> None:
    """A total, units below the names, empty rows and impossible days."""
    found = studied(tmp_path / "a.csv", content)
    assert contract(found).time == "when"
    assert (found.chosen.unit, found.chosen.batches, found.cut.window) == ("month", 24, 14)
    assert not contract(found).columns["x"].missing
    assert found.cut.learned + found.cut.judged < rows


TITLE = "Sales of the year;;;;\n"
MIXED = [f"{z:.2f}".replace(".", ",") if i % 2 else f"{z:.2f}" for i, z in enumerate(sizes()["z"])]
NO_DATE = sizes().drop(columns="when")
FEW = visits()[["size", "won"]][:60]
WRONG: dict[str, tuple[object, dict[str, object], str]] = {
    "excel's line": (text(sizes(), "sep=;\n", separator=";"), {}, "line 1 is 'sep=;'"),
    "comments": (text(sizes(), "# by us\n# 2024\n"), {}, "line 3 seems to name the columns"),
    "title": (text(sizes(), TITLE, separator=";"), {}, "names few of 5 columns ('Sales of the year;;;;')"),
    "too few names": (text(sizes()).replace(",kind", "", 1), {}, "line 2 has 5 values, but the first line 4"),
    "json": ('[{"a": 1, "b": 2}]\n', {}, "holds JSON by its first bytes; give it the ending .json"),
    "html": ("<table>\n<tr>,</tr>\n", {}, "holds HTML or XML by its first bytes; save it as CSV"),
    "quoted lines": ("".join(f'"{n},{n}"\n' for n in range(99)), {}, "one value, in quotes as a whole ('"),
    "one line": ("a," * 10**6, {}, "has a line of 1,048,576 characters or more ('a,a,"),
    "packed twice": (gzip.compress(text(sizes()).encode()) * 2, {}, "unpack it, or give it the"),
    "two marks": (sizes(z=[f"{z:.2f}".replace(".", ",") for z in sizes()["z"]]), {}, "those of x as"),
    "two marks in a column": (sizes(z=MIXED), {}, "z: its numbers are written in two ways, as '"),
    "two marks in the target": (sizes(y=MIXED), {}, "y: its numbers are written in two ways, as '"),
    "no names": (text(sizes()).split("\n", 1)[1], {}, "its first line is data ('2023-01-01,"),
    "\\r": (text(sizes()).replace("\n", "\r"), {}, "a line ends with \\r alone; end lines with \\n"),
    "picture": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(range(256)) * 9, {}, "is not a text file, and its"),
    "mark of UTF-8 alone": (b"\xef\xbb\xbf", {}, "is empty; the first line must name the columns"),
    "mark of UTF-16 alone": (b"\xff\xfe\n\0", {}, "is empty; the first line must name the columns"),
    "ends of time": (
        sizes(when=np.where(np.arange(N) % 10, DAYS.strftime("%Y-%m-%d"), "9999-12-31")),
        {},
        "from 2023-01 to 9999-12 have no rows: leave out rows whose time cannot be right",
    ),
    "one instant": (sizes(when="2024-01-01"), {}, "4 batches at least: give it a longer history"),
    "no time at all": (sizes(when=None), {"time": "when"}, "--time when: has no value; name another column"),
    "time is text": (sizes(), {"time": "kind"}, "is not a date or a time; --dates says how"),
    "event of a quantity": (sizes(), {"positive": "1"}, "is for a target of two values, and y has"),
    "taken name": (sizes().rename(columns={"y": "prediction"}), {}, "the last column 'prediction' "),
    "taken target": (
        sizes().rename(columns={"y": "prediction"}),
        {"target": "prediction"},
        "--target prediction: column 'prediction' is the column of scores by its name; rename it in the file",
    ),
    "break in name": (sizes().rename(columns={"y": "out\nput"}), {}, "has a line break or a tab in its name"),
    "nothing but time": (sizes()[["when", "y"]], {}, "it has y and a time alone: add columns"),
    "few in order": (FEW, {}, "60 rows in their order make 3 of the 4 batches that are needed"),
    "words": (sizes(y=[f"no {i % 500}" for i in range(N)]), {}, "or is a number; --target names another"),
    "rare": (sizes(y=np.isin(np.arange(N), [5, 300, 400])), {}, "have 251 rows with a label, 0 of them"),
    "beyond squares": (sizes(y=sizes()["y"] * 1e300), {}, "e+301 is too large to be squared"),
    "ragged": (text(sizes(), "\n\n", "1,2\n"), {}, "line 1204: 2 fields, must be 5 (when, x, z, kind, y)"),
    "gap": (sizes(when=sizes()["when"].where(np.arange(N) > 900, "2004-06-01")), {}, "those to be judged on"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "wishes", "says"), WRONG.values(), ids=WRONG)
def test_wrong_file_is_one_line_that_says_what_to_do(
    tmp_path: Path, content: pd.DataFrame | str | bytes, wishes: dict[str, object], says: str
) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(PerenneError) as caught:
        studied(tmp_path / "a.csv", content, **wishes)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_target_that_most_rows_lack_is_said(tmp_path: Path) -> None:
    """What is left may be enough; whoever has joined two tables wrongly sees it."""
    y = sizes()["y"].where(np.arange(N) % 20 == 0)
    said = studied(tmp_path / "a.csv", sizes(y=y)).notes
    assert "y: has no value in 1,140 of 1,200 rows; nothing is learned from these" in said


def test_cell_of_nul_is_a_missing_value(tmp_path: Path) -> None:
    """Dumps of databases have them: neither a word, nor a reason to take numbers for words."""
    nul = np.arange(N) % 5 == 0
    frame = sizes(z=np.where(nul, "\0", sizes()["z"].astype(str)), kind=np.where(nul, "\0", sizes()["kind"]))
    found = contract(studied(tmp_path / "a.csv", frame)).columns
    assert (found["z"].type, found["z"].missing) == ("number", True)
    assert (found["kind"].values, found["kind"].missing) == (("a", "b", "c"), True)


def test_damaged_gzip_is_one_line(tmp_path: Path) -> None:
    """One that is none, and one that ends too early."""
    whole = gzip.compress(text(sizes()).encode())
    for content in (b"when,y\n1,2\n", whole[: len(whole) // 2]):
        with pytest.raises(PerenneError, match=r"a\.csv\.gz: "):
            studied(tmp_path / "a.csv.gz", content)


@pytest.mark.parametrize(
    ("frame", "wishes", "target"),
    [
        (sizes().rename(columns={"y": "size"})[["x", "kind", "size", "when"]], {}, "size"),
        (sizes().rename(columns={"y": "Y "}).assign(last=1), {}, "Y "),
        (sizes().rename(columns={"z": "Y"}), {}, "y"),
        (sizes().rename(columns={"y": NFD}), {"target": "départ"}, "départ"),
    ],
)  # fmt: skip
def test_target_is_found_by_name_and_is_no_time(
    tmp_path: Path, frame: pd.DataFrame, wishes: dict[str, object], target: str
) -> None:
    """Blanks around a name and the form of its accents are not seen on a screen."""
    found = contract(studied(tmp_path / "a.csv", frame, **wishes))
    assert unicodedata.normalize("NFC", found.target) == target


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"{i % 90:05d}" for i in range(N)], "category"),  # a postal code
        ([10**20 + i for i in range(N)], "category"),  # an identifier, of which a float loses the end
        (["1e3", "on", "0x1f", "null?"] * 300, "category"),  # which YAML would read as something else
        (["yes", "No", "TRUE", "false"] * 300, "boolean"),
    ],
)
def test_texts_that_look_like_something_else(tmp_path: Path, values: list[object], kind: str) -> None:
    """They keep what they say."""
    assert contract(studied(tmp_path / "a.csv", sizes(kind=values))).columns["kind"].type == kind


def test_name_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    """A contract could not be read with it."""
    found = studied(tmp_path / "a.csv", sizes().rename(columns={"x": "x" * 5000}))
    assert list(contract(found).columns) == ["when", "z", "kind", "y"]
    assert any("has a name of 5,000 characters; left out" in note for note in found.notes)


def test_name_of_a_run_is_left_out(tmp_path: Path) -> None:
    """In a contract it stands for many columns."""
    found = studied(
        tmp_path / "a.csv", sizes(**{"{01..24}": 1, "yes": sizes()["x"] * 2, "a: b #c": sizes()["z"] * 2})
    )
    assert {"yes", "a: b #c"} < set(contract(found).columns)
    assert "{01..24}" not in contract(found).columns


@pytest.mark.parametrize("column", ["x", "y"])
def test_number_that_stands_for_a_missing_value_is_named(tmp_path: Path, column: str) -> None:
    """Whether it is one, a person has to say."""
    frame = sizes()
    frame[column] = frame[column].mask(np.arange(N) % 10 == 0, -999)
    notes = studied(tmp_path / "a.csv", frame).notes
    assert any(note.startswith(f"{column}: is -999 in 120 rows") for note in notes), notes


def test_labels_that_begin_late_shorten_the_history(tmp_path: Path) -> None:
    """What lies before the first label teaches nothing."""
    frame = sizes()
    cut = studied(tmp_path / "a.csv", frame.assign(y=frame["y"].where(np.arange(N) >= N // 2))).cut
    assert (cut.learned > 200, cut.judged > 50, cut.window < 12) == (True, True, True)


def test_day_of_hours_is_a_batch(tmp_path: Path) -> None:
    """A week by the hour has seven days of 24 rows, not 168 batches of one."""
    frame = sizes()[:168].assign(when=pd.date_range("2024-01-01", periods=168, freq="h").astype("str"))
    found = studied(tmp_path / "a.csv", frame)
    assert (found.chosen.unit, found.chosen.batches) == ("day", 7)


def test_year_that_is_the_same_in_all_rows_is_not_when_a_row_was(tmp_path: Path) -> None:
    """The other column of times is."""
    frame = sizes().rename(columns={"when": "seen"}).assign(year=2023)
    assert contract(studied(tmp_path / "a.csv", frame[["year", "seen", "x", "z", "y"]])).time == "seen"


def test_index_of_pandas_is_a_column(tmp_path: Path) -> None:
    """Parquet files say which columns were the index; they are read like others."""
    sizes().set_index("when").to_parquet(tmp_path / "a.parquet")
    assert contract(study([tmp_path / "a.parquet"], Wishes(), refuse)).time == "when"


@pytest.mark.parametrize(
    ("encoding", "separator"), [("utf-16-le", "\t"), ("utf-8", " ")], ids=["no mark", "blanks"]
)
def test_more_ways_to_write_a_file(tmp_path: Path, encoding: str, separator: str) -> None:
    """UTF-16 without its mark, and single blanks between values."""
    found = contract(studied(tmp_path / "a.csv", text(sizes(), separator=separator).encode(encoding)))
    assert (found.time, found.read.delimiter) == ("when", separator)


def test_zip_as_pandas_names_what_is_in_it(tmp_path: Path) -> None:
    """The file in `a.csv.zip` is called `a.csv.zip` as well."""
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        archive.writestr("a.csv.zip", text(sizes()))
    assert contract(study([tmp_path / "a.csv.zip"], Wishes(), refuse)).time == "when"


def test_hidden_files_of_a_folder_are_not_read(tmp_path: Path) -> None:
    """Excel and others leave some; one that is named is refused, as the stages would not see it."""
    for name in ("a.csv", "._a.csv", "~$b.xlsx"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert steps.listed([tmp_path]) == [tmp_path / "a.csv"]
    with pytest.raises(PerenneError, match="is hidden by its name; give it another one"):
        steps.listed([tmp_path / "._a.csv"])


def test_dates_of_rows_without_a_time_are_set_aside(tmp_path: Path) -> None:
    """A day of birth is no time of a row, and with nothing to compare it says no more than its order."""
    frame = sizes().rename(columns={"when": "birth_date"}).sample(frac=1, random_state=2)
    found = contract(studied(tmp_path / "a.csv", frame))
    assert found.read.batch
    assert found.columns["birth_date"].role == ("ignored",)


def workbook(path: Path, **sheets: tuple[pd.DataFrame, list[str]]) -> Path:
    """Write a workbook: of each sheet the rows, and the lines above the names of its columns."""
    with pd.ExcelWriter(path, engine="openpyxl") as writer:
        for name, (frame, above) in sheets.items():
            frame.to_excel(writer, sheet_name=name, index=False, startrow=len(above))
            for row, line in enumerate(above, 1):
                writer.sheets[name].cell(row=row, column=1, value=line or None)
    return path


NOTES = pd.DataFrame({"column": ["x", "y"], "means": ["size", "gain"]})
SHORT = sizes().assign(when=pd.date_range("2023-01-01", "2024-12-31", periods=N))[::6]


@pytest.mark.parametrize(
    ("sheets", "wished", "found"),
    [
        ({"Data": (SHORT, [])}, None, (None, 0)),
        ({"Data": (SHORT, ["Sales of two years", "", "made by us"])}, None, (None, 3)),
        ({"Read me": (NOTES, ["What is what"]), "Data": (SHORT, ["Sales"])}, None, ("Data", 1)),
        ({"A": (SHORT, []), "B": (SHORT, ["Sales", ""])}, "B", ("B", 2)),
        ({"A": (SHORT, []), "B": (SHORT, [])}, "A", (None, 0)),
    ],
)
def test_table_of_a_workbook_is_found(
    tmp_path: Path,
    sheets: dict[str, tuple[pd.DataFrame, list[str]]],
    wished: str | None,
    found: tuple[str | None, int],
) -> None:
    """Below a title, and on the sheet that has one; the contract says where."""
    path = workbook(tmp_path / "a.xlsx", **sheets)
    made = study([path], Wishes(sheet=wished), refuse)
    read = contract(made).read
    assert (read.sheet, read.above) == found
    assert (contract(made).time, made.chosen.unit) == ("when", "quarter")
    assert sum(map(len, pieces(path, read, ["x"]))) == len(SHORT)


def test_sheet_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    """One line says which option tells, or that there is none."""
    two = workbook(tmp_path / "a.xlsx", A=(SHORT, []), B=(SHORT, []))
    with pytest.raises(PerenneError, match=r"several sheets hold a table; which one: A or B; --sheet"):
        study([two], Wishes(), refuse)
    assert contract(study([two], Wishes(), lambda *asked: str(asked[1][1]))).read.sheet == "B"
    with pytest.raises(PerenneError, match=r"--sheet C: .*a\.xlsx has none of this name; valid: A, B"):
        study([two], Wishes(sheet="C"), refuse)
    with pytest.raises(PerenneError, match=r"a\.xlsx: no sheet \(A, B\) has names of columns with 5 rows"):
        study([workbook(tmp_path / "a.xlsx", A=(NOTES, []), B=(NOTES, ["x"]))], Wishes(), refuse)
    with pytest.raises(PerenneError, match=r"--sheet A: .*a\.csv is no Excel file"):
        studied(tmp_path / "a.csv", sizes(), sheet="A")


def test_column_that_only_a_later_file_of_a_zip_has_is_said(tmp_path: Path) -> None:
    """It would be lost."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.csv", text(sizes()[:600]))
        archive.writestr("2.csv", text(sizes(new=1)[600:]))
    with pytest.raises(PerenneError, match=r"a\.zip/2\.csv: column 'new' is not in all files; .*a\.zip/1"):
        study([tmp_path / "a.zip"], Wishes(), refuse)


LINES = [{"when": f"2023-01-{day:02d}", "x": day, "y": day % 7} for day in range(1, 29)]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.parquet", b"PAR1" + b"\0" * 500, "not a readable Parquet file (truncated"),
        (
            "a.csv.gz",
            gzip.compress(gzip.compress(text(sizes()).encode())),
            "a packed file by its first bytes",
        ),
        ("a.xlsx", b"\xd0\xcf\x11\xe0" + b"\0" * 500, "is an old .xls, or has a password"),
        ("a.json", "\n".join(map(json.dumps, LINES)), "line 2: not JSON: Extra data; an object a line has"),
        ("a.json", json.dumps({"data": LINES}), "column 'data': row 1: {'when'"),
        ("a.json", json.dumps({"a": 1}), "must be a list of objects"),
        ("a.json", json.dumps([1, 2]), "row 1: found 1; must be a list of objects"),
        ("a.jsonl", "\n".join(map(json.dumps, LINES))[:-9], "line 28: not JSON"),
        ("a.csv", text(sizes()).replace(",z,", ",x,", 1), "2 columns have the name 'x'; keep one"),
        ("a.csv", text(sizes(y=1.5)), "y: has one value; a target has two or more"),
    ],
)
def test_more_wrong_files_are_one_line(tmp_path: Path, name: str, content: str | bytes, says: str) -> None:
    """As a stranger would bring them."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(PerenneError) as caught:
        study([path], Wishes(), refuse)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_file_in_a_zip_is_named(tmp_path: Path) -> None:
    """Not as one with other columns."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.csv", text(sizes()))
        archive.writestr("2.csv", "")
    with pytest.raises(PerenneError, match=r"a\.zip/2\.csv: is empty"):
        study([tmp_path / "a.zip"], Wishes(), refuse)


def test_folder_with_files_of_several_kinds_is_refused(tmp_path: Path) -> None:
    """Some are not of the case; a note on the data may lie there, and a link back to the folder."""
    for name in ("a.csv", "b.csv.gz", "notes.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "again").symlink_to(tmp_path)
    assert steps.listed([tmp_path]) == [tmp_path / "a.csv", tmp_path / "b.csv.gz"]
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PerenneError, match=r"several kinds \(a.csv, b.csv.gz, config.json\); name those of"):
        steps.listed([tmp_path])


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A link to nothing, one to itself, a name in two lines, and a pipe, which would be waited for."""
    for name, to in (("gone.csv", "nowhere.csv"), ("self.csv", "self.csv")):
        (tmp_path / name).symlink_to(tmp_path / to)
        with pytest.raises(PerenneError, match=r"\.csv: is a link to a file that is not there; name"):
            steps.listed([tmp_path / name])
    (tmp_path / "two\nlines.csv").touch()
    with pytest.raises(PerenneError, match=r"two\\nlines\.csv': its name cannot be printed; rename it"):
        steps.listed([tmp_path / "two\nlines.csv"])
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(PerenneError, match=r"pipe\.csv: is not a regular file; save what it holds"):
        steps.listed([tmp_path / "pipe.csv"])


def test_times_that_are_still_to_come_are_said(tmp_path: Path) -> None:
    """A slip of a century, or a plan."""
    found = studied(tmp_path / "a.csv", sizes())
    assert steps.ahead(found, datetime(2024, 12, 1, tzinfo=UTC)) is None
    said = steps.ahead(found, datetime(2024, 11, 30, tzinfo=UTC))
    assert said == "rows lie in 2024-12, which is still to come: is that when they were?"
