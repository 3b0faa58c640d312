"""Verify: a clean rerun gives the commit's results, and its model never used the holdout."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from perenne.common.errors import PerenneError
from perenne.registry import dag, parts, verify
from perenne.registry.reproduce import environment
from perenne.review import rerun
from tests.conftest import Enter, once
from tests.project import Project
from tests.registry.visits import INPUT, visits

METRICS = "data/reports/metrics.json"
CUT = "stages/perenne/common/cut.py"
TRAIN, HOLDOUT = "data/split/train.parquet", "data/split/holdout.parquet"
REFIT = "data/split/refit.parquet"
TRAINED_ON_ALL = """
import pandas as pd
from perenne.pipeline import train
from perenne.common import batches, names, params
from perenne.documents.card import save_model
from perenne.common.contract import read_contract
p = params.load("train")
contract = read_contract(p.case)
rows = pd.concat([batches.read_parquet(names.TRAIN), pd.read_parquet("data/split/holdout.parquet")])
save_model(train.train(rows, p.train, contract), train.card(rows, p.train, contract))
"""


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a small project as it was reproduced and committed. Shared: see `project`."""
    folder = once(tmp_path_factory, "reproduced", lambda folder: visits(folder / "project"))
    return Project(folder / "project")


@pytest.fixture
def project(reproduced: Project, tmp_path: Path, enter: Enter) -> Project:
    """Return a copy with its remote, free to be changed, as the current folder."""
    shutil.copytree(reproduced.path.parent, tmp_path / "all", symlinks=True)
    copy = Project(tmp_path / "all/project")
    enter(copy)
    return copy


def findings() -> list[str]:
    """Return the findings on the last commit, line by line."""
    with pytest.raises(PerenneError) as raised:
        verify.verify()
    return [line.strip() for line in str(raised.value).split("\n")]


def stale(project: Project) -> list[str]:
    """Return the findings on a lock, without a run."""
    return verify.stale(project.path, environment(project.path), dag.read(project.path))


def exempt(project: Project) -> list[str]:
    """Return what would escape a rerun. No clone has the bytecode that is here."""
    project.run("find stages -name __pycache__ -prune -exec rm -r {} +")
    return verify.exempt(project.path, dag.read(project.path))


def test_what_reproduces_is_proven(project: Project) -> None:
    """From its inputs in the remote alone; nothing here is changed by it."""
    shutil.rmtree(project.path / ".dvc/cache")
    project.write(METRICS, "this is not what is verified")
    commit = project.out("git rev-parse --short=7 HEAD").strip()
    assert verify.verify().startswith(f"HEAD ({commit}) is proven: it makes dvc.lock byte for byte")
    assert not (project.path / ".dvc/cache").exists()
    assert project.read(METRICS) == "this is not what is verified"


def test_forged_metrics_are_reported(project: Project) -> None:
    """DVC itself believes that the stage made them."""
    project.edit(r"[0-9]\.[0-9]+", "0.001", METRICS)
    project.run("dvc commit -q -f")
    project.commit("better metrics")
    assert project.repro() == []
    assert findings() == [f"evaluate: {METRICS} is not what the commit reproduces"]


def test_model_made_by_hand_is_reported(project: Project) -> None:
    """It learned from the holdout. No metric shows that: they are of models that `evaluate` fits itself."""
    project.write("../forge.py", TRAINED_ON_ALL)
    project.run("python ../forge.py && python -m stages.evaluate && dvc commit -q -f")
    project.commit("a better model")
    assert project.repro() == []
    lines = findings()
    assert "train: data/model/model.skops is not what the commit reproduces" in lines
    assert not [line for line in lines if line.startswith("evaluate: ")]


