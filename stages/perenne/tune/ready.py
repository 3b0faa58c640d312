"""What must be so before a search begins: its data current, and its result able to become one commit."""

from __future__ import annotations

from collections.abc import Mapping

from perenne.common import git, locked
from perenne.common.errors import PerenneError
from perenne.common.names import PARAMS, TRAIN
from perenne.registry.workspace import line

RUN = "run dvc repro first"


def must_be_current() -> None:
    """Refuse data that the params, the contract and the batches as they stand would not give.

    Only what leads to the training rows counts. The holdout may be another one, or absent.

    Raises
    ------
    PerenneError
        Says what changed, and what to run.

    """
    if not TRAIN.is_file():
        raise PerenneError(f"{TRAIN}: no such file; {RUN}")
    lock = locked.load()
    stages = lock.behind(TRAIN)
    if not stages:
        raise PerenneError(f"{TRAIN}: no stage of dvc.lock makes it; {RUN}")
    changed = [what for stage, changes in _status(stages).items() for what in _changed(stage, changes)]
    if changed:
        raise PerenneError(f"{TRAIN}: not of these params, code and data ({', '.join(changed)}); {RUN}")


def _status(stages: list[str]) -> Mapping[str, list[object]]:
    """What DVC says of some stages, by stage."""
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            status: Mapping[str, list[object]] = repo.status(targets=stages)
    except Exception as error:  # whatever DVC makes of files that somebody edited
        raise PerenneError(f"dvc status: {line(error)}") from error
    return status


def _changed(stage: str, changes: list[object]) -> list[str]:
    """What changed of a stage, as texts."""
    found = []
    for change in changes:
        if not isinstance(change, dict):
            found.append(f"{stage}: {change}")
            continue
        # What was not fetched cannot have changed. Of the outputs, only one is read.
        deps = change.get("changed deps", {}).items()
        found += [f"{stage}: {_named(dep, how)}" for dep, how in deps if how != "deleted"]
        found += [path for path in change.get("changed outs", {}) if path == str(TRAIN)]
    return found


def _named(dep: str, how: object) -> str:
    """A dep, or the keys of a file of params."""
    return ", ".join(how) if isinstance(how, dict) else dep


def must_be_clean() -> None:
    """Refuse a working tree whose result could not be a commit of params.yaml alone.

    Raises
    ------
    PerenneError
        Names a file that is not committed, or says that there is no branch.

    """
    changed = git.changes()
    if changed:
        raise PerenneError(
            f"{changed[0]}: not committed ({len(changed)} file(s) in all); the result is one commit of "
            f"{PARAMS}: commit them first, or try with --dry-run"
        )
    if not git.git("branch", "--show-current"):
        raise PerenneError("git: no branch is checked out, so the result would be lost; git switch -c NAME")
