"""Scoring files: the scores of the real service, every row accounted for, and nothing half-written."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from perenne.common import names
from perenne.common.contract import Contract, read_contract
from perenne.common.errors import PerenneError
from perenne.predict import inputs, predict
from perenne.predict.predict import PredictSummary
from perenne.registry import tags
from perenne.serving.rows import input_columns
from tests.conftest import Enter
from tests.project import Project
from tests.serving.running import Running
from tests.serving.versions import register

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OUT = Path("scores.parquet")


def newest(project: Project) -> pa.Table:
    """Return the newest batch, as `validate` wrote it."""
    return pq.read_table(max((project.path / names.CLEAN).glob("*.parquet")))


def with_unseen(table: pa.Table) -> pa.Table:
    """Return rows of which some have a category that training has not seen, or a missing value."""
    rows = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    rows.loc[[1, 4], "site"] = "Brest"
    rows.loc[4, "category"] = "trainee"
    rows.loc[[2, 4], "absence_days"] = None
    return pa.Table.from_pandas(rows, schema=table.schema, preserve_index=False)


def sent(table: pa.Table, contract: Contract) -> list[dict[str, Any]]:
    """Return rows as a caller of the service sends them."""
    rows = table.select(list(input_columns(contract))).to_pylist()
    found: list[dict[str, Any]] = json.loads(json.dumps(rows, default=lambda time: time.isoformat()))
    return found


def answers(running: Running, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the service says of rows."""
    found: list[dict[str, Any]] = running.predict(*rows)["predictions"]
    return found


def score(*paths: str, out: Path = OUT, which: str = "prod", **options: Any) -> PredictSummary:
    """Score files of the current folder."""
    version = predict.find("retirement", which)
    given = [Path(path) for path in paths]
    return predict.predict("retirement", version, given, out, at=NOW, threshold=0.1, **options)


def read(path: Path) -> pd.DataFrame:
    """Return a file of scores, or of rows set aside."""
    return (
        pd.read_csv(path, float_precision="round_trip")
        if path.suffix == ".csv"
        else pq.read_table(path).to_pandas()
    )


@pytest.fixture
def here(company: Project, enter: Enter) -> Project:
    """Return the released company as the current folder, with a file to score."""
    enter(company)
    pq.write_table(newest(company), "rows.parquet")
    return company


# The scores.


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".csv.gz"])
@pytest.mark.parametrize("out", ["scores.parquet", "scores.csv"])
def test_scores_are_those_of_the_service(
    served: Running, enter: Enter, tmp_path: Path, ending: str, out: str
) -> None:
    """Bit for bit, with the same class and the same unseen columns, whatever the files' formats."""
    enter(served.project)
    contract = read_contract("retirement")
    table = with_unseen(newest(served.project))
    path = tmp_path / f"rows{ending}"
    if ending == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.output_stream(str(path), compression="gzip" if ending.endswith("gz") else None) as file:
            pcsv.write_csv(table, file)
    served.project.run(f"perenne predict {path} --out {tmp_path / out}")
    scores = read(tmp_path / out)
    expected = answers(served, sent(table, contract))
    assert len(expected) > 100
    assert scores["score"].tolist() == [one["score"] for one in expected]
    assert scores["class"].tolist() == [one["class"] for one in expected]
    unseen = ["; ".join(one.get("unseen", [])) for one in expected]
    assert scores["unseen"].fillna("").tolist() == unseen
    assert [unseen[row] for row in (0, 1, 4)] == ["", "site", "category; site"]
    assert scores["employee"].tolist() == table["employee"].to_pylist()
    assert pd.to_datetime(scores["date"]).tolist() == table["date"].to_pylist()
    assert set(scores["model_version"]) == {"v1.0.0"}
    assert (scores["id"].is_unique, set(scores["id"].str.len())) == (True, {len(expected[0]["id"])})


def test_newest_batch_is_scored_where_no_file_is_named(here: Project) -> None:
    """That of `data/clean`; time and class are what was given, and a label is neither needed nor written."""
    summary = score()
    scores = read(OUT)
    assert (summary.rows, summary.scored) == (len(newest(here)), len(scores))
    assert scores["employee"].tolist() == newest(here)["employee"].to_pylist()
    assert scores["predicted_at"].tolist() == [pd.Timestamp(NOW)] * len(scores)
    assert scores["class"].tolist() == [int(one >= 0.1) for one in scores["score"]]
    columns = ["employee", "date", "id", "score", "class", "model_version", "predicted_at", "unseen"]
    assert list(scores) == columns
    assert read(Path("scores.rejected.parquet")).empty
    pq.write_table(newest(here).drop(["retires", "sex"]), "few.parquet")
    score("few.parquet")
    assert read(OUT)["score"].tolist() == scores["score"].tolist()


