"""Which code a version runs, read from its commit, and which packages its lock pins."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.registry.tags import Version
from perenne.serving import lock_environment
from perenne.serving.code_identity import Code, code_of, export
from perenne.serving.lock_environment import Environment, pins, unmet
from perenne.serving.succession import Succession
from tests.project import Project, environment

CONTRACT = "row: one\ncolumns:\n  age: {type: number}\n"
FILES = {
    "params.yaml": "train: {estimator: {pipeline: [stages.models.Mine]}}\nnote: stages.other.Unused\n",
    "data/cases/retirement/contract.yaml": CONTRACT,
    "stages/__init__.py": '"""The stages."""\n',
    "stages/models.py": "from stages.parts import sums\nfrom perenne.common import git\n",
    "stages/parts/sums.py": "import stages.deeper\n",
    "stages/deeper.py": "x = 1\n",
    "stages/other.py": "x = 1\n",
    "stages/features.py": "x = 1\n",
    "stages/perenne/common/git.py": "import stages.other\n",
}
USED = ["stages/deeper.py", "stages/models.py", "stages/parts/sums.py"]
HERE = Environment(python="python", path=[], versions={"perenne": "0.1.0", "numpy": "2.4.0"}, library="")
LOCK = "numpy==2.4.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via x\nperenne==0.1.0\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a repository with code of its own, as the current folder."""
    project = Project(tmp_path / "here")
    for name, text in FILES.items():
        project.write(name, text)
    project.run("git init -q -b main")
    for name, value in environment(project.path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.path)
    project.commit("first")
    return project


def version() -> Version:
    """Return the last commit as a version."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Version(
        *("retirement", "v1.0.0", git.commit("HEAD"), at, "Ada", "", None),
        signed=False,
        tag="retirement@v1.0.0",
    )


@pytest.fixture
def code(here: Project) -> Callable[..., Code]:
    """Return a function that commits some files, and reads the code of the commit."""

    def read(**changed: str) -> Code:
        for name, text in changed.items():
            here.write(name.replace("__", "/").replace("_py", ".py").replace("_txt", ".txt"), text)
        here.commit("next")
        return code_of("retirement", version())

    return read


def test_files_that_are_named_and_imported_count(code: Callable[..., Code]) -> None:
    """In `train` and in the contract, at any depth; neither the library nor code that nobody uses."""
    first = code()
    assert [file.path for file in first.files] == USED
    assert first.names == ("stages.models.Mine",)
    assert code(stages__other_py="x = 2\n").files == first.files
    assert code(stages__deeper_py="x = 2\n").id != first.id
    assert code(stages__deeper_py="x = 1\n") == first


def test_feature_of_the_contract_counts(here: Project, code: Callable[..., Code]) -> None:
    """A version without code of its own has no id."""
    here.write("params.yaml", "train: {estimator: sklearn.svm.SVC, seed: 0}\n")
    assert (code().files, code().id) == ((), "")
    here.write("data/cases/retirement/contract.yaml", f"{CONTRACT}  size: {{code: stages.features.make}}\n")
    assert [file.path for file in code().files] == ["stages/features.py"]


def test_code_is_that_of_the_commit(here: Project, code: Callable[..., Code]) -> None:
    """Whatever is in the working tree; and Python finds nothing of the working tree beside it."""
    released = code()
    here.write("stages/models.py", "raise SystemExit\n")
    folder = export(released)
    assert (folder / "stages/models.py").read_text(encoding="utf-8") == FILES["stages/models.py"]
    assert folder.is_relative_to(git.folder())
    program = "import stages.parts.sums, stages.deeper; print(stages.deeper.__file__); import stages.other"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={"PYTHONPATH": f"{folder}:{here.path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{folder}/stages/deeper.py\n"
    assert "No module named 'stages.other'" in done.stderr


def test_lock_counts_if_it_pins_the_library(code: Callable[..., Code]) -> None:
    """An environment made from any other lock could not serve."""
    assert code(requirements_txt="numpy==2.4.0\n").lock == ""
    assert code(requirements_txt=LOCK).lock == git.git("hash-object", "requirements.txt")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("", "", None),
        ("perenne==0.1.0", "perenne==0.1.0 # the same", None),
        ("perenne==0.1.0", "perenne==0.1.0 ; python_version >= '3'\nx==1 ; python_version < '3'", None),
        ("perenne==0.1.0", "./.perenne/perenne-0.1.0-py3-none-any.whl[s3,serve] --hash=sha256:cc", None),
        ("numpy==2.4.0", "NumPy==2.5.0", "numpy 2.5.0, installed is 2.4.0"),
        ("perenne==0.1.0", "perenne==0.1.0\nscipy==1.17", "scipy 1.17, which is not installed"),
    ],
)
def test_pinned_sets_are_compared(here: Project, old: str, new: str, why: str | None) -> None:
    """Not the texts of the locks; and what is installed besides does not count."""
    assert unmet(LOCK.replace(old, new).encode(), git.commit("HEAD"), HERE) == why
    assert here.path.exists()


def test_line_that_pins_nothing_is_named() -> None:
    """With what would do."""
    with pytest.raises(PerenneError, match=r"requirements.txt: 'numpy ==' pins no package; such as numpy==2"):
        pins(b"numpy ==\n", "requirements.txt")


def test_version_runs_here_if_code_and_packages_are_the_same(
    code: Callable[..., Code], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise in a new process: of this environment, of the operator's, or of one that has to be made."""
    monkeypatch.setattr(lock_environment, "here", lambda: HERE)
    monkeypatch.setattr(lock_environment, "intact", lambda _: True)
    plain = code(requirements_txt=LOCK)
    operator = HERE.model_copy(update={"versions": HERE.versions | {"numpy": "2.3.0"}})
    place = Succession(plain, operator)
    assert place.place_for(plain, version()) is None
    other = code(stages__deeper_py="x = 3\n")
    assert place.place_for(other, version()) == HERE
    old = code(requirements_txt=LOCK.replace("2.4.0", "2.3.0"))
    assert place.place_for(old, version()) == operator
    assert Succession(Code(old.files), HERE).place_for(Code(old.files), version()) is None


