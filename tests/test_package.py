"""The wheel and the sdist: what is in them, and what an installation makes importable.

The environments are real. Their dependencies are those of this one, by a path file: only the folder of the
packages is on it, not the finder of the development install.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from perenne.common import extras
from tests.project import ROOT, Project, clone

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = PROJECT["version"]


def uv(*arguments: str | Path) -> None:
    """Run the uv of this environment, without the network."""
    subprocess.run([Path(sys.executable).with_name("uv"), "--quiet", "--offline", *arguments], check=True)


@dataclass(frozen=True)
class Environment:
    """A virtual environment with nothing of ours, and the dependencies of this one."""

    folder: Path

    @property
    def site(self) -> Path:
        """The folder that packages are installed to."""
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def pip(self, *arguments: str | Path) -> None:
        """Install or uninstall, offline and without dependencies."""
        action, *rest = arguments
        uv("pip", action, "--python", self.folder / "bin" / "python", *rest)

    def run(self, where: Project, command: str, status: int = 0) -> str:
        """Run a command in a project with this environment's Python, and return what it prints."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = where.run(command, status=status, PATH=path, PYTHONPATH="")
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a clone with a tag of the package, its wheel and its sdist built. Shared."""
    project = clone(tmp_path_factory.mktemp("package") / "perenne")
    (project.path / ".venv").symlink_to(Path(sys.prefix))
    assert project.run("make -q venv", status=None).returncode == 0, (
        "the environment is not the lock's: make dev"
    )
    project.run(f"git tag -a -m release v{VERSION}")
    project.run("make dist", PYTHONPATH="")
    return project


@pytest.fixture(scope="module")
def wheel(project: Project) -> Path:
    """Return our wheel."""
    (found,) = (project.path / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of another package with a top-level folder `stages` and a module `train` in it."""
    folder = tmp_path_factory.mktemp("foreign")
    source = Project(folder / "source")
    source.write("stages/__init__.py", "WHOSE = 'foreign'\n")
    source.write("stages/train.py", "WHOSE = 'foreign'\n")
    source.write(
        "pyproject.toml",
        '[project]\nname = "foreign"\nversion = "1"\n'
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[tool.setuptools]\npackages = ["stages"]\n',
    )
    options: list[str | Path] = [
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        folder,
    ]
    uv("build", *options, source.path)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Return a new virtual environment."""
    uv("venv", "--python", sys.executable, tmp_path / "venv")
    environment = Environment(tmp_path / "venv")
    (environment.site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return environment


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """Return an empty folder."""
    (tmp_path / "empty").mkdir()
    return Project(tmp_path / "empty")


# What is in them.


def test_wheel_holds_perenne_and_nothing_else(project: Project, wheel: Path) -> None:
    """Every file of the library that is in Git is in the wheel; beside it there is only the metadata."""
    library = {name.removeprefix("stages/") for name in project.out("git ls-files stages/perenne").split()}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {"perenne/py.typed", "perenne/serving/Dockerfile", "perenne/serving/requirements.txt"} <= names
    assert names == library


def test_metadata_is_complete(wheel: Path) -> None:
    """It says what the package is, for which Pythons, under which licence and that it has types."""
    with zipfile.ZipFile(wheel) as archive:
        info = f"perenne-{VERSION}.dist-info"
        metadata = Metadata.from_email(archive.read(f"{info}/METADATA"))
        assert archive.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert (metadata.name, str(metadata.version)) == ("perenne", VERSION)
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.description == (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(metadata.provides_extra or []) == set(PROJECT["optional-dependencies"])
    classifiers = metadata.classifiers or []
    assert "Typing :: Typed" in classifiers
    supported = SpecifierSet(PROJECT["requires-python"])
    listed = [c.rpartition(" ")[2] for c in classifiers if re.search(r"Python :: 3\.\d+$", c)]
    assert listed == [f"3.{minor}" for minor in range(30) if f"3.{minor}" in supported]


def test_same_commit_gives_the_same_bytes(project: Project, tmp_path: Path) -> None:
    """No byte depends on the folder, the time, the user's umask or on files that no commit holds."""
    other = Project(tmp_path / "elsewhere")
    project.run(f"git clone -q . {other.path}")
    (other.path / ".venv").symlink_to(Path(sys.prefix))
    other.write("stages/perenne/stray.py", "")
    other.write("stages/perenne/cli.py", other.read("stages/perenne/cli.py") + "\n")
    built = other.run("umask 077 && make dist", PYTHONPATH="", TZ="Asia/Tokyo")
    assert built.stderr == (
        "not in the build, because no commit holds it:\n"
        " M stages/perenne/cli.py\n?? stages/perenne/stray.py\n"
    )
    first, second = (
        {path.name: path.read_bytes() for path in (folder.path / "dist").iterdir()}
        for folder in (project, other)
    )
    assert first.keys() == {f"perenne-{VERSION}-py3-none-any.whl", f"perenne-{VERSION}.tar.gz"}
    assert first == second


