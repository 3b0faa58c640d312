"""Bad input, as its author meets it: one line on stderr, exit status 1, and nothing written at all."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import tiny
from tests.project import Project
from tests.tiny import row, table

CSV = "data/incoming/tiny/visits.csv"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the tiny project with its batches brought in, checked and cut. Shared: copy it to change it."""
    project = tiny.project(tmp_path_factory.mktemp("whole") / "project")
    for stage in ("ingest", "validate", "split"):
        project.run(f"python -m stages.{stage}")
    return project


@pytest.fixture
def project(whole: Project, tmp_path: Path) -> Project:
    """Return a copy, free to be spoiled."""
    return whole.copy(tmp_path / "project")


def written(project: Project) -> dict[str, str]:
    """Return the checksums of all that stages write."""
    files = [p for p in (project.path / "data").rglob("*") if p.is_file()]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def refused(project: Project, stage: str) -> str:
    """Run a stage that must refuse its input, and return the line that it says."""
    before = written(project)
    failed = project.run(f"python -m stages.{stage}", status=1)
    lines = [line for line in failed.stderr.splitlines() if "batch/s" not in line]  # progress bars
    assert len(lines) == 1, failed.stderr
    assert written(project) == before
    return lines[0]


Spoil = Callable[[Project], object]


def params(pattern: str, new: str) -> Spoil:
    """Change params.yaml."""
    return lambda project: project.edit(pattern, new)


def contract(pattern: str, new: str) -> Spoil:
    """Change the contract."""
    return lambda project: project.edit(pattern, new, file="data/cases/tiny/contract.yaml")


def csv(old: str, new: str, encoding: str = "utf-8") -> Spoil:
    """Change the first place in the CSV."""
    return lambda project: (project.path / CSV).write_bytes(
        project.read(CSV).replace(old, new, 1).encode(encoding)
    )


def cut(file: str, by: int, name: str | None = None) -> Spoil:
    """Take bytes off the end of a file, under another name if one is given."""

    def spoil(project: Project) -> None:
        path = project.path / file
        target = path.with_name(name) if name else path
        data = gzip.compress(path.read_bytes()) if target.suffix == ".gz" else path.read_bytes()
        path.unlink()
        target.write_bytes(data[:-by])

    return spoil


def labels(file: str, value: int | None) -> Spoil:
    """Give every row of a Parquet file the same label."""

    def spoil(project: Project) -> None:
        rows = pq.read_table(project.path / file)
        same = pa.array([value] * len(rows), pa.int64())
        place = rows.schema.get_field_index("won")
        pq.write_table(rows.set_column(place, "won", same), project.path / file)

    return spoil


def truncated_parquet(project: Project) -> None:
    """Put a part of a Parquet file among the files."""
    whole = (project.path / "data/raw/2021-01.parquet").read_bytes()
    (project.path / "data/incoming/tiny/more.parquet").write_bytes(whole[:-9])