@pytest.mark.usefixtures("here")
def test_pieces_of_a_file_have_the_scores_and_ids_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows are in memory at a time is seen nowhere."""
    score("rows.parquet")
    whole = read(OUT)
    monkeypatch.setattr(inputs, "ROWS", 7)
    score("rows.parquet")
    pd.testing.assert_frame_equal(read(OUT), whole)


@pytest.mark.usefixtures("cold")
def test_memory_does_not_grow_with_the_rows(here: Project) -> None:
    """A million rows need little more than a hundred thousand, far less than they are."""
    batch = newest(here)
    many = pa.concat_tables([batch] * (1_000_000 // len(batch) + 1)).slice(0, 1_000_000)
    pq.write_table(many, "many.parquet")
    pq.write_table(many.slice(0, 100_000), "fewer.parquet")
    held = many.to_pandas().memory_usage(deep=True).sum() / 1e6
    # Of this process alone: what `getrusage` says begins with the size of the process that started it.
    peak = "re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1]"
    begin = (
        f"import atexit, pathlib, re, sys; from perenne import cli; atexit.register(lambda: print({peak}))"
    )

    def megabytes(name: str) -> float:
        command = f"sys.argv = ['', 'predict', '{name}', '--out', '{OUT}']; cli.main()"
        printed = here.out(f'python -c "{begin}; from perenne import cli; {command}"')
        return int(printed.splitlines()[-1]) / 1e3

    few, more = megabytes("fewer.parquet"), megabytes("many.parquet")
    assert pq.read_metadata(OUT).num_rows == 1_000_000
    print(few, more, held)
    assert (held > 100, more - few < 0.6 * held) == (True, True), (few, more, held)


# Rows that cannot be scored.

BAD = {
    "age": (59.0, "age: range"),
    "quarters": (None, "quarters: missing"),
    "long_career": ("perhaps", "long_career: type"),
    "salary": ("much", "salary: type"),
    "date": ("yesterday", "date: type"),
    "site": ("x" * 201, "site: longer than 200 characters"),
    "sex": ("y" * 201, "sex: longer than 200 characters"),
    "employee": (None, "employee: missing"),
}


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_bad_rows_are_set_aside_with_values_and_rules(here: Project, ending: str) -> None:
    """Beside the scores, as they arrived; the rest is scored, and no row is lost."""
    rows = newest(here).to_pandas()
    texts = rows.astype("str").astype("object").where(rows.notna(), None)
    for row, (name, (value, _)) in enumerate(BAD.items(), start=2):
        texts.loc[row, name] = value
    texts.loc[1, ["age", "salary"]] = ["1", "2"]
    texts.to_csv("rows.csv", index=False)
    summary = score("rows.parquet", "rows.csv", out=Path(f"scores{ending}"))
    scores, aside = read(Path(f"scores{ending}")), read(Path(f"scores.rejected{ending}"))
    assert summary.rows == 2 * len(texts) == len(scores) + len(aside)
    assert (summary.scored, len(aside)) == (len(scores), 1 + len(BAD))
    assert aside["file"].tolist() == ["rows.csv"] * len(aside)
    assert aside["row"].tolist() == list(range(2, 3 + len(BAD)))
    assert aside["broken_rules"][0] == "age: range; salary: range"
    assert aside["broken_rules"][1:].tolist() == [rule for _, rule in BAD.values()]
    for row, (name, (value, _)) in enumerate(BAD.items(), start=1):
        assert pd.isna(aside[name][row]) if value is None else str(aside[name][row]) == str(value)
    shown = str(summary)
    assert f"{2 * len(texts):,} rows = {len(scores):,} scored by retirement@v1.0.0 + 9 set aside" in shown


def test_service_refuses_what_is_set_aside(served: Running, enter: Enter, tmp_path: Path) -> None:
    """And takes what is scored. Only a row without its entity would be answered: nobody could say whose."""
    enter(served.project)
    contract = read_contract("retirement")
    (row,) = sent(newest(served.project)[:1], contract)
    tried: list[tuple[str, Any]] = [
        *((name, None) for name in row),
        *(("age", value) for value in (59.99, 60, 69.75, 69.8)),
        *(("quarters", value) for value in (59, 216, 217)),
        *(("site", value) for value in ("Lyon", "Brest", "", "é" * 200, "é" * 201)),
        ("sex", "other"),
    ]
    rows = pd.DataFrame([row | {name: value} for name, value in tried], dtype="object")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    score(str(tmp_path / "rows.csv"), out=tmp_path / "scores.csv")
    aside = {*read(tmp_path / "scores.rejected.csv")["row"] - 1}
    refused = {
        number
        for number, (name, value) in enumerate(tried)
        if served.client.post("/v1/predict", json={"rows": [row | {name: value}]}).status_code == 422
    }
    assert {tried[number] for number in aside - refused} == {("employee", None)}
    assert refused <= aside
    assert len(refused) > 10


def test_too_many_bad_rows_warn_or_fail(here: Project) -> None:
    """The files are written either way; with `--strict` the exit status says that something is wrong."""
    rows = newest(here).to_pandas()
    rows.loc[:9, "age"] = 1
    rows.to_parquet("bad.parquet")
    done = here.run("perenne predict bad.parquet --out scores.parquet")
    assert "warning: scores.rejected.parquet: 10 of" in done.stderr
    assert "at most 1.0% may (validate.max_quarantined_share). Worst: age: range (10)" in done.stderr
    OUT.unlink()
    failed = here.run("perenne predict bad.parquet --out scores.parquet --strict", status=1)
    assert "error: scores.rejected.parquet: 10 of" in failed.stderr
    assert len(read(OUT)) == len(rows) - 10
    assert "warning" not in here.run("perenne predict rows.parquet --out scores.parquet --strict").stderr


# Which version.


def test_another_version_has_other_ids(here: Project) -> None:
    """A version is found by its number or its stage; its predictions are others."""
    here.commit("the same again")
    register("v1.1.0", {})
    score("rows.parquet")
    first = read(OUT)
    score("rows.parquet", which="v1.1.0")
    second = read(OUT)
    assert (set(first["model_version"]), set(second["model_version"])) == ({"v1.0.0"}, {"v1.1.0"})
    assert first["score"].tolist() == second["score"].tolist()
    assert not set(first["id"]) & set(second["id"])


def test_id_is_that_of_a_row_in_its_file(here: Project) -> None:
    """The same file under another name has the same ids, another file has others, a row twice has two."""
    score("rows.parquet")
    first = read(OUT)["id"]
    shutil.copy("rows.parquet", "copy.parquet")
    score("copy.parquet")
    assert read(OUT)["id"].tolist() == first.tolist()
    pq.write_table(pa.concat_tables([newest(here)] * 2), "twice.parquet")
    score("twice.parquet")
    assert read(OUT)["id"].is_unique
    assert not set(read(OUT)["id"]) & set(first)


def test_model_that_is_not_the_one_of_its_tag_scores_nothing(here: Project) -> None:
    """As in the service: no file is written."""
    here.commit("the same again")
    register("v1.1.0", {"released": {"sha256": "0" * 64}, "model": {"sha256": "0" * 64}})
    with pytest.raises(PerenneError, match=r"its sha256 is \w{64}, but its tag retirement@v1.1.0 says 0000"):
        score("rows.parquet", which="v1.1.0")
    assert not OUT.exists()


def test_unsigned_tag_is_refused_where_it_must_be_signed(here: Project) -> None:
    """By the option that `serve` and `fetch` have."""
    command = "perenne predict rows.parquet --out scores.parquet --require-signed"
    assert "retirement@v1.0.0: no good signature" in here.run(command, status=1).stderr
    assert not OUT.exists()


# The log.


def count(url: str) -> int:
    """Return how many predictions the log has."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as log:
        found: int = log.execute("select count(*) from predictions").fetchone()[0]
    return found