def test_sdist_builds_the_wheel(project: Project, wheel: Path, tmp_path: Path) -> None:
    """Unpacked anywhere, it gives the same wheel, with any tool that builds Python packages."""
    with tarfile.open(project.path / "dist" / f"perenne-{VERSION}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = Project(tmp_path / f"perenne-{VERSION}")
    date = project.out("git log -1 --format=%ct").strip()
    backend = "from setuptools import build_meta; build_meta.build_wheel('.')"
    unpacked.run(f"umask 022 && {sys.executable} -P -c {backend!r}", SOURCE_DATE_EPOCH=date, PYTHONPATH="")
    assert (unpacked.path / wheel.name).read_bytes() == wheel.read_bytes()


# What a release of the package checks.

CHANGELOG = (ROOT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("shown", "tag", "changelog", "error"),
    [
        (f"perenne {VERSION}", f"v{VERSION}", CHANGELOG, None),
        (f"perenne {VERSION}", "v99.0.0", CHANGELOG, "the tag is v99.0.0, but the wheel is perenne"),
        ("perenne (version unknown)", f"v{VERSION}", CHANGELOG, "change the version in pyproject.toml"),
        ("perenne 99.0.0", "v99.0.0", CHANGELOG, r"CHANGELOG.md: no section for \[99.0.0\]"),
        ("perenne 9.0", "v9.0", "# Changelog\n\n## [9.0] - 2030-01-01\n", None),
        ("perenne 9.0", "v9.0", "# Changelog\n\n## [9.0.1] - 2030-01-01\n", "no section"),
    ],
)
def test_version_tag_and_changelog_must_agree(
    shown: str, tag: str, changelog: str, error: str | None
) -> None:
    """What `perenne --version` prints is the tag's version, and the changelog has a dated section for it."""
    agree = runpy.run_path(str(ROOT / ".ci" / "dist.py"))["agree"]
    with pytest.raises(SystemExit, match=error) if error else nullcontext():
        agree(shown, tag, changelog)


def test_changelog_keeps_its_form() -> None:
    """What is not released comes first, then the newest version; groups have the names of the form."""
    sections = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    released = [re.fullmatch(r"\[(\S+)\] - \d{4}-\d\d-\d\d", section) for section in sections[1:]]
    versions = [Version(match[1]) for match in released if match]
    assert len(versions) == len(released)
    assert versions == sorted(set(versions), reverse=True)
    assert versions[0] == Version(VERSION)
    groups = set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE))
    assert groups <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


# Beside another package that has a folder `stages`.

WHOSE = "python -P -c 'import stages, stages.train; print(stages.WHOSE, stages.train.WHOSE)'"
OURS = "python -P -c 'import perenne; print(perenne.__file__)'"
MISSING = "python -P -c 'import {name}'"


def foreign_works(environment: Environment, empty: Project) -> None:
    """Check that the other package's modules are its own."""
    assert environment.run(empty, WHOSE) == "foreign foreign\n"


