"""The template: it follows this repository's own files, and a wheel brings it whole."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from perenne.common.errors import PerenneError
from perenne.forge.github import WORKFLOWS
from perenne.new import template
from perenne.new.template import Answers, Template, filled
from tests.new.conftest import Later
from tests.project import ROOT, Project
from tests.test_pipeline import DAG
from tests.test_workflows import RULES

FOLDER = ROOT / "stages" / "perenne" / "new" / "template"
BUILD = runpy.run_path(str(ROOT / ".ci" / "template.py"))
ANSWERS = Answers(name="churn", about="It predicts who leaves.")
PIN = re.compile(r"^([a-z0-9][\w.-]*)==(\S+)", re.MULTILINE)


def texts() -> dict[str, str]:
    """Return the template's files by their paths in a project."""
    paths = [path for path in FOLDER.rglob("*") if path.is_file()]
    return {str(p.relative_to(FOLDER)).replace(".tmpl", ""): p.read_text(encoding="utf-8") for p in paths}


# This repository's own files.


def test_what_follows_this_repository_is_as_it_is_here() -> None:
    """After a change to one of these files, `python .ci/template.py` writes the template's."""
    mirrored: dict[str, str] = BUILD["mirrored"]()
    assert {"dvc.yaml", "stages/train.py", ".github/workflows/review.yml", ".dvc/config"} <= mirrored.keys()
    ours = texts()
    assert {name for name, text in mirrored.items() if ours.get(name) != text} == set()


def test_pipeline_is_that_of_this_repository_less_the_library() -> None:
    """Stages, params, outputs and plots are the same; of the deps only the library's modules are missing."""
    expected = {
        name: stage | {"deps": [dep for dep in stage["deps"] if not dep.startswith("stages/perenne/")]}
        for name, stage in DAG["stages"].items()
    }
    assert yaml.safe_load(texts()["dvc.yaml"]) == DAG | {"stages": expected}
    for name, stage in expected.items():
        assert stage["deps"][:2] == ["requirements.txt", "data/cases/${case}/contract.yaml"]
        assert {"stages/__init__.py", f"stages/{name}.py"} <= set(stage["deps"])


def test_tools_have_one_version() -> None:
    """The template's Makefile installs the uv of this repository's, and its actions have the same pins."""
    version = re.compile(r"^UV +:= (\S+)$", re.MULTILINE)
    assert version.findall(texts()["Makefile"]) == version.findall((ROOT / "Makefile").read_text())
    own = (*ROOT.glob(".github/**/*.yml"),)
    pins = re.compile(r"\buses: ([\w./-]+@[0-9a-f]{40} # v[\d.]+)")
    known = {pin for path in own for pin in pins.findall(path.read_text(encoding="utf-8"))}
    used = {pin for name, text in texts().items() if name.startswith(".github") for pin in pins.findall(text)}
    assert used
    assert used <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_workflows_keep_the_rules_of_this_repository(rule: Callable[[str], list[str]]) -> None:
    """Those that are the template's own, too."""
    found = {n: rule(text) for n, text in texts().items() if n.startswith(".github") and n.endswith(".yml")}
    assert len(found) == 8
    assert {name: broken for name, broken in found.items() if broken} == {}


def test_workflows_call_what_a_project_has() -> None:
    """No workflow names a folder or a make target that only this repository has."""
    everything = texts()
    targets = set(re.findall(r"^([a-z]+):.*## ", everything["Makefile"], re.MULTILINE))
    workflows = "".join(text for name, text in everything.items() if name.startswith(".github"))
    assert "stages/perenne" not in workflows
    assert set(re.findall(r"run: make (\S+)", workflows)) == {"test", "venv"} <= targets


def test_checks_that_the_loop_starts_are_there() -> None:
    """They are started by the names of their files, which therefore are the same in every project."""
    everything = texts()
    for file, has_base in WORKFLOWS.values():
        workflow = yaml.safe_load(everything[f".github/workflows/{file}"])
        inputs = workflow[True]["workflow_dispatch"]  # `on` is a boolean of YAML
        assert ("base" in (inputs or {}).get("inputs", {})) == has_base


def test_tests_need_what_is_locked_here() -> None:
    """The packages that a project's tests need are those of this repository's tests, at the same versions."""
    own = dict(PIN.findall((ROOT / "tests" / "requirements.txt").read_text(encoding="utf-8")))
    theirs = dict(PIN.findall(texts()["tests/requirements.txt"]))
    assert "pytest" in theirs
    assert theirs.items() <= own.items()


# The wheel.


def test_wheel_brings_every_file(made: Template) -> None:
    """Hidden ones and those in hidden folders included, byte for byte."""
    assert {name: content.decode() for name, content in made.files.items()} == texts()