def test_environment_that_was_changed_is_not_used(
    code: Callable[..., Code], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither this process's own nor the operator's, such as `.venv` after a `make repro`: one is made."""
    fresh = HERE.model_copy(update={"python": "fresh"})
    monkeypatch.setattr(lock_environment, "here", lambda: HERE)
    monkeypatch.setattr(lock_environment, "intact", lambda _: False)
    monkeypatch.setattr(lock_environment, "made", lambda *_: fresh)
    plain = code(requirements_txt=LOCK)
    operator = HERE.model_copy(update={"versions": HERE.versions | {"numpy": "2.3.0"}})
    place = Succession(plain, operator)
    assert place.place_for(plain, version()) is None
    assert place.place_for(code(stages__deeper_py="x = 3\n"), version()) == fresh
    assert place.place_for(code(requirements_txt=LOCK.replace("2.4.0", "2.3.0")), version()) == fresh


def test_environment_is_looked_into_again(tmp_path: Path) -> None:
    """By its own interpreter: another version of a package, or no interpreter, is a change."""
    metadata = tmp_path / "leaf-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: leaf\nVersion: 1.0\n")
    found = subprocess.check_output(
        [sys.executable, "-P", "-s", "-c", lock_environment.LOOK], env={"PYTHONPATH": str(tmp_path)}
    )
    now = Environment.model_validate_json(found)
    assert (now.versions["leaf"], now.path) == ("1.0", [str(tmp_path)])
    assert lock_environment.intact(now)
    metadata.write_text("Metadata-Version: 2.1\nName: leaf\nVersion: 1.1\n")
    assert not lock_environment.intact(now)
    assert not lock_environment.intact(now.model_copy(update={"python": str(tmp_path / "python")}))


def test_environment_of_a_lock_is_made_once(here: Project, tmp_path: Path) -> None:
    """With what the lock pins by hash, such as a wheel in the commit; one that fails is not used."""
    wheel = ".perenne/perenne-0.9.0-py3-none-any.whl"
    (here.path / ".perenne").mkdir()
    with ZipFile(here.path / wheel, "w") as archive:
        info = "perenne-0.9.0.dist-info"
        archive.writestr("perenne/__init__.py", "x = 9\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: perenne\nVersion: 0.9.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        record = f"perenne/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        archive.writestr(f"{info}/RECORD", record)
    digest = sha256((here.path / wheel).read_bytes()).hexdigest()
    here.commit("a wheel")
    bad = f"./{wheel} --hash=sha256:{'0' * 64}\n".encode()
    with pytest.raises(PerenneError, match=r"v1: no environment can be made .*: .*[Hh]ash"):
        lock_environment.made(bad, git.commit("HEAD"), "v1")
    lock = f"./{wheel} --hash=sha256:{digest}\n".encode()
    made = lock_environment.made(lock, git.commit("HEAD"), "v1")
    program = "import json, perenne; print(json.dumps([perenne.x, perenne.__file__]))"
    x, file = json.loads(subprocess.check_output([made.python, "-c", program], env={}, cwd=tmp_path))
    assert (x, Path(file).is_relative_to(git.folder())) == (9, True)
    assert unmet(lock, git.commit("HEAD"), made) is None
    assert lock_environment.made(lock, git.commit("HEAD"), "v1") == made
