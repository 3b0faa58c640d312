"""A commit run again from nothing: whether its results are what it says, and what they cost to make."""

from __future__ import annotations

from typing import Literal, NamedTuple

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK
from perenne.registry import verify
from perenne.registry.meter import Cost
from perenne.registry.reproduce import checkout, environment, keep, run

Lock = Literal["as committed", "stale", "not reproducible", "not run"]


class Rerun(NamedTuple):
    """What a rerun has shown.

    `lock` says of `dvc.lock`: it is what the commit makes; it is of another commit, and `made` is the one of
    this; it is not what the commit makes, for the reasons in `findings`; or nothing was run.
    """

    lock: Lock
    findings: tuple[str, ...] = ()
    costs: dict[str, Cost] = {}  # noqa: RUF012 -- nobody changes it
    made: bytes = b""


def current(commit: str) -> bool:
    """Whether the code, params and commands of a commit are those that its lock speaks of; runs no stage."""
    with checkout(commit) as folder:
        env = environment(folder)
        names = verify.stages(folder, env)
        return not verify.stale(folder, env, names) and not verify.gone(folder, names)


def rerun(commit: str) -> Rerun:
    """Run every stage of a commit in a clone of its own, and prove its results as `verify` does.

    What it makes is in DVC's cache afterwards, so that nobody has to make it once more to judge it.
    """
    with checkout(commit) as folder:
        env = environment(folder)
        names = verify.stages(folder, env)
        stale = bool(verify.stale(folder, env, names))
        exempt = verify.exempt(folder)
        if exempt:
            return Rerun("not reproducible", tuple(exempt))
        try:
            costs = run(folder, env)
        except PerenneError as error:
            return Rerun("not reproducible", (f"the pipeline fails: {error}",))
        made = (folder / LOCK).read_bytes()
        findings = [] if stale else verify.differences(git.show(commit, LOCK), made)
        findings += verify.other_data(folder, commit) + verify.mixed(folder) + verify.gone(folder, names)
        if not findings:
            keep(folder, env)
            findings = verify.dependent(folder, env, commit)
    lock: Lock = "not reproducible" if findings else "stale" if stale else "as committed"
    return Rerun(lock, tuple(findings), costs, made)


def bring(made: bytes) -> None:
    """Put a commit's results into the working tree, and a reproduced lock in place of a stale one.

    Raises
    ------
    PerenneError
        If something lies there that neither the cache nor the lock knows: it would be lost.

    """
    if made and made != LOCK.read_bytes():
        LOCK.write_bytes(made)
    _checkout()


def pull() -> None:
    """Bring what the lock of the working tree names, from the cache or the remote: nothing is run."""
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            repo.pull()
    except Exception as error:  # whatever a file system or a server can raise
        raise PerenneError(f"{LOCK}: not all that it names can be had: {_line(error)}") from error


def _checkout() -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            repo.checkout()
    except DvcException as error:
        raise PerenneError(
            f"data/: what lies there is in no cache: dvc commit keeps it, or remove it: {_line(error)}"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
