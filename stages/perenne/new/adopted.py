"""The one place where a project is given a case: what `perenne adopt` does, in the current folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from perenne.adopt import adopt as steps
from perenne.adopt import flow
from perenne.adopt.wishes import Wishes
from perenne.common.errors import PerenneError
from perenne.common.params import read_params

OPTION = re.compile(r"(?<!\S)--(\w+)")  # that an error asks for


class Case(NamedTuple):
    """Files to make a case of, absolute, and what the user has said of them; `files`: their names."""

    paths: list[Path]
    files: str
    target: str | None
    time: str | None


def case(given: list[Path], target: str | None, time: str | None) -> Case | None:
    """What is to be adopted; None if no file is given.

    Raises
    ------
    PerenneError
        If a file is not there, or columns are named without one.

    """
    if not given:
        if target or time:
            raise PerenneError("--target and --time name columns of a file: --from FILE says which")
        return None
    paths = [path.resolve() for path in steps.listed(given)]
    return Case(paths, ", ".join(f"`{path.name}`" for path in given), target, time)


def adopt(case: Case) -> None:
    """Make a case of the files, and its params those of the project; the pipeline is not run.

    Raises
    ------
    PerenneError
        If something cannot be read or told. What only an option of `perenne adopt` would tell, that can.

    """
    wishes = flow.checked(Wishes(target=case.target, time=case.time))
    try:
        flow.adopt(case.paths, wishes, run=False)
    except PerenneError as error:
        others = set(OPTION.findall(str(error))) - {"target", "time"}
        if not others:
            raise
        raise PerenneError(
            f"{error}; perenne new has no such option: leave out --from, and run perenne adopt in the project"
        ) from None


def reproduce() -> str:
    """Run the pipeline on the case, and return a line that says how it went."""
    steps.repro()
    return steps.summary(read_params().case)