@pytest.mark.parametrize(
    ("file", "pattern", "new", "changed"),
    [
        (
            "params.yaml",
            r"C: 1\.0",
            "C: 2.0",
            "train: params.yaml, refit: params.yaml, evaluate: params.yaml",
        ),
        ("stages/evaluate.py", r"\Z", "# changed\n", "evaluate: stages/evaluate.py"),
        ("dvc.yaml", r"cmd: (.*stages.train)", r"cmd: \1 --fast", "train: cmd"),
        (
            "dvc.yaml",
            r"(stages/train.py\n)",
            r"\1      - stages/perenne/cli.py\n",
            "train: stages/perenne/cli.py",
        ),
        ("dvc.yaml", r"^  split:", "  other: {cmd: 'true'}\n  split:", "other"),
    ],
)
def test_lock_of_another_commit_is_reported(
    project: Project, file: str, pattern: str, new: str, changed: str
) -> None:
    """Params, code, command, deps or stages that the lock does not know."""
    project.edit(pattern, new, file)
    assert stale(project) == [f"{verify.STALE} ({changed})"]


def test_entry_of_no_stage_is_reported(project: Project) -> None:
    """It would prove itself, whatever it says of the model: DVC leaves it as it is, and so does dvc repro."""
    forged = "{cmd: x, outs: [{path: data/model/model.skops, md5: 0123456789abcdef0123456789abcdef}]}"
    project.edit(r"^  train:", f"  forged: {forged}\n  train:", "dvc.lock")
    assert project.repro() == []
    assert stale(project) == []
    assert verify.gone(project.path, dag.read(project.path)) == [
        "dvc.lock: forged is not a stage of dvc.yaml any more; remove it there too"
    ]


