"""The steps of `perenne new`: a new repository, or what is missing in one that is there."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

from perenne.common import git
from perenne.common.contract import read_contract
from perenne.common.errors import PerenneError
from perenne.common.names import PARAMS
from perenne.common.params import read_params
from perenne.new import commits, template
from perenne.new.adopted import Case, adopt
from perenne.new.template import Answers, Template

NO_CASE = (
    "There is no case yet: `perenne adopt FILES --target COLUMN --time COLUMN` makes one, with the contract\n"
    "in `data/cases/` and `params.yaml`. Then say here what is predicted, for whom, and from what."
)


class Begun(NamedTuple):
    """A project: which files of the template were added, and which were left, being there already."""

    folder: Path
    added: list[str]
    left: list[str]


def free(folder: Path) -> bool:
    """Whether a folder gets a repository of its own; False if it is the root of one already.

    Raises
    ------
    PerenneError
        If it is a file, not empty, or inside of another repository.

    """
    here = next(path for path in (folder, *folder.parents) if path.exists())
    if not here.is_dir():
        raise PerenneError(f"{here}: is a file; give a folder that is not there yet")
    with chdir(here):
        top = (
            git.git("rev-parse", "--show-toplevel") if git.succeeds("rev-parse", "--show-toplevel") else None
        )
    if top is None:
        if here == folder and any(folder.iterdir()):
            raise PerenneError(
                f"{folder}: not empty; use another folder, or git init and perenne new . there"
            )
        return True
    if Path(top) != folder:
        raise PerenneError(f"{folder}: lies in the repository {top}; use a folder outside of it, or its root")
    return False


def create(folder: Path, made: Template, case: Case | None) -> Begun:
    """Make a project with a repository of its own; if that fails, nothing of it is left.

    Parameters
    ----------
    folder
        Absolute; empty, or not there.
    made
        The template.
    case
        What to adopt; None: nothing yet.

    """
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with chdir(folder):
            commits.identity()
            git.git("init", "--quiet", "--initial-branch=main")
            files = template.filled(made, Answers(name=folder.name, about=NO_CASE))
            _write(files)
            if case:
                adopt(case)
                files = template.filled(made, Answers(name=folder.name, about=about(case)))
                _write(files)
            git.git("update-ref", "HEAD", commits.commit(files, made.version))
            git.git("reset", "--quiet")
            if case:
                git.git("add", "--all")
                git.git("commit", "--quiet", "--message", f"Adopt {read_params().case}")
    except BaseException:
        _empty(folder)
        if not was_there:
            folder.rmdir()
        raise
    return Begun(folder, sorted(files), [])


def add(folder: Path, made: Template, case: Case | None) -> Begun:
    """Add to a repository what it lacks, in a commit of its own; nothing that is there is touched.

    What the template generated is the second parent of this commit, for upgrades. A case that is adopted is
    left to its owner to commit.
    """
    with chdir(folder):
        commits.identity()
        before = commits.newest()
        if before:
            raise PerenneError(
                f"{folder}: has the template of perenne {before.version} already; perenne upgrade renews it"
            )
        files = template.filled(made, Answers(name=folder.name, about=NO_CASE))
        missing = {path: content for path, content in files.items() if _missing(Path(path))}
        _write(missing)
        try:
            if case:
                adopt(case)
        except BaseException:
            for path in missing:
                Path(path).unlink(missing_ok=True)
            raise
        generated = commits.commit(files, made.version)
        head = git.commit("HEAD") if git.succeeds("rev-parse", "--verify", "--quiet", "HEAD") else None
        parents = [head, generated] if head else [generated]
        message = f"Add what the template of perenne {made.version} has\n"
        git.git("update-ref", "HEAD", commits.write(commits.tree(missing, onto=head), message, *parents))
        commits.stage(missing)
    return Begun(folder, sorted(missing), sorted(files.keys() - missing.keys()))


def about(case: Case) -> str:
    """What the adopted case predicts, for the README."""
    name = read_params(PARAMS).case
    contract = read_contract(name)
    return (
        f"It predicts `{contract.target}` ({contract.task}) from {case.files}, "
        f"in batches of a {contract.period}.\n"
        f"The contract `data/cases/{name}/contract.yaml` says what a row is."
    )


def keep_results() -> None:
    """Commit what `dvc repro` has made in the new project that is the current folder."""
    git.git("add", "--all")
    git.git("commit", "--quiet", "--message", f"Reproduce {read_params().case}")


def next_step(folder: Path, *, has_case: bool) -> str:
    """What to do with a project that was made."""
    first = "make repro" if has_case else "perenne adopt FILES --target COLUMN --time COLUMN"
    return f"{folder} is a project of yours; next: cd {shlex.quote(str(folder))} && {first}"


def _missing(path: Path) -> bool:
    """Whether a file can be added without touching anything that is there."""
    return not os.path.lexists(path) and all(
        parent.is_dir() and not parent.is_symlink() for parent in path.parents if os.path.lexists(parent)
    )


def _write(files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