def ours_works(environment: Environment, empty: Project, project: Project) -> None:
    """Check that `perenne` is that of the wheel, and that the command runs, in a clone of the project too."""
    assert environment.run(empty, OURS) == f"{environment.site / 'perenne' / '__init__.py'}\n"
    for folder in (empty, project):
        assert environment.run(folder, "perenne --version") == f"perenne {VERSION}\n"
    models = environment.run(project, "perenne models")
    assert models.strip()
    assert VERSION not in models, "the tag of a package is not a model's"


@pytest.mark.parametrize("removed", ["perenne", "foreign"])
@pytest.mark.parametrize("order", list(permutations(["perenne", "foreign"])), ids="-".join)
def test_two_packages_leave_each_other_alone(
    order: tuple[str, str],
    removed: str,
    environment: Environment,
    empty: Project,
    project: Project,
    wheel: Path,
    foreign: Path,
) -> None:
    """In either order of install and of uninstall both work, and what is left works on."""
    wheels = {"perenne": wheel, "foreign": foreign}
    for name in order:
        environment.pip("install", "--no-deps", wheels[name])
    foreign_works(environment, empty)
    ours_works(environment, empty, project)
    environment.pip("uninstall", removed)
    if removed == "perenne":
        foreign_works(environment, empty)
        assert "No module named 'perenne'" in environment.run(empty, MISSING.format(name="perenne"), 1)
    else:
        ours_works(environment, empty, project)
        assert "No module named 'stages'" in environment.run(empty, MISSING.format(name="stages"), 1)


@pytest.mark.parametrize("own_library", [True, False], ids=["Perenne itself", "a project of one's own"])
def test_stages_of_a_project_are_its_own(
    environment: Environment,
    project: Project,
    wheel: Path,
    foreign: Path,
    tmp_path: Path,
    *,
    own_library: bool,
) -> None:
    """`python -m stages.X` runs the project's file, with the library beside it or else the wheel's."""
    for each in (foreign, wheel):
        environment.pip("install", "--no-deps", each)
    mine = project.copy(tmp_path / "mine")
    if not own_library:
        mine.run("rm -r stages/perenne")
    library = mine.path / "stages" if own_library else environment.site
    mine.edit(r"^  scale: .*", "  scale: 0.02")
    mine.write("stages/mine.py", "import perenne\nprint(__file__, perenne.__file__)\n")
    assert environment.run(mine, "python -m stages.mine") == (
        f"{mine.path}/stages/mine.py {library}/perenne/__init__.py\n"
    )
    environment.run(mine, "python -m stages.ingest")
    assert list((mine.path / "data" / "raw").glob("*.parquet"))


# Ways to install that the README names.


def test_a_repository_and_a_tag_install(environment: Environment, empty: Project, project: Project) -> None:
    """The pip command of the README, and of the error for a missing extra, installs the library."""
    (source,) = re.findall(r"pip install '(.*)'", extras.install("serve"))
    assert f'pip install "{source}"' in (ROOT / "README.md").read_text(encoding="utf-8")
    source = source.replace("REPOSITORY_URL", f"file://{project.path}").replace("TAG", f"v{VERSION}")
    environment.pip("install", "--no-deps", "--no-build-isolation", source)
    ours_works(environment, empty, project)


def test_development_install_brings_perenne_alone(empty: Project) -> None:
    """Elsewhere than in the project, neither its stages nor its tests can be imported."""
    names = ["perenne", "stages", "tests", *sorted(path.stem for path in ROOT.glob("stages/[!_]*.py"))]
    empty.write(
        "look.py",
        "import json, sys\nfrom importlib.util import find_spec as find\n"
        "print(json.dumps({name: find(name) and find(name).origin for name in sys.argv[1:]}))",
    )
    shown = empty.out(f"{sys.executable} -P look.py {' '.join(names)}", PYTHONPATH="")
    origins: dict[str, str | None] = json.loads(shown)
    assert Path(str(origins["perenne"])) == ROOT / "stages" / "perenne" / "__init__.py"
    assert (origins["stages"], origins["train"], origins["split"]) == (None, None, None)
    # Another package may well have a `validate` of its own.
    assert [
        name
        for name, origin in origins.items()
        if str(origin).startswith((f"{ROOT}/stages/", f"{ROOT}/tests/"))
    ] == ["perenne"]