@pytest.mark.parametrize("change", ["git rm -q dvc.lock", "sed -i 's/C: 1.0/C: 2.0/' params.yaml"])
def test_nothing_is_run_for_a_stale_lock(
    project: Project, change: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor for a missing one: the error says at once what to do."""
    project.run(change)
    project.commit("forgot to reproduce")
    assert findings()[0].startswith("dvc.lock is not of this commit: run dvc repro and commit it")
    assert "Running stage" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("pattern", "new", "changed"),
    [
        (r"(?s)(  train:.*?)      - stages/train.py\n", r"\1", "train: stages/train.py"),
        (r"(?s)(  train:.*?)      - data/model/model.json\n", r"\1", "train: data/model/model.json"),
        (r"(?s)(  train:.*?)      - case\n", r"\1", "train: params.yaml case"),
    ],
)
def test_what_only_the_lock_has_is_reported(project: Project, pattern: str, new: str, changed: str) -> None:
    """A dep, an output or a param that `dvc.yaml` lists no more: DVC itself does not compare them."""
    project.edit(pattern, new, "dvc.yaml")
    assert stale(project) == [f"{verify.STALE} ({changed})"]


def test_training_code_that_is_no_dep_is_reported(project: Project) -> None:
    """Whatever the lock says: which files a stage runs is found by its imports."""
    project.edit(r"(?s)(  train:.*?)      - stages/train.py\n", r"\1", "dvc.yaml")
    project.edit(r"    - path: stages/train.py\n(      .*\n)+", "", "dvc.lock")
    project.edit(r"\Z", "# changed\n", "stages/train.py")
    assert project.repro() == []
    assert stale(project) == []
    project.commit("another way to train")
    finding = "dvc.yaml: train: runs stages/train.py, which is not among its deps; add it"
    assert findings() == [finding]
    assert not rerun.current("HEAD")


FORGED = """
import pyarrow.parquet as pq
rows = pq.read_table("data/split/holdout.parquet")
pq.write_table(rows.slice(0, len(rows) // 2), "data/split/holdout.parquet")
"""


def test_holdout_that_was_cut_is_not_proven(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """A frozen stage, whose output Git keeps, is not run even by force: it would prove itself."""
    project.edit(r"^  split:\n", "  split:\n    <<: {frozen: true}\n", "dvc.yaml")
    for out in (TRAIN, HOLDOUT, "data/reports/split.json"):
        project.edit(rf"(?s)(  split:.*?)- {out}\n", rf"\1- {{{out}: {{cache: false}}}}\n", "dvc.yaml")
    project.write("../forge.py", FORGED)
    project.run("python ../forge.py && rm data/split/.gitignore && sed -i /split/d data/reports/.gitignore")
    project.run("dvc commit -f split; dvc repro", status=None)
    project.commit("nothing to see")
    capfd.readouterr()
    assert set(findings()) >= {
        "dvc.yaml: split: frozen exempts it from being verified; remove it",
        f"dvc.yaml: split: outs: {HOLDOUT}: cache exempts it from being verified; remove it",
    }
    assert "Running stage" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("pattern", "new", "file", "finding"),
    [
        (r"^  evaluate:", "  evaluate:\n    frozen: true", "dvc.yaml", "dvc.yaml: evaluate: frozen"),
        (r"^  evaluate:", "  evaluate:\n    <<: &a {frozen: true}", "dvc.yaml", "evaluate: frozen"),
        (r"^  evaluate:", "  evaluate:\n    wdir: .", "dvc.yaml", "dvc.yaml: evaluate: wdir"),
        (r"^  split:", "  split:\n    always_changed: true", "dvc.yaml", "dvc.yaml: split: always_changed"),
        (
            r"- data/clean\n      - data/q",
            "- data/clean: {persist: true}\n      - data/q",
            "dvc.yaml",
            "persist",
        ),
        (r"- data/clean\n      - data/q", "- data/clean: {push: false}\n      - data/q", "dvc.yaml", "push"),
        (r"- data/clean\n      - data/q", "- data/clean: {remote: x}\n      - data/q", "dvc.yaml", "remote"),
        (
            r"- data/clean\n      - data/q",
            "- data/clean: {cache: false}\n      - data/q",
            "dvc.yaml",
            "cache",
        ),
        (
            r"- data/reports/metrics.json",
            "- data/reports/metrics.json: {persist: true}",
            "dvc.yaml",
            "persist",
        ),
        (r"\Aouts:", "frozen: true\nouts:", f"{INPUT}.dvc", f"{INPUT}.dvc: frozen"),
        (r"(md5: \w+)", r"\1\n  push: false", f"{INPUT}.dvc", f"{INPUT}.dvc: push"),
    ],
)
def test_what_a_rerun_would_not_prove_is_refused(
    project: Project, pattern: str, new: str, file: str, finding: str
) -> None:
    """Keys of a stage, of an output and of a `.dvc` file; as DVC reads them."""
    assert exempt(project) == []
    project.edit(pattern, new, file)
    (line,) = exempt(project)
    assert finding in line
    assert line.endswith("exempts it from being verified; remove it")


def test_keys_hidden_in_a_template_are_seen(project: Project) -> None:
    """What `foreach` and `matrix` make is checked, not what they are made from."""
    what = "cmd: python -m stages.split, deps: [stages], outs: [{'${item.n}': {persist: true}}]"
    some = f"{{matrix: {{n: [a]}}, {what}}}"
    project.edit(r"^  split:", f"  some: {some}\n  split:", "dvc.yaml")
    assert exempt(project) == ["dvc.yaml: some@a: outs: a: persist exempts it from being verified; remove it"]


@pytest.mark.parametrize(
    ("path", "reported"),
    [
        ("stages/__pycache__/split.cpython-312.pyc", "stages/__pycache__"),
        ("stages/split/__init__.pyc", "stages/split/__init__.pyc"),
        ("stages/split.cpython-312-x86_64-linux-gnu.so", "stages/split.cpython-312-x86_64-linux-gnu.so"),
        ("data/cases/tiny/x.pyd", "data/cases/tiny/x.pyd"),
        (".dvc/tmp/numpy.pyc", ".dvc/tmp/numpy.pyc"),
    ],
)
def test_compiled_code_is_refused(project: Project, path: str, reported: str) -> None:
    """Python runs it in place of the source beside it, which alone is a dep."""
    assert exempt(project) == []
    (project.path / path).parent.mkdir(parents=True, exist_ok=True)
    (project.path / path).write_bytes(b"")
    finding = f"{reported}: is compiled code, which Python may run in place of a source; remove it"
    assert verify.exempt(project.path, dag.read(project.path)) == [finding]


def test_bytecode_of_another_source_is_not_proven(project: Project) -> None:
    """It runs though the source beside it is the reviewed one: its hash is not checked. From Git or DVC."""
    make = (
        "import py_compile; p = py_compile; "
        "p.compile('stages/split.py', invalidation_mode=p.PycInvalidationMode.UNCHECKED_HASH)"
    )
    project.run(f'rm -r stages/__pycache__; python -c "{make}"')
    project.run("git add -f stages/__pycache__ && git commit -q -m bytecode")
    start = "stages/__pycache__: is compiled code"
    assert [line[: len(start)] for line in findings()] == [start]
    assert not rerun.current("HEAD")
    project.run("git rm -rq --cached stages/__pycache__ && sed -i /pyc/d .dvcignore .gitignore")
    project.run("mv stages/__pycache__ stages/kept && dvc add -q stages/kept")
    project.edit("path: kept", "path: __pycache__", "stages/kept.dvc")
    project.commit("by way of DVC")
    assert start in findings()[0]


def test_environment_of_a_commit_is_refused(project: Project) -> None:
    """It would have a Python of its own."""
    project.write(".venv/bin/python", "")
    assert exempt(project) == [
        ".venv: an environment is made of requirements.txt and not brought along; remove it"
    ]


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("bottleneck.py", True),
        ("numexpr/__init__.py", True),
        ("numexpr/deep/name.py", True),
        ("tests/bottleneck.py", False),
        (".github/bottleneck.py", False),
        ("numexpr/notes.txt", False),
        ("not-a-name/file.py", False),
    ],
)
def test_modules_that_hide_a_package_are_refused(project: Project, path: str, *, refused: bool) -> None:
    """Packages import others where they are there, and a stage looks in the project's folder first."""
    project.write(path, "")
    name = Path(path).parts[0].removesuffix(".py")
    finding = (
        f"{path}: is found before any package named {name}; "
        "add it to the deps of a stage, move it to tests/, or remove it"
    )
    assert exempt(project) == [finding] * refused
    project.edit(r"(stages.train\n    deps:\n)", rf"\1      - {path}\n", "dvc.yaml")
    assert exempt(project) == []


@pytest.mark.parametrize(
    "command",
    [
        "cd hidden && python -m stages.split",
        "PYTHONPATH=hidden python -m stages.split",
        "python -m stages.split; true",
        "python -m stages.split $(true)",
        "python -m stages.split `true`",
        "python -m stages.split < /dev/null",
        "python -m stages.split | cat",
        "python -m stages.split &",
        "[cd hidden, python -m stages.split]",
        "|\n      cd hidden\n      python -m stages.split",
        "python -m runpy stages.split",
        "python -m pandas",
        "python -c 'import stages.split'",
        "python stages/split.py",
        ". hidden/run",
    ],
)
def test_commands_for_a_shell_are_refused(project: Project, command: str) -> None:
    """Who can go elsewhere can run what is there, whatever the deps say."""
    quoted = command if command[0] in "[|" else f'"{command}"'
    project.edit("cmd: python -m stages.split", f"cmd: {quoted}", "dvc.yaml")
    (line,) = exempt(project)
    assert line.startswith("dvc.yaml: split: cmd ")
    assert "must be python -m and a module of the project" in line


@pytest.mark.parametrize("command", ["python -u -m stages.split --fast a=1", "[python -m stages.split]"])
def test_plain_commands_are_not_refused(project: Project, command: str) -> None:
    """One or several, with arguments."""
    project.edit("cmd: python -m stages.split", f"cmd: {command}", "dvc.yaml")
    assert exempt(project) == []


@pytest.mark.parametrize("name", ["__pycache__/more.csv", "more.csv", ".dvc/more.csv", "link"])
def test_files_of_a_dep_that_dvc_does_not_see_are_refused(project: Project, name: str) -> None:
    """A stage can read them, and no hash has them in it."""
    project.write(".dvcignore", f"{project.read('.dvcignore')}more.csv\n")
    project.write("data/incoming/tiny/.gitkeep", "")
    assert exempt(project) == []
    path = project.path / "data/incoming/tiny" / name
    path.parent.mkdir(exist_ok=True)
    if name == "link":
        path.symlink_to("../../cases")
    else:
        path.write_text("1")
    found = [line for line in verify.exempt(project.path, dag.read(project.path)) if "compiled" not in line]
    assert found == [f"data/incoming/tiny/{name}: DVC does not see it in data/incoming/tiny; remove it"]


@pytest.mark.parametrize(("path", "link"), [(METRICS, "data/reports"), (CUT, "stages/perenne/common")])
def test_paths_behind_a_link_are_refused(project: Project, path: str, link: str) -> None:
    """What is deleted before a rerun would be deleted elsewhere."""
    (project.path / link).rename(project.path / ".elsewhere")
    (project.path / link).symlink_to(project.path / ".elsewhere")
    assert f"dvc.yaml: {path}: {link} is a link; make it a folder" in exempt(project)


@pytest.mark.parametrize("link", ["data/reports", ".dvc", "notes"])
def test_links_out_of_a_repository_are_refused(project: Project, link: str) -> None:
    """Nothing is written or deleted behind them, however early."""
    outside = project.path.parent / "outside"
    outside.mkdir()
    (outside / "config.local").write_text("kept")
    (outside / "metrics.json").write_text("kept")
    project.run(f"rm -rf {link} && ln -s {outside} {link} && git rm -rq --cached --ignore-unmatch {link}")
    project.run(f"git add -f {link} && git commit -q -m link && rm {link} && git checkout -q HEAD~1 .")
    assert findings() == [f"{link}: leads out of the repository, to {outside}; remove it"]
    assert sorted(path.read_text() for path in outside.iterdir()) == ["kept", "kept"]


def test_stages_of_another_file_are_refused(project: Project) -> None:
    """A run without a target passes them over."""
    project.write("data/more/dvc.yaml", "stages:\n  more: {cmd: touch x, outs: [x]}\n")
    assert exempt(project) == [
        "data/more/dvc.yaml: only the stages of dvc.yaml are verified; move more there"
    ]


@pytest.mark.parametrize("path", ["data/clean", HOLDOUT])
def test_data_that_no_stage_makes_is_refused(project: Project, path: str) -> None:
    """As an input in Git it would prove itself."""
    project.edit(rf"^      - {path}\n(?!      - stages)", "", "dvc.yaml")
    assert exempt(project) == [f"dvc.yaml: no stage makes {path}"]


def test_stage_that_was_not_run_is_reported(project: Project) -> None:
    """Its outputs are deleted before, so nothing that was there passes for made."""
    pipeline = dag.read(project.path)
    project.edit(r"^  evaluate:", "  evaluate:\n    frozen: true", "dvc.yaml")
    with pytest.raises(PerenneError, match="evaluate"):
        verify.rerun(project.path, environment(project.path), pipeline)
    assert not (project.path / METRICS).exists()


@pytest.mark.parametrize(
    "text", ["stages: [", "stages: {a: 5}", "[" * 3000, "stages: {a: {cmd: x, what: y}}"]
)
def test_pipeline_that_cannot_be_read_is_one_line(project: Project, text: str) -> None:
    """Whoever wrote it."""
    project.write("dvc.yaml", text)
    with pytest.raises(PerenneError, match=r"^dvc\.yaml: .+\Z"):
        dag.read(project.path)


MAY = {
    "train": f"data/model/model.skops may depend on no data but {TRAIN}",
    "refit": f"data/model/released.skops may depend on no data but {REFIT}, data/model/model.skops, "
    "data/model/model.json",
}


@pytest.mark.parametrize("stage", MAY)
@pytest.mark.parametrize("dep", [HOLDOUT, "data/clean", "data/incoming/tiny/visits.csv", "notes.txt"])
def test_model_may_depend_on_no_other_data(project: Project, stage: str, dep: str) -> None:
    """Not on outputs of other stages, nor on inputs, nor on what Git does not keep."""
    project.write("notes.txt", "in no commit")
    project.edit(rf"(stages.{stage}\n    deps:\n)", rf"\1      - {dep}\n", "dvc.yaml")
    project.run(f"dvc commit -q -f {stage}")
    assert verify.other_data(project.path, "HEAD") == [f"dvc.yaml: {stage}: {MAY[stage]}, and not on {dep}"]


def test_data_of_another_stage_may_not_look_like_code(project: Project) -> None:
    """An output that Git keeps, in a folder of code, is data all the same."""
    copy = "{cmd: cp data/split/holdout.parquet stages/rows, outs: [{stages/rows: {cache: false}}]}"
    project.edit(r"^  train:", f"  copy: {copy}\n  train:", "dvc.yaml")
    project.edit(r"(stages.train\n    deps:\n)", r"\1      - stages/rows\n", "dvc.yaml")
    project.run("cp data/split/holdout.parquet stages/rows && dvc commit -q -f copy train")
    project.commit("rows among the code")
    (line,) = verify.other_data(project.path, "HEAD")
    assert line.endswith("not on stages/rows")


GLOB = "__import__('glob').glob"
UNDECLARED = {
    "plainly": ('pd.read_parquet("data/split/holdout.parquet")', "fails"),
    "where it is": (f"*map(pd.read_parquet, {GLOB}('data/clean/*-04.parquet'))", "makes another"),
}


@pytest.mark.parametrize(("more", "reason"), UNDECLARED.values(), ids=UNDECLARED)
def test_training_that_reads_the_holdout_is_reported(project: Project, more: str, reason: str) -> None:
    """It reproduces, and its lock is right; but without that file there is no such model."""
    new = rf"made(pd.concat([batches.read_parquet(TRAIN), {more}]), \1)"
    project.edit(r"made_of\(TRAIN, (.*), workers\)", new, "stages/perenne/pipeline/train.py")
    assert project.repro("train") == ["train"]
    project.commit("learn more")
    assert verify.other_data(project.path, "HEAD") == []
    clone = project.copy(project.path.parent / "clone").path
    (line,) = verify.dependent(clone, environment(clone), "HEAD")
    assert re.match(f"train: {reason} .*where there is nothing but what it declares", line)


def test_refit_that_reads_more_is_reported(project: Project) -> None:
    """What is released is made of the rows of the refit alone, as what is proven is of the training rows."""
    rows = f"pd.concat([batches.read_parquet(REFIT), *map(pd.read_parquet, {GLOB}('{HOLDOUT}'))])"
    file = "stages/perenne/pipeline/refit.py"
    project.edit(r"train\.made_of\(REFIT, (.*), workers\)", rf"train.made({rows}, \1)", file)
    project.edit(
        "^from perenne.common import disk",
        "import pandas as pd\nfrom perenne.common import batches, disk",
        file,
    )
    assert project.repro("refit") == ["refit"]
    project.commit("learn more")
    clone = project.copy(project.path.parent / "clone").path
    assert verify.dependent(clone, environment(clone), "HEAD") == [
        "refit: makes another data/model/released.skops where there is nothing but what it declares"
    ]


STASHED = {
    "where no environment was made": "'.venv/rows'",
    "among temporary files": "__import__('tempfile').gettempdir() + '/rows'",
    "above the project": "'../rows'",
    "in the environment": "__import__('shutil').which('python') + 'rows'",
}
MAKEFILE = """\
venv:
	mkdir -p .venv/bin
	printf '#!/bin/sh\\nexec $(PYTHON) "$$@"\\n' > .venv/bin/python
	chmod +x .venv/bin/python
"""


@pytest.mark.parametrize("place", STASHED.values(), ids=STASHED)
def test_holdout_that_was_hidden_is_not_found_again(project: Project, place: str) -> None:
    """All that the stages could write to in the clone is new, or gone, when the model is made again."""
    read = f"*map(pd.read_parquet, {GLOB}({place}))"
    new = rf"made(pd.concat([batches.read_parquet(TRAIN), {read}]), \1)"
    project.edit(r"made_of\(TRAIN, (.*), workers\)", new, "stages/perenne/pipeline/train.py")
    project.write("Makefile", MAKEFILE)
    project.write(".gitignore", f"{project.read('.gitignore')}/rows\n.venv\n")
    if "'../" in place:
        project.run("rm -rf .git && git init -q -b main .. && echo home > ../.gitignore")
    project.commit("learn more")
    if "which" in place:
        project.write("requirements.txt", "of another commit")
    copied = shutil.copytree(project.path.parent, project.path.parent.with_name("copied"), symlinks=True)
    clone = Project(copied / "project")
    clone.run("git checkout -q .")
    env = environment(clone.path)
    stash = clone.out(f'python -c "print({place})"', **env).strip()
    (clone.path / stash).parent.mkdir(exist_ok=True)
    shutil.copy(clone.path / HOLDOUT, clone.path / stash)
    clone.run("dvc repro -q -s train", PATH=env["PATH"], TMPDIR=env["TMPDIR"])
    assert re.search(rf"{TRAIN}\W", clone.read("dvc.lock"))
    (line,) = verify.dependent(clone.path, env, "HEAD")
    assert re.match("train: makes another .* where there is nothing but what it declares", line)


def test_split_that_overlaps_is_reported(project: Project) -> None:
    """By the rows, though the stage itself reports no error."""
    assert parts.mixed(project.path) == []
    project.edit(r"labelled <= self\.learned\):", "labelled <= self.learned + 1):", CUT)
    assert project.repro("split") == ["split"]
    assert parts.mixed(project.path) == [
        "data/split/train.parquet: goes to 2021-03, with labels 0 period(s) late; "
        "the holdout begins after 2021-02"
    ]


def rows(project: Project, file: str, *months: str) -> None:
    """Write the clean rows of some months into a part."""
    files = [project.path / f"data/clean/{month}.parquet" for month in months]
    pq.write_table(pa.concat_tables(map(pq.read_table, files)), project.path / file)


@pytest.mark.parametrize(
    ("train", "holdout", "refit", "delay", "starts"),
    [
        (["2021-01"], ["2021-03"], "2021-03", 1, []),
        (["2021-01", "2021-02"], ["2021-03"], "2021-03", 1, [f"{TRAIN}: goes to 2021-02, with labels 1"]),
        (["2021-01"], ["2021-03", "2021-04"], "2021-03", 1, [f"{HOLDOUT}: goes to 2021-04, with labels 1"]),
        (
            ["2021-01"],
            ["2021-02", "2021-03"],
            "2021-03",
            0,
            [f"{HOLDOUT}: begins in 2021-02, must begin after"],
        ),
        (["2021-04"], ["2021-03"], "2021-03", 0, [f"{TRAIN}: goes to 2021-04, with labels 0"]),
        (["2021-01"], ["2021-03"], "2021-04", 1, [f"{REFIT}: goes to 2021-04, with labels 1"]),
    ],
)
def test_parts_are_apart_by_the_rows_own_time(
    project: Project, train: list[str], holdout: list[str], refit: str, delay: int, starts: list[str]
) -> None:
    """The known ends two months before as_of; each part has its labels by its own end."""
    project.edit("label_delay: 0", f"label_delay: {delay}", "data/cases/tiny/contract.yaml")
    rows(project, TRAIN, *train)
    rows(project, HOLDOUT, *holdout)
    rows(project, REFIT, refit)
    lines = parts.mixed(project.path)
    assert [line[: len(start)] for line, start in zip(lines, starts, strict=True)] == starts


def moved(table: pa.Table) -> pa.Table:
    """Return the rows as if they were of the month before."""
    earlier = pc.subtract(table["seen"], pa.scalar(31 * 24 * 60 * 60 * 10**6, pa.duration("us")))
    return table.set_column(table.column_names.index("seen"), "seen", earlier)


def without_time(table: pa.Table) -> pa.Table:
    """Return the rows, one without its time."""
    times = pa.array([None, *table["seen"].to_pylist()[1:]], pa.timestamp("us"))
    return table.set_column(table.column_names.index("seen"), "seen", times)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (moved, "20 row(s) are not among those of their periods in data/clean"),
        (without_time, "every row must have its seen, and one must be there"),
        (lambda table: table.slice(0, 0), "every row must have its seen, and one must be there"),
        (
            lambda table: table.append_column("hint", table["won"]),
            "its columns are not those of the contract",
        ),
    ],
)
def test_rows_must_be_those_of_their_time(
    project: Project, change: Callable[[pa.Table], pa.Table], finding: str
) -> None:
    """Rows of the holdout under another date, without any, or in a column of their own, are reported."""
    rows(project, TRAIN, "2021-03")
    pq.write_table(change(pq.read_table(project.path / TRAIN)), project.path / TRAIN)
    assert parts.mixed(project.path) == [f"{TRAIN}: {finding}"]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda rows: rows.slice(5), "5 row(s) of its periods in data/clean have a label and are not in it"),
        (
            lambda rows: pa.concat_tables([rows, rows.slice(0, 3)]),
            "3 row(s) are not among those of their periods in data/clean",
        ),
        (
            lambda rows: rows.set_column(2, "size", pc.add(rows["size"], 0.25)),
            "40 row(s) are not among those of their periods in data/clean",
        ),
    ],
    ids=["cut", "repeated", "changed"],
)
def test_holdout_is_all_labelled_rows_of_its_periods(
    project: Project, change: Callable[[pa.Table], pa.Table], finding: str
) -> None:
    """No more and no fewer: who chooses among them chooses the verdict."""
    pq.write_table(change(pq.read_table(project.path / HOLDOUT)), project.path / HOLDOUT)
    assert finding in parts.mixed(project.path)[0]