def test_labels_find_logged_predictions(served: Running, enter: Enter, tmp_path: Path) -> None:
    """A batch is logged, its outcomes go to the service by id, and the export joins them; twice is once."""
    enter(served.project)
    log = f"sqlite:///{served.project.path.parent}/log.sqlite"
    rows = served.project.path / max(names.CLEAN.glob("*.parquet"))
    command = f"perenne predict {rows} --out {tmp_path}/scores.parquet --log --log-url {log}"
    before, n = count(log), len(newest(served.project))
    assert served.project.out(command).endswith(f"; {n:,} logged\n")
    ids = read(tmp_path / "scores.parquet")["id"].tolist()
    labels = [{"id": name, "value": row % 2} for row, name in enumerate(ids)]
    assert served.client.post("/v1/labels", json={"labels": labels}).json()["stored"] == n
    assert served.project.out(command).endswith(f"; 0 logged, {n:,} were in the log before\n")
    assert read(tmp_path / "scores.parquet")["id"].tolist() == ids
    assert count(log) == before + n
    served.project.run(f"perenne export-log --log-url {log} --through 2020Q4 --out {tmp_path}/export")
    exported = pq.read_table(tmp_path / "export" / "predictions-2020Q4.parquet").to_pandas()
    exported = exported[exported["retires"].notna()]  # other tests have asked the service too
    contract = read_contract("retirement")
    features = [name for name in contract.columns if name != contract.target]
    batch = newest(served.project).to_pandas().assign(retires=[row % 2 for row in range(n)])
    key = [contract.time, *contract.entity]
    pd.testing.assert_frame_equal(
        exported.sort_values(key)[[*features, contract.target]].reset_index(drop=True),
        batch.sort_values(key)[[*features, contract.target]].reset_index(drop=True),
        check_dtype=False,
    )