@pytest.mark.parametrize(
    ("name", "error"),
    [("nothing.whl", "No such file"), ("README.md", "not a wheel of perenne"), ("other.whl", "not a wheel")],
)
def test_what_is_no_wheel_of_perenne_is_refused(name: str, error: str, tmp_path: Path) -> None:
    """In one line, that names the file."""
    (tmp_path / "README.md").write_text("# text")
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("other-1.dist-info/METADATA", "Name: other\nVersion: 1\n")
    with pytest.raises(PerenneError, match=error) as raised:
        template.of_wheel(tmp_path / name)
    assert str(raised.value).startswith(str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_wheel_without_a_template_is_refused(wheel: Path, tmp_path: Path) -> None:
    """A version from before there was one."""
    old = tmp_path / "old.whl"
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            if not name.startswith(template.FOLDER):
                target.writestr(name, source.read(name))
    with pytest.raises(PerenneError, match=r"old.whl: perenne \S+ has no template of a project"):
        template.of_wheel(old)


# What is filled in.


def test_nothing_is_left_to_be_filled_in(made: Template) -> None:
    """The name, what is predicted, the package and the wheel stand where the template asks for them."""
    files = filled(made, ANSWERS)
    assert not [name for name, text in files.items() if b"%%" in text and not name.endswith(".whl")]
    assert files["README.md"].startswith(b"# churn\n\nIt predicts who leaves.\n")
    assert b'name = "churn"' in files["pyproject.toml"]
    assert f"\n./.perenne/{made.wheel}[s3,serve]\n".encode() in files["requirements.in"]
    assert yaml.safe_load(files[".perenne/answers.yaml"]) == ANSWERS.model_dump()


def test_question_of_a_later_template_needs_its_version(later: Later) -> None:
    """An earlier version does not know the answer, and says so instead of leaving a gap."""
    made = template.of_wheel(later("99.0", Makefile=("help: ", "%%colour%%: ")))
    with pytest.raises(PerenneError, match=r"template of perenne 99.0 needs that version"):
        filled(made, ANSWERS)


def test_environment_is_the_librarys_lock_and_the_wheel(made: Template) -> None:
    """Every pin with all its hashes, the wheel with its own, in the order of their names."""
    lock = filled(made, ANSWERS)["requirements.txt"].decode()
    hashed = re.compile(r"--hash=(\S+)")
    service = (ROOT / "stages" / "perenne" / "serving" / "requirements.txt").read_text(encoding="utf-8")
    own = f"sha256:{sha256(made.content).hexdigest()}"
    assert PIN.findall(lock) == PIN.findall(service)
    assert Counter(hashed.findall(lock)) == Counter([*hashed.findall(service), own])
    assert f"\n./.perenne/{made.wheel} \\\n    --hash={own}\n" in lock
    names = re.findall(r"^(?:\./\.perenne/)?([a-z0-9][\w-]*?)(?:==|-\d)", lock, re.MULTILINE)
    assert names == sorted(names)


@pytest.mark.parametrize(
    "installer",
    ["python -m pip install --quiet --no-index", "uv pip install --quiet --offline --python {python}"],
    ids=["pip", "uv"],
)
@pytest.mark.parametrize("forged", [False, True])
def test_installers_hold_the_wheel_to_its_hash(
    made: Template, workplace: Project, installer: str, *, forged: bool
) -> None:
    """Pip and uv install it with `--require-hashes`, and refuse one that is not the one that was locked."""
    files = filled(made, ANSWERS)
    lines = re.findall(r"^\./\.perenne.*\n.*--hash.*\n", files["requirements.txt"].decode(), re.MULTILINE)
    workplace.write("requirements.txt", "".join(lines))
    (workplace.path / ".perenne").mkdir()
    (workplace.path / ".perenne" / made.wheel).write_bytes(made.content + b"!" * forged)
    command = installer.format(python=sys.executable)
    options = "--no-deps --require-hashes --target site --requirement requirements.txt"
    done = workplace.run(f"{command} {options}", status=None, PYTHONPATH="")
    assert (done.returncode != 0) == forged, done.stderr
    assert (workplace.path / "site" / "perenne" / "cli.py").exists() != forged


def test_python_of_a_project_is_clean(made: Template, workplace: Project) -> None:
    """Its files pass this repository's linters, as a project that a newcomer learns from should."""
    for name, content in filled(made, ANSWERS).items():
        if name.endswith(".py"):
            workplace.write(f"{name}", content.decode())
    workplace.write("pyproject.toml", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for command in (["check"], ["format", "--check"]):
        ruff = [str(Path(sys.executable).with_name("ruff")), *command, "--no-cache", "."]
        done = subprocess.run(ruff, cwd=workplace.path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
