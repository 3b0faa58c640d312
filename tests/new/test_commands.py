"""`perenne new` and `perenne upgrade` as people meet them, from nothing to a model and its tests."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Never

import pytest

from perenne.new import adopted, commands
from tests.conftest import Enter
from tests.new.own import own, visits
from tests.project import Project


def own_tests(project: Project, *, status: int = 0) -> str:
    """Run the tests of a project, and return what they say."""
    command = f"{sys.executable} -m pytest -q -p no:cacheprovider"
    return project.run(command, status=status, PYTHONPATH="").stdout


@pytest.fixture
def work(workplace: Project) -> Project:
    """Return a workplace with a file of somebody's own."""
    workplace.write("visits.csv", visits())
    return workplace


@pytest.mark.minutes
def test_from_a_file_to_a_model_and_its_tests(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """One command: a project with its case reproduced and committed; its tests pass, and it is proven."""
    project = own(tmp_path_factory, tmp_path / "work")
    said = Project(tmp_path / "work" / "desk").read("said.txt")
    assert re.findall(r"Running stage '(\w+)'", said) == [
        *("ingest", "validate", "split", "train", "refit", "evaluate", "drift")
    ]
    assert re.search(r"next: cd '/.*/my case' && make test\n$", said)
    assert said.count("next: ") == 1
    assert project.out("git status --porcelain") == ""
    titles = project.out("git log --reverse --format=%s").splitlines()
    assert titles[0].startswith("Begin with the template of perenne ")
    assert titles[1:] == ["Adopt visits", "Reproduce visits"]
    about = r"^It predicts `won` \(binary\) from `visits.csv`, in batches of a (week|month)\.$"
    assert re.search(about, project.read("README.md"), re.MULTILINE)
    assert project.repro() == []
    assert "4 passed" in own_tests(project)
    assert "is proven" in project.out("perenne verify", PYTHONPATH="")

    # Its tests see what is wrong: results that are not of these params, and a stage that runs another file.
    project.edit("learning_rate: .*", "learning_rate: 0.2")
    project.edit("cmd: python -m stages.train", "cmd: python -m stages.drift", "dvc.yaml")
    assert "2 failed, 2 passed" in own_tests(project, status=1)


def test_interrupted_run_says_how_to_go_on(
    work: Project,
    wheel: Path,
    enter: Enter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The project is whole and committed by then: only its results are missing."""

    def interrupt() -> Never:
        raise KeyboardInterrupt

    enter(work)
    monkeypatch.setattr(adopted, "reproduce", interrupt)
    with pytest.raises(KeyboardInterrupt):
        commands.new(Path("mine"), files=[Path("visits.csv")], target="won", time="day", wheel=wheel)
    assert capsys.readouterr().out.endswith(f"next: cd {work.path}/mine && make repro\n")
    assert Project(work.path / "mine").out("git status --porcelain") == ""


@pytest.mark.minutes
def test_environment_is_made_of_the_locks(work: Project, wheel: Path) -> None:
    """`make repro` in a fresh clone: every package by its hash, Perenne from the wheel in the project."""
    work.run(f"perenne new mine --wheel {wheel} --from visits.csv --target won --time day --no-run")
    mine = Project(work.path / "mine")
    path = f"{Path(sys.base_prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin"

    def out(command: str, status: int | None = 0) -> str:
        return mine.run(command, status=status, PATH=path, PYTHONPATH="").stdout

    out("make .venv/uv-$(sed -n 's/^UV *:= //p' Makefile)", status=None)
    if not (mine.path / ".venv" / "bin" / "uv").exists():
        pytest.skip("no package index can be reached")
    assert "Running stage 'drift'" in out("make repro")
    where = out(".venv/bin/python -P -c 'import perenne; print(perenne.__file__)'")
    assert where.startswith(f"{mine.path}/.venv/")
    assert "4 passed" in out("make test")
    assert mine.out("git status --porcelain") == "?? dvc.lock\n"
    before = mine.read("requirements.txt")
    out("make lock")
    assert mine.read("requirements.txt") == before


def test_case_can_be_adopted_later(mine: Project, work: Project) -> None:
    """In a project that was begun without one."""
    assert "params.yaml is now that of visits" in mine.out(
        f"perenne adopt {work.path}/visits.csv --target won --time day --no-run"
    )
    assert mine.out("git status --porcelain").splitlines() == [
        "?? data/cases/",
        "?? data/incoming/",
        "?? params.yaml",
    ]


def test_repository_that_is_there_is_listed(workplace: Project, wheel: Path) -> None:
    """What was added and what was left, a line each."""
    workplace.run("git init -q")
    workplace.write("README.md", "# Ours\n")
    said = workplace.out(f"perenne new . --wheel {wheel}").splitlines()
    assert "left as it is: README.md" in said
    assert "added: dvc.yaml" in said
    assert any(re.fullmatch(r"what the template has instead: git show [0-9a-f]{7}:FILE", one) for one in said)
    assert workplace.read("README.md") == "# Ours\n"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("perenne new full", r"/full: not empty; use another folder, or git init and perenne new \. there"),
        ("perenne new repo/inner", r"/repo/inner: lies in the repository .*/repo; use a folder outside"),
        (
            "perenne new mine --target won",
            "--target and --time name columns of a file: --from FILE says which",
        ),
        ("perenne new mine --from visit.csv", "visit.csv: no such file; did you mean 'visits.csv'"),
        (
            "perenne new mine --wheel no.whl",
            r"no\.whl: No such file or directory; --wheel names a wheel of perenne",
        ),
        (
            "perenne new mine --wheel visits.csv",
            "visits.csv: not a wheel of perenne, such as perenne-1.2.3-py3",
        ),
        ("perenne new mine {wheel} --from visits.csv --target wonn", r"wonn.*did you mean 'won'"),
        (
            "perenne new mine {wheel} --from odd.csv --target won",
            "--dates .*perenne new has no such option: leave out --from, and run perenne adopt in",
        ),
        (
            "perenne new mine {wheel} --from visits.csv --target won --time size",
            r"--time size: \d+\.\d is not a date or a time; --dates says how",
        ),
        ("PATH={gitless} perenne new mine {wheel}", "git: there is no such command on PATH; install Git"),
        ("{nobody} perenne new mine {wheel}", "Git does not know who you are: git config --global user.name"),
        ("perenne upgrade {wheel}", "work: not a Git repository; perenne new makes one"),
    ],
)
def test_wrong_use_ends_in_one_line(work: Project, wheel: Path, command: str, error: str) -> None:
    """It says what would do, and leaves nothing behind."""
    work.run("git init -q repo && mkdir full && touch full/file")
    rows = [f"0{1 + i % 9}/0{1 + i % 8}/2024,{i},{i % 2}" for i in range(90)]  # the day or the month first?
    work.write("odd.csv", "\n".join(["day,size,won", *rows, ""]))
    before = sorted(path.name for path in work.path.iterdir())
    nobody = (
        "git config --global user.useConfigOnly true && env -u GIT_AUTHOR_NAME -u GIT_AUTHOR_EMAIL "
        "-u GIT_COMMITTER_NAME -u GIT_COMMITTER_EMAIL"
    )
    gitless = Path(shutil.which("perenne") or "").parent
    failed = work.run(command.format(wheel=f"--wheel {wheel}", nobody=nobody, gitless=gitless), status=1)
    lines = failed.stderr.splitlines()
    assert len(lines) == 1, failed.stderr
    assert re.search(f"^error: .*{error}", lines[0]), lines[0]
    assert sorted(path.name for path in work.path.iterdir()) == before


def test_library_that_runs_is_pinned_by_default(workplace: Project, wheel: Path) -> None:
    """Without `--wheel` the project gets a wheel of this very version, with the same bytes each time."""
    workplace.run("perenne new mine")
    pinned = workplace.path / "mine" / ".perenne" / wheel.name
    assert pinned.read_bytes() == wheel.read_bytes()
    mine = Project(workplace.path / "mine")
    assert "already" in mine.out("perenne upgrade")