BAD: dict[str, tuple[str, Spoil, str]] = {
    "unknown key in params": (
        "ingest",
        params("^  window: 2", "  window: 2\n  xyz: 3"),
        "params.yaml: split.xyz: unknown key; valid: as_of, holdout, recalibrated, refit, since, window",
    ),
    "misspelt key in params": (
        "split",
        params("window", "widnow"),
        "params.yaml: split.widnow: unknown key; did you mean 'window'? "
        "Valid: as_of, holdout, recalibrated, refit, since, window",
    ),
    "misspelt key in the contract": (
        "ingest",
        contract("range:", "rnage:"),
        "data/cases/tiny/contract.yaml: columns.size.rnage: unknown key; did you mean 'range'? Valid: ab",
    ),
    "wrong type in params": (
        "split",
        params("window: 2", "window: two"),
        "params.yaml: split.window: found 'two', must be an integer",
    ),
    "a key twice": (
        "split",
        params("window: 2", "window: 2\n  window: 3"),
        "params.yaml:11: not valid YAML: the key 'window' appears twice",
    ),
    "window longer than the history": (
        "split",
        params("window: 2", "window: 9"),
        "params.yaml: split.window: 9 periods begin in 2020-07; the batches go from 2021-01 to 2021-04; "
        "at most 3 would do",
    ),
    "as_of after the history": (
        "split",
        params("as_of: 2021-04", "as_of: 2021-05"),
        "params.yaml: split.as_of: '2021-05' is outside the history; the batches go from 2021-01 to",
    ),
    "empty holdout": (
        "split",
        params("holdout: 1", "holdout: 0"),
        "params.yaml: split.holdout: found 0, must be greater than 0",
    ),
    "holdout without labels": (
        "split",
        labels("data/clean/2021-04.parquet", None),
        "data/split/holdout.parquet: would be empty: of 20 rows none has a label; move",
    ),
    "single-class target": (
        "train",
        labels("data/split/train.parquet", 1),
        "data/split/train.parquet: none of 40 rows has won = 0; a binary model",
    ),
    "estimator outside the namespace": (
        "train",
        params("sklearn.linear_model", "mischief.linear_model"),
        "params.yaml: train.estimator: 'mischief.linear_model.LogisticRegression' is not an estimator of",
    ),
    "missing column": (
        "ingest",
        csv("colour", "color"),
        f"{CSV}: no column 'colour'; did you mean 'color'? Valid: adult, color, id, member, seen, size, won",
    ),
    "empty file": (
        "ingest",
        lambda project: project.write(CSV, ""),
        f"{CSV}: is empty; must hold at least the columns id, seen, size, colour, adult, member, won",
    ),
    "truncated Parquet among the files": (
        "ingest",
        truncated_parquet,
        "data/incoming/tiny/more.parquet: not a readable Parquet file (truncated, or another format?): ",
    ),
    "truncated Parquet of a stage": (
        "validate",
        cut("data/raw/2021-02.parquet", 9),
        "data/raw/2021-02.parquet: not a readable Parquet file (truncated?): ",
    ),
    "truncated gzip": (
        "ingest",
        cut(CSV, 9, "visits.csv.gz"),
        f"{CSV}.gz: ",
    ),
    "ragged row, too many fields": (
        "ingest",
        csv(",1.5,", ",1,5,"),
        f"{CSV}: line 3: 8 fields, must be 7 (id, seen, size, colour, adult, member, won), found '1,",
    ),
    "ragged row, too few fields": (
        "ingest",
        csv(",1.5,", ","),
        f"{CSV}: line 3: 6 fields, must be 7 (id, seen, size, colour, adult, member, won), found '1,",
    ),
    "wrong encoding": (
        "ingest",
        csv("blue", "bleu cl\xe9", "latin-1"),
        f"{CSV}: line 3: not UTF-8: byte 0xe9 in b'1,2021-01-02,1.5,bleu cl\\xe9,true,2020-12-31,0\\n'",
    ),
    "dates that do not parse": (
        "ingest",
        lambda project: project.write(CSV, project.read(CSV).replace("2021-", "21/")),
        f"{CSV}: row 1: seen = '21/01-01' is not a date that can be right, nor is any after it; write it "
        "like 2021-09-30",
    ),
    "a misspelt key of read": (
        "ingest",
        contract("^label_delay: 0", "label_delay: 0\nread: {delimeter: ';'}"),
        "data/cases/tiny/contract.yaml: read.delimeter: unknown key; did you mean 'delimiter'? Valid: ",
    ),
    "a delimiter that the file does not have": (
        "ingest",
        contract("^label_delay: 0", "label_delay: 0\nread: {delimiter: ';'}"),
        f"{CSV}: no column 'id'; valid: id,seen,size,colour,adult,member,won; values are separated by semic",
    ),
    "offsets that differ": (
        "ingest",
        csv("2021-01-02", "2021-01-02T12:00+01:00"),
        f"{CSV}: row 2: seen = '2021-01-02T12:00+01:00' has +01:00, but no offset is in {CSV}: row 1; name "
        "the clocks in the contract, such as zone: Europe/Paris",
    ),
    "a zone that does not exist": (
        "ingest",
        contract("^label_delay: 0", "label_delay: 0\nzone: Europa/Paris"),
        "data/cases/tiny/contract.yaml: zone: 'Europa/Paris' is not a time zone; write it like Europe/Paris "
        "or UTC",
    ),
}


@pytest.mark.parametrize(("stage", "spoil", "line"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line(project: Project, stage: str, spoil: Spoil, line: str) -> None:
    """The line names the file, the key or row, the value, and what would do."""
    spoil(project)
    assert refused(project, stage).startswith(f"error: {line}")


def test_a_file_delivered_twice_counts_once(project: Project) -> None:
    """The same visits in two files: the rows that are kept are the same, and the report has the others."""
    project.run("python -m stages.ingest && python -m stages.validate && cp -r data/clean before")
    project.write("data/incoming/tiny/again.csv", table("2021-03"))
    project.run("python -m stages.ingest && python -m stages.validate && diff -r data/clean before")
    assert '"id+seen: duplicate": 20' in project.read("data/reports/validation.json")


def test_contradicting_rows_are_named_with_their_files(project: Project) -> None:
    """A correction that no version marks: one line, both places."""
    project.write("data/incoming/tiny/again.csv", table("2021-03", rows=1).replace(",0.5,", ",99.5,"))
    line = refused(project, "ingest")
    assert line.startswith(
        f"error: data/incoming/tiny/again.csv: row 1 and {CSV}: row 41 contradict each other"
    )


def test_few_bad_rows_stop_nothing(project: Project) -> None:
    """One visit twice: the pipeline goes on without it, and says so in the report."""
    with (project.path / CSV).open("a", encoding="utf-8") as file:
        file.write(row(3, "2021-02") + "\n")
    project.run("python -m stages.ingest && python -m stages.validate")
    assert '"id+seen: duplicate": 1' in project.read("data/reports/validation.json")
