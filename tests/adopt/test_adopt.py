"""`perenne adopt`: one command from a file to metrics, in a real project with real DVC."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from tests.adopt.test_classes import fields, iris, replaced
from tests.adopt.test_study import staff, visits
from tests.project import Project, clone


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project as committed. Shared: copy it to change it."""
    return clone(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture
def project(fresh: Project, tmp_path: Path) -> Project:
    """Return a copy, free to be changed, with somebody's file beside it."""
    copy = fresh.copy(tmp_path / "project")
    content = staff().to_csv(index=False, sep=";").encode("latin-1")
    (tmp_path / "Le personnel.csv").write_bytes(content)
    return copy


def test_one_command_from_a_file_to_metrics(project: Project) -> None:
    """It says how the file is read, what a period gives, and how good the model is."""
    said = project.run("perenne adopt '../Le personnel.csv' --target départ").stdout
    assert "files are read so: delimiter ;, encoding cp1252, decimal ',', dates ['%d/%m/%Y']" in said
    assert re.search(r"^quarter \* +14 ", said, re.MULTILINE)
    last = said.splitlines()[-1]
    assert re.fullmatch(
        r"AUC \.\d+ \[\.\d+, \.\d+\] \(dummy \.\d+\), validated on 4 folds \([\d,]+ rows\); "
        r"drift: none; next: perenne gate",
        last,
    )
    project.run("dvc status -q")
    assert project.out("git status --porcelain --untracked-files=all").split("\n")[:-1] == [
        " M dvc.lock",
        " M params.yaml",
        "?? data/cases/le-personnel/contract.yaml",
        "?? data/cases/retirement/params.yaml",
        "?? data/incoming/le-personnel/.gitignore",
        '?? "data/incoming/le-personnel/Le personnel.csv.dvc"',
    ]
    project.commit("Ours")
    assert "perenne use retirement" not in said
    gate = project.run("perenne gate", status=None)
    assert gate.returncode in (0, 20, 21)
    assert gate.stdout.startswith("le-personnel: ")


@pytest.mark.parametrize("name", ["crops", "iris"])
def test_classes_from_a_file_to_metrics(fresh: Project, tmp_path: Path, name: str) -> None:
    """A target of three words, with a time and without; the last line says how good all classes are."""
    project = fresh.copy(tmp_path / "project")
    frame = fields() if name == "crops" else iris()
    frame.to_csv(tmp_path / f"{name}.csv", index=False)
    said = project.run(f"perenne adopt ../{name}.csv").stdout
    assert "task multiclass, with a chance for each of 3 classes" in said
    figure = r"\.\d+ \[\.\d+, [.\d]+\] \(dummy [.\d]+\)"
    last = re.fullmatch(
        rf"log loss {figure}, macro AUC ([.\d]+) \[.*\] \(dummy \.[345]\d*\), "
        r"validated on [2-4] folds \([\d,]+ rows\); drift: (none|look); next: perenne gate",
        said.splitlines()[-1],
    )
    assert last, said
    # The crops' own chances have a macro AUC of .83; iris is nearly told by one column.
    assert float(last[1]) > (0.75 if name == "crops" else 0.9)
    project.run("dvc status -q")
    project.commit("Ours")
    gate = project.run("perenne gate", status=None)
    assert gate.returncode in (0, 20, 21)
    assert gate.stdout.startswith(f"{name}: ")


def test_rows_that_break_the_contract_are_shown_before_anything_runs(
    project: Project, tmp_path: Path
) -> None:
    """Every rule, in how many batches and rows; the params leave room for as many."""
    frame = visits().astype({"size": "str"})
    frame.loc[::60, "size"] = "oops"
    frame.to_csv(tmp_path / "visits.csv", index=False)
    said = project.run("perenne adopt ../visits.csv --no-run").stdout
    assert re.search(r"^size: type +12 +20 +oops$", said, re.MULTILINE)
    allowed = re.search(r"max_quarantined_share: (\S+)", project.read("params.yaml"))
    assert allowed
    assert 2 * 20 / 1200 <= float(allowed[1]) < 0.1


def test_rare_class_is_counted_by_every_batch(project: Project, tmp_path: Path) -> None:
    """What is set aside is shown, in how many batches and rows; the params leave room for as many."""
    fields(replaced(rye="100:1100:400")).to_csv(tmp_path / "crops.csv", index=False)
    said = project.run("perenne adopt ../crops.csv --no-run").stdout
    assert re.search(r"^crop: category +3 +3 +rye$", said, re.MULTILINE)


def test_year_and_month_of_two_columns_are_read_by_the_stages(project: Project, tmp_path: Path) -> None:
    """As by the study: no row is set aside, but one of the thirteenth month."""
    days = pd.to_datetime(fields()["when"])
    frame = fields().assign(when=days.dt.year).rename(columns={"when": "year"})
    frame.insert(1, "month", days.dt.month)
    frame.loc[500, "month"] = 13
    frame.to_csv(tmp_path / "crops.csv", index=False)
    said = project.run("perenne adopt ../crops.csv --no-run").stdout
    assert "time: year and month say it together; --time names another column" in said
    assert re.search(r"^time: type +1 +1 +2024-month 13$", said, re.MULTILINE), said


def test_what_dvc_has_imported_is_adopted_in_its_place(project: Project, tmp_path: Path) -> None:
    """A query's answer stays that of the query: its folder names the case, and `dvc update` asks again."""
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as shop:
        visits()[:1000].to_sql("visits", shop, index=False)
    project.run(
        f"mkdir data/incoming/shop && dvc config --local db.shop.url sqlite:///{tmp_path}/shop.sqlite"
    )
    query = "dvc import-db -q --conn shop --sql 'select * from visits' -o data/incoming/shop/visits.csv"
    project.run(query)
    failed = project.run("perenne adopt data/incoming/shop --target wno", status=1)
    assert failed.stderr.startswith("error: --target wno: no such column")
    project.run("perenne adopt data/incoming/shop/visits.csv --no-run")
    assert re.search("^case: shop ", project.read("params.yaml"), re.MULTILINE)
    assert "query: select * from visits" in project.read("data/incoming/shop/visits.csv.dvc")
    there = sorted(p.name for p in (project.path / "data/incoming/shop").glob("[!.]*"))
    assert there == ["visits.csv", "visits.csv.dvc"]
    assert project.repro("validate") == ["ingest", "validate"]
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as shop:
        visits().to_sql("visits", shop, index=False, if_exists="replace")
    project.run("dvc update -q data/incoming/shop/visits.csv.dvc")
    assert len(pd.read_csv(project.path / "data/incoming/shop/visits.csv")) == len(visits())


def test_folder_that_dvc_has_imported_is_adopted_in_its_place(project: Project, tmp_path: Path) -> None:
    """DVC has one file for all of it, and that stays as it is."""
    (tmp_path / "there").mkdir()
    visits().to_csv(tmp_path / "there/visits.csv", index=False)
    project.run(f"dvc import-url -q {tmp_path}/there data/incoming/shop")
    tracked = project.read("data/incoming/shop.dvc")
    project.run("perenne adopt data/incoming/shop --no-run")
    assert project.read("data/incoming/shop.dvc") == tracked
    assert [p.name for p in (project.path / "data/incoming/shop").iterdir()] == ["visits.csv"]
    assert project.repro("validate") == ["ingest", "validate"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("../no.csv", "../no.csv: no such file"),
        ("../a.doc", "../a.doc: not a file this reads; use .csv"),
        ("../folder", "../folder: holds no file that can be read"),
        ("../v.csv --name 'My Case'", "--name My Case: must be in small letters, digits and hyphens, such"),
        ("../v.csv --name retirement", "data/cases/retirement: is there already; --name gives"),
        ("data/incoming/two/v.csv", "data/incoming/two: holds w.csv as well; name the folder, or move"),
        ("data/incoming/My/v.csv", "data/incoming/My: names a case, which is in small letters, digits and"),
        ("../v.csv --period monthly", "--period monthly: did you mean 'month'?"),
        ("../v.csv --zone Europa/Paris", "--zone 'Europa/Paris' is not a time zone"),
        ("../v.csv --dates dd.mm.yyyy", "--dates: dates.0: found 'dd.mm.yyyy', must be"),
        ("../v.csv --encoding utf-9", "--encoding: encoding: found 'utf-9', must be an encoding"),
        ("../v.csv ../copy/v.csv", "v.csv: two files have this name"),
        ("../v.csv --target wno", "--target wno: no such column; did you mean 'won'?"),
    ],
)  # fmt: skip
def test_wrong_command_is_one_line_and_leaves_nothing(
    fresh: Project, tmp_path: Path, arguments: str, says: str
) -> None:
    """No case, no file and no other params."""
    project = fresh.copy(tmp_path / "project")
    visits().to_csv(tmp_path / "v.csv", index=False)
    for place in ("copy", "folder"):
        (tmp_path / place).mkdir()
    visits().to_csv(tmp_path / "copy/v.csv", index=False)
    (tmp_path / "a.doc").write_text("x", encoding="utf-8")
    for name in ("two/v.csv", "two/w.csv", "My/v.csv"):
        (project.path / "data/incoming" / name).parent.mkdir(exist_ok=True)
        visits().to_csv(project.path / "data/incoming" / name, index=False)
    before = project.out("git status --porcelain --untracked-files=all")
    failed = project.run(f"perenne adopt {arguments}", status=1)
    assert failed.stderr.startswith(f"error: {says}"), failed.stderr
    assert failed.stderr.count("\n") == 1
    assert project.out("git status --porcelain --untracked-files=all") == before


def test_params_of_the_case_before_are_kept(project: Project) -> None:
    """What was tuned by hand goes back to its case."""
    project.edit("window: .*", "window: 7")
    project.run("perenne adopt '../Le personnel.csv' --no-run")
    assert "window: 7" in project.read("data/cases/retirement/params.yaml")


def test_two_runs_give_the_same_bytes(project: Project, tmp_path: Path) -> None:
    """Nothing that is guessed depends on the moment or the machine."""
    other = project.copy(tmp_path / "other")
    for one in (project, other):
        one.run("perenne adopt '../Le personnel.csv' --no-run")
    for file in ("data/cases/le-personnel/contract.yaml", "params.yaml"):
        assert project.read(file) == other.read(file)