@pytest.mark.parametrize("part", [TRAIN, REFIT])
def test_training_row_counts_as_often_as_it_is_there(project: Project, part: str) -> None:
    """A row twice is another sample, which no stage before the training may make."""
    rows = pq.read_table(project.path / part)
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 2)]), project.path / part)
    (line,) = parts.mixed(project.path)
    assert line == f"{part}: 2 row(s) are not among those of their periods in data/clean"
    pq.write_table(rows.slice(2), project.path / part)
    assert parts.mixed(project.path) == []


def test_code_that_a_contract_names_must_be_a_dep(tmp_path: Path) -> None:
    """The stage of the clean data imports it by name, which no import statement shows."""
    made = tmp_path / "project"
    (made / "stages").mkdir(parents=True)
    (made / "stages/validate.py").write_text("")
    (made / "stages/ours.py").write_text("import stages.more\n")
    (made / "stages/more.py").write_text("")
    contract = made / "data/cases/shop/contract.yaml"
    contract.parent.mkdir(parents=True)
    contract.write_text("derived:\n  mine: {code: stages.ours.make}\n  other: {lag: pay}\n")
    deps = frozenset({"stages/validate.py", "data/cases/shop/contract.yaml", "stages/more.py"})
    stage = dag.StageOfDag(("python -m stages.validate",), deps, {}, frozenset({"data/clean"}))
    line = "dvc.yaml: validate: runs stages/ours.py, which is not among its deps; add it"
    assert verify.undeclared(made, dag.Dag({"validate": stage}, [])) == [line]
    other = stage._replace(outs=frozenset({"data/split"}))
    assert verify.undeclared(made, dag.Dag({"validate": other}, [])) == []
