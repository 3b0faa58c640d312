"""A second working tree for a retraining, so that the user's own is never changed.

There is one at a time in a repository, held by a lock that ends with its process. The next one removes what a
killed process left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from perenne.common import git, sections
from perenne.common.errors import PerenneError
from perenne.common.names import INCOMING
from perenne.registry import reproduce

PLACE = Path("perenne", "retrain")  # in the Git folder that all worktrees share


@contextmanager
def opened(commit: str) -> Iterator[Path]:
    """Make the project at a commit the current folder, with this project's cache, remotes and inputs.

    Parameters
    ----------
    commit
        What is checked out.

    Yields
    ------
    The folder of the project in the second working tree, which is removed afterwards.

    Raises
    ------
    PerenneError
        If another process has it open.

    """
    here, below = Path.cwd(), git.git("rev-parse", "--show-prefix")
    with _alone():
        top = git.folder() / PLACE
        _remove(top)
        try:
            git.git("worktree", "add", "--quiet", "--detach", str(top), commit)
            folder = top / below
            reproduce.bring_inputs(folder, own_cache=False)
            _copy_inputs(here / INCOMING / sections.case(commit), here, folder)
            with _absolute(), chdir(folder):
                yield folder
        finally:
            _remove(top)


def fresh(commit: str) -> None:
    """Check out a commit in the worktree that is the current folder, and discard all changes in it."""
    git.git("checkout", "--quiet", "--force", "--detach", commit)


@contextmanager
def _alone() -> Iterator[None]:
    path = git.folder() / "perenne-retrain.lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PerenneError(f"{path}: another retraining is running here; wait for it") from None
        yield


@contextmanager
def _absolute() -> Iterator[None]:
    """Make remotes that are relative paths work from the other worktree too."""
    before, top = dict(os.environ), Path(git.git("rev-parse", "--show-toplevel"))
    count = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    for name in git.git("remote").splitlines():
        url = git.git("remote", "get-url", name)
        if "://" not in url and not Path(url).is_absolute() and (top / url).exists():
            key = f"url.{(top / url).resolve()}.insteadOf"
            os.environ |= {f"GIT_CONFIG_KEY_{count}": key, f"GIT_CONFIG_VALUE_{count}": url}
            count += 1
    os.environ["GIT_CONFIG_COUNT"] = str(count)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _remove(top: Path) -> None:
    shutil.rmtree(top, ignore_errors=True)
    git.git("worktree", "prune")


def _copy_inputs(incoming: Path, here: Path, folder: Path) -> None:
    """Copy incoming files that are in no commit yet: the retraining uses them too."""
    for path in sorted(incoming.rglob("*")):
        to = folder / path.relative_to(here)
        if path.is_file() and not (to.exists() and to.read_bytes() == path.read_bytes()):
            to.parent.mkdir(parents=True, exist_ok=True)
            to.unlink(missing_ok=True)  # it may be a link into DVC's cache
            shutil.copyfile(path, to)
