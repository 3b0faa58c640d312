"""A commit rerun in a clean clone: whether its results are reproducible, and what each stage costs."""

from __future__ import annotations

from typing import NamedTuple

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK
from perenne.documents.review import LockState
from perenne.registry import dag, verify
from perenne.registry.meter import Cost
from perenne.registry.parts import mixed
from perenne.registry.reproduce import checkout, environment, keep
from perenne.registry.workspace import line


class Rerun(NamedTuple):
    """The result of a rerun.

    `lock` is the state of `dvc.lock`: `as committed`, the rerun makes the same; `stale`, it is of another
    commit, and `made` is the right one; `not reproducible`, for the reasons in `findings`; or `not run`.
    """

    lock: LockState
    findings: tuple[str, ...] = ()
    costs: dict[str, Cost] = {}  # noqa: RUF012 -- nobody changes it
    made: bytes = b""


def current(commit: str) -> bool:
    """Return whether a commit's lock is of its own code, params and commands; no stage is run.

    Raises
    ------
    PerenneError
        If the commit cannot be checked out, its inputs are unavailable, or its environment cannot be made.

    """
    with checkout(commit) as folder:
        pipeline = dag.read(folder)
        if verify.exempt(folder, pipeline) or verify.gone(folder, pipeline):
            return False
        return not verify.stale(folder, environment(folder), pipeline)


def rerun(commit: str) -> Rerun:
    """Run every stage of a commit in a clean clone, and prove its results as `verify` does.

    Its outputs are put into DVC's cache, so that the gate can use them, unless something differs.

    Parameters
    ----------
    commit
        The commit. Its code is run with the rights of the user.

    Returns
    -------
    Rerun
        A pipeline that fails is `not reproducible`, not an error.

    Raises
    ------
    PerenneError
        If the commit cannot be checked out, its inputs are unavailable, its environment cannot be made, or no
        stage makes the model.

    """
    with checkout(commit) as folder:
        try:
            pipeline = dag.read(folder)
            exempt = verify.exempt(folder, pipeline)
        except PerenneError as error:
            return Rerun("not reproducible", (str(error),))
        if exempt:
            return Rerun("not reproducible", tuple(exempt))
        env = environment(folder)
        stale = bool(verify.stale(folder, env, pipeline))
        try:
            costs = verify.rerun(folder, env, pipeline)
        except PerenneError as error:
            return Rerun("not reproducible", (f"the pipeline fails: {error}",))
        made = (folder / LOCK).read_bytes()
        findings = [] if stale else verify.differences(git.show(commit, LOCK), made)
        findings += verify.other_data(folder, commit) + mixed(folder) + verify.gone(folder, pipeline)
        if not findings:
            keep(folder, env)
            findings = verify.dependent(folder, env, commit)
    lock: LockState = "not reproducible" if findings else "stale" if stale else "as committed"
    return Rerun(lock, tuple(findings), costs, made)


def bring(made: bytes) -> None:
    """Put a commit's results into the working tree, and a reproduced lock in place of a stale one.

    Parameters
    ----------
    made
        The text of `dvc.lock` that the rerun made; empty: the lock stays as it is.

    Raises
    ------
    PerenneError
        If a file there is neither in the cache nor in the lock: it would be lost.

    """
    if made and made != LOCK.read_bytes():
        LOCK.write_bytes(made)
    _checkout()


def bring_inputs(*, fetching: bool = True) -> str:
    """Bring the data of the working tree's `.dvc` files into the cache and the tree; no stage is run.

    Without `fetching` the cache must have them: the remote is not asked. Return why that fails, as a clause:
    whoever needs them says which.
    """
    from dvc.repo import Repo

    targets = [name for name in git.git("ls-files", "-z", "--", "*.dvc").split("\0") if name]
    try:
        with Repo() as repo:
            if targets and fetching:
                repo.fetch(targets=targets)
            if targets:
                repo.checkout(targets=targets)
    except Exception as error:  # whatever a file system or a server can raise  # noqa: BLE001
        return f"; some of its inputs are unavailable: {line(error)}"
    return ""


def pull() -> None:
    """Get the outputs that the working tree's lock names from the cache or the remote; no stage is run.

    Raises
    ------
    PerenneError
        If an output is unavailable.

    """
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            repo.pull()
    except Exception as error:  # whatever a file system or a server can raise
        raise PerenneError(f"{LOCK}: some of its outputs are unavailable: {line(error)}") from error


def _checkout() -> None:
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            repo.checkout()
    except Exception as error:  # whatever DVC makes of a text that somebody else wrote
        raise PerenneError(
            f"data/: a file there is in no cache: dvc commit keeps it, or remove it: {line(error)}"
        ) from error