def test_nothing_is_written_if_the_log_fails(here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores without their log would be predictions whose outcomes go nowhere; a run again mends it."""
    from perenne.predict.batch_log import BatchLog

    url = f"sqlite:///{here.path}/log.sqlite"
    monkeypatch.setattr(inputs, "ROWS", 50)
    with BatchLog(url) as log:
        added = log.add
        calls: list[int] = []

        def breaks(*arguments: Any, **more: Any) -> int:
            calls.append(1)
            if len(calls) == 3:
                raise PerenneError("the disk is full")
            return added(*arguments, **more)

        monkeypatch.setattr(log, "add", breaks)
        with pytest.raises(PerenneError, match="the disk is full"):
            score("rows.parquet", log=log)
        assert [*here.path.glob("*scores*")] == []
        assert count(url) == 100
        summary = score("rows.parquet", log=log)
    assert (summary.logged, count(url)) == (summary.scored - 100, summary.scored)


# Wrong use.


def spoiled(name: str, content: bytes) -> Callable[[], object]:
    """Write a file."""

    def write() -> None:
        Path(name).write_bytes(content)

    return write


def without(column: str, instead: str) -> Callable[[], object]:
    """Rename a column of the file to score."""

    def write() -> None:
        table = pq.read_table("rows.parquet")
        renamed = [instead if name == column else name for name in table.column_names]
        pq.write_table(table.rename_columns(renamed), "rows.parquet")

    return write


def nothing() -> None:
    """Spoil nothing."""


WRONG: list[tuple[Callable[[], object], str, str]] = [
    (nothing, "rows.parquet --out scores.parquet --version v9.0.0", "v9.0.0: no version or stage of retirem"),
    (
        nothing,
        "rows.parquet --out scores.parquet --stage prd",
        "prd: no version or stage of retirement; did ",
    ),
    (
        nothing,
        "rows.parquet --out scores.parquet --stage a --version b",
        "--stage a and --version b: use one",
    ),
    (nothing, "rows.parquet --out scores.xlsx", "--out: scores.xlsx: must end in .parquet or .csv"),
    (nothing, "rows.parquet --out no/scores.csv", "--out: no/scores.csv: there is no folder no; make it"),
    (
        nothing,
        "rows.parquet --out ./rows.parquet",
        "--out: rows.parquet: is a file to be scored; name another",
    ),
    (
        lambda: shutil.move("rows.parquet", "a.rejected.parquet"),
        "a.rejected.parquet --out a.parquet",
        "--out: a.rejected.parquet: is a file to be scored",
    ),
    (lambda: Path("a.csv").mkdir(), "rows.parquet --out a.csv", "--out: a.csv: is a folder; name a file"),
    (nothing, "data/clean --out scores.csv", "data/clean: is a folder; name its files"),
    (nothing, "none.csv --out scores.csv", "none.csv: no such file"),
    (nothing, "params.yaml --out scores.csv", "params.yaml: not a file this reads; use .csv, .tsv"),
    (
        lambda: shutil.copy("rows.parquet", "b.parquet"),
        "rows.parquet b.parquet --out scores.csv",
        "b.parquet: holds the same bytes as rows.parquet; name it once",
    ),
    (spoiled("a.csv", b""), "a.csv --out scores.csv", "a.csv: is empty; must hold the names of columns"),
    (
        without("age", "agee"),
        "rows.parquet --out scores.csv",
        "rows.parquet: no column 'age'; did you mean 'agee'? Valid: ",
    ),
    (
        without("employee", "who"),
        "rows.parquet --out scores.csv",
        "rows.parquet: no column 'employee'; valid",
    ),
    (spoiled("a.parquet", b"PAR1 no"), "a.parquet --out scores.csv", "a.parquet: not a readable Parquet fil"),
    (spoiled("a.csv", b"\xff\xfe\x00"), "a.csv --out scores.csv", "a.csv: line 1: not UTF-8: byte 0xff"),
    (spoiled("a.csv.gz", b"\x1f\x8b no"), "a.csv.gz --out scores.csv", "a.csv.gz: "),
]


@pytest.mark.parametrize(("spoil", "arguments", "line"), WRONG, ids=[line for _, _, line in WRONG])
def test_wrong_use_ends_in_one_line(
    here: Project, spoil: Callable[[], object], arguments: str, line: str
) -> None:
    """It names the file, the column or the option, and what would do; nothing is written."""
    spoil()
    before = sorted(str(path) for path in here.path.rglob("*"))
    failed = here.run(f"perenne predict {arguments}", status=1)
    lines = [one for one in failed.stderr.splitlines() if "row/s" not in one]  # the progress bar
    assert len(lines) == 1, failed.stderr
    assert lines[0].startswith(f"error: {line}")
    assert [path for path in sorted(map(str, here.path.rglob("*"))) if path not in before] == []


def test_file_without_rows_is_refused(here: Project) -> None:
    """A header alone, or several: a delivery that failed should not look like one that is done."""
    Path("a.csv").write_text(",".join(newest(here).column_names) + "\n")
    with pytest.raises(PerenneError, match=r"^a\.csv: no row to score$"):
        score("a.csv")
    assert [*Path().glob("*scores*")] == []


def test_project_without_a_release_is_told_how_to_make_one(small: Project, enter: Enter) -> None:
    """Nothing to score with."""
    enter(small)
    with pytest.raises(PerenneError, match=r"^retirement: has no release yet; perenne release makes one$"):
        predict.find("retirement", "prod")


EXTRA = (
    "alembic",
    "fastapi",
    "fastapi_offline",
    "prometheus_client",
    "psycopg",
    "sqlalchemy",
    "uvicorn",
    "uvloop",
)


@pytest.mark.usefixtures("cold")
def test_extra_is_needed_for_the_log_alone(here: Project) -> None:
    """Whoever only scores files installs no service."""
    without_extra = f"import sys; sys.modules |= dict.fromkeys({EXTRA!r})"
    run = "from perenne import cli; sys.argv = ['', 'predict', 'rows.parquet', '--out', 'scores.csv'"
    here.run(f'python -c "{without_extra}; {run}]; cli.main()"')
    assert len(read(Path("scores.csv"))) == len(newest(here))
    failed = here.run(f"python -c \"{without_extra}; {run}, '--log']; cli.main()\"", status=1)
    assert "is not installed; make dev installs it" in failed.stderr


def test_tags_are_those_of_the_remote(here: Project) -> None:
    """A version that somebody else released is found at once; one that the remote took back is not used."""
    other = Project(here.path.parent / "bob")
    here.run(f"git clone -q ../origin.git {other.path}")
    other.run("git tag -a retirement@v1.2.0 HEAD -m x && git push -q origin retirement@v1.2.0")
    assert predict.find("retirement", "v1.2.0").version == "v1.2.0"
    assert "v1.2.0" in tags.read("retirement").registered
    here.run("git push -q origin :retirement@v1.2.0")
    with pytest.raises(PerenneError, match=r"retirement@v1\.2\.0"):
        predict.find("retirement", "prod")
