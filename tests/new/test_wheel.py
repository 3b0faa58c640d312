"""The wheel of the library that is running: of a development install, and of any other."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.new import template
from perenne.new.template import Template
from perenne.new.wheel import of_library
from tests.project import ROOT, Project

PACK = "from pathlib import Path; from perenne.new import wheel; print(wheel.of_library(Path('out')))"


def members(wheel: Path) -> dict[str, bytes]:
    """Return the files in a wheel, without the list of them."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def uv(*arguments: str | Path) -> None:
    """Run the uv of this environment, without the network."""
    subprocess.run([Path(sys.executable).with_name("uv"), "--quiet", "--offline", *arguments], check=True)


def test_same_sources_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    """Another folder, another time: two projects pin one hash."""
    again = of_library(tmp_path)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_building_leaves_nothing_beside_the_wheel(tmp_path: Path) -> None:
    """Neither there nor among the sources of a development install."""
    before = set(ROOT.iterdir())
    built = of_library(tmp_path)
    assert list(tmp_path.iterdir()) == [built]
    assert set(ROOT.iterdir()) <= before


def test_development_install_is_built_as_it_is_now(wheel: Path) -> None:
    """Every file of the library is in it, with the bytes of the source."""
    found = members(wheel)
    for path in (ROOT / "stages" / "perenne").rglob("*.py"):
        assert found[f"perenne/{path.relative_to(ROOT / 'stages' / 'perenne')}"] == path.read_bytes()


def test_installed_library_is_packed_again(made: Template, wheel: Path, workplace: Project) -> None:
    """What was installed from a wheel gives the same wheel but for its dates, and it can be installed."""
    uv("venv", "--python", sys.executable, workplace.path / "venv")
    (site,) = workplace.path.glob("venv/lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = workplace.path / "venv" / "bin" / "python"
    uv("pip", "install", "--python", python, "--no-deps", "--compile-bytecode", wheel)
    (workplace.path / "out").mkdir()
    packed = workplace.out(f'{python} -P -c "{PACK}"', PYTHONPATH="")
    again = workplace.path / packed.strip()
    assert again.name == wheel.name
    assert members(again) == members(wheel)
    assert template.of_wheel(again).files == made.files
    uv("pip", "install", "--python", python, "--no-deps", "--reinstall", again)
    assert (
        workplace.out(f"{python.with_name('perenne')} --version", PYTHONPATH="")
        == f"perenne {made.version}\n"
    )


def test_library_that_is_not_installed_has_no_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names the option that does."""

    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("perenne.new.wheel.distribution", missing)
    with pytest.raises(PerenneError, match="perenne is not installed, so it has no wheel; --wheel FILE"):
        of_library(tmp_path)


def test_build_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In one line, with the folder of the sources."""
    broken = tmp_path / "broken"
    (broken / "stages" / "perenne").mkdir(parents=True)
    for name in ("README.md", "LICENSE"):
        (broken / name).write_text("")
    (broken / "pyproject.toml").write_text("[project")
    monkeypatch.setattr("perenne.new.wheel._editable", lambda _: broken)
    (tmp_path / "out").mkdir()
    with pytest.raises(PerenneError, match=r"no wheel can be built of .*broken: .*; --wheel FILE") as raised:
        of_library(tmp_path / "out")
    assert "\n" not in str(raised.value)
