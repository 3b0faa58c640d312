"""The container's entry point: clones the repository into the writable folder, and serves from there.

python -m perenne.serving.container [OPTIONS of perenne serve]
python -m perenne.serving.container healthy
"""

from __future__ import annotations

import os
import shutil
import sys
import urllib.request
from pathlib import Path

from perenne.common import git
from perenne.common.errors import PerenneError, run

REPO = Path("repo")  # in the current folder, the only one that persists
PARTIAL = Path("repo.partial")  # beside it, until the clone is whole
PORT = 8000
HEALTHY = "healthy"


def command(options: list[str]) -> list[str]:
    """Clone the repository unless it is here, change into it, and return the command that serves it.

    Parameters
    ----------
    options
        More options of `perenne serve`; they come last, so they win.

    Returns
    -------
    list of str
        The program and its arguments.

    Raises
    ------
    PerenneError
        If PERENNE_REPO is not set, or the repository cannot be cloned.

    """
    if not _is_whole(REPO):
        url = os.environ.get("PERENNE_REPO")
        if not url:
            raise PerenneError(
                "PERENNE_REPO: not set; set it to the URL of the repository whose model is served"
            )
        _clone(url)
    _unlock(REPO)
    os.chdir(REPO)
    log = os.environ.get("PERENNE_LOG_URL") or f"sqlite:///{Path.cwd().parent}/predictions.sqlite"
    where = ["--host", "0.0.0.0", "--port", str(PORT), "--log-url", log]  # noqa: S104 -- the container's own
    return [sys.executable, "-P", "-m", "perenne.cli", "serve", *where, *options]


def _is_whole(repo: Path) -> bool:
    """Whether a folder is a repository with a commit: a clone that was killed has none checked out."""
    return (repo / ".git").exists() and git.succeeds(
        "-C", str(repo), "rev-parse", "--verify", "--quiet", "HEAD"
    )


def _clone(url: str) -> None:
    """Clone beside the folder and rename: whatever is killed on the way leaves nothing that looks whole."""
    for half in (PARTIAL, *([REPO] if (REPO / ".git").exists() else [])):
        if half.exists():
            shutil.rmtree(half)
    git.git("clone", "--quiet", url, str(PARTIAL))
    try:
        PARTIAL.rename(REPO)
    except OSError as error:
        raise PerenneError(
            f"{REPO.resolve()}: {error.strerror}, and it is not a repository; remove it"
        ) from error


def _unlock(repo: Path) -> None:
    """Remove the locks that a killed fetch has left, since nobody else uses this repository.

    No ref and no file of Git's own ends so except a lock.
    """
    for lock in (repo / ".git").rglob("*.lock"):
        lock.unlink()


def healthy() -> None:
    """Check that the service answers on `PORT` of this machine.

    Raises
    ------
    OSError
        If it does not answer within 4 seconds, or its status is an error.

    """
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=4):
        pass


def main() -> None:
    """Run the command line."""
    options = sys.argv[1:]
    if options == [HEALTHY]:
        healthy()
        return
    serve = command(options)
    os.execv(serve[0], serve)  # noqa: S606 -- no shell; the service gets the container's signals


if __name__ == "__main__":
    run(main)
