"""A project of one's own as a newcomer makes it: `perenne new` on a file, and a place to push it to."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest

from perenne.new.wheel import of_library
from tests.conftest import once
from tests.project import Project

NAME = "my case"  # of its folder
DAYS, ROWS = 240, 6  # of the visits: some eight months of 180


def visits(first: int = 0, days: int = DAYS, rows: int = ROWS, larger: float = 0.8) -> str:
    """Return a CSV in which visits of more than 5 win so often, and others the less; from some day on."""
    random = Random(first)  # noqa: S311 -- made-up rows
    lines = ["day,size,colour,won"]
    for day in range(first, first + days):
        for _ in range(rows):
            size, colour = round(random.uniform(0, 10), 1), random.choice(["red", "blue"])
            won = int(random.random() < (larger if size > 5 else 1 - larger))
            lines.append(f"{date(2024, 1, 1) + timedelta(day)},{size},{colour},{won}")
    return "\n".join([*lines, ""])


def wheel(factory: pytest.TempPathFactory) -> Path:
    """Return a wheel of the library as it is now. Shared."""

    def make(folder: Path) -> None:
        folder.mkdir()
        of_library(folder)

    (found,) = once(factory, "wheel", make).glob("*.whl")
    return found


def own(factory: pytest.TempPathFactory, to: Path) -> Project:
    """Return a copy of a project with a case, reproduced, committed, and pushed to a bare origin beside it.

    What `perenne new` has said is in `desk/said.txt`, beside it too.
    """
    shutil.copytree(once(factory, "own", partial(_make, wheel(factory))), to, symlinks=True)
    return Project(to / NAME)


def _make(wheel: Path, folder: Path) -> None:
    desk = Project(folder / "desk")
    desk.write("visits.csv", visits())
    desk.run(f"perenne new '../{NAME}' --wheel {wheel} --from visits.csv --target won --time day > said.txt")
    project = Project(folder / NAME)
    project.run("git init -q --bare -b main ../origin.git && git remote add origin ../origin.git")
    project.run("dvc push -q && git push -q -u origin main")
