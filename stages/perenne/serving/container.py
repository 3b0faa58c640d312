"""The container's entry point: clones the repository into the writable folder, and serves from there.

python -m perenne.serving.container [OPTIONS of perenne serve]
python -m perenne.serving.container healthy
"""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path

from perenne.common import git
from perenne.common.errors import PerenneError, run

REPO = Path("repo")  # in the current folder, the only one that persists
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
    if not (REPO / ".git").exists():
        url = os.environ.get("PERENNE_REPO")
        if not url:
            raise PerenneError(
                "PERENNE_REPO: not set; set it to the URL of the repository whose model is served"
            )
        git.git("clone", "--quiet", url, str(REPO))
    os.chdir(REPO)
    log = os.environ.get("PERENNE_LOG_URL") or f"sqlite:///{Path.cwd().parent}/predictions.sqlite"
    where = ["--host", "0.0.0.0", "--port", str(PORT), "--log-url", log]  # noqa: S104 -- the container's own
    return [sys.executable, "-P", "-m", "perenne.cli", "serve", *where, *options]


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
