"""What the container runs: it clones the repository where it may write, and serves from there.

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

REPO = Path("repo")  # in the current folder, the only one that outlives the container
PORT = 8000
HEALTHY = "healthy"


def command(options: list[str]) -> list[str]:
    """Clone the repository if it is not here, enter it, and return what serves it.

    Raises
    ------
    PerenneError
        If it is not said which one, or it cannot be had.

    """
    if not (REPO / ".git").exists():
        url = os.environ.get("PERENNE_REPO")
        if not url:
            raise PerenneError("PERENNE_REPO: not set; it is the URL of the repository whose model is served")
        git.git("clone", "--quiet", url, str(REPO))
    os.chdir(REPO)
    log = os.environ.get("PERENNE_LOG_URL") or f"sqlite:///{Path.cwd().parent}/predictions.sqlite"
    where = ["--host", "0.0.0.0", "--port", str(PORT), "--log-url", log]  # noqa: S104 -- of the container
    return [sys.executable, "-P", "-m", "perenne.cli", "serve", *where, *options]


def healthy() -> None:
    """Exit with status 0 if the service answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=4):
        pass


def main() -> None:
    """Do what the command line says."""
    options = sys.argv[1:]
    if options == [HEALTHY]:
        healthy()
        return
    serve = command(options)
    os.execv(serve[0], serve)  # noqa: S606 -- no shell; the service gets the container's signals


if __name__ == "__main__":
    run(main)
