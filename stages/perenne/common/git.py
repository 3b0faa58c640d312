"""Git, by the user's own `git` command. Only code outside the DAG uses it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from perenne.common.errors import PerenneError


def git(*arguments: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None) -> str:
    """Run git in the current folder.

    Parameters
    ----------
    arguments
        The command line after `git`.
    stdin
        What git reads from standard input.
    env
        Environment variables on top of this process's own.

    Returns
    -------
    str
        What git prints, without the last line break.

    Raises
    ------
    PerenneError
        If git fails: the command, and the lines in which git says why.

    """
    done = _run(*arguments, stdin=stdin, env=env)
    if done.returncode:
        raise PerenneError(f"git {arguments[0]}: {_reason(done.stderr)}")
    return done.stdout.decode("utf-8", "replace").removesuffix("\n")


def succeeds(*arguments: str) -> bool:
    """Whether git exits with status 0."""
    return _run(*arguments).returncode == 0


def commit(rev: str) -> str:
    """The full id of the commit that a revision names; a `PerenneError` if there is none."""
    done = _run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    if done.returncode:
        raise PerenneError(
            f"{rev!r} is not a commit here; try git fetch --tags, or look for it in git log --all"
        )
    return done.stdout.decode().strip()


def show(rev: str, path: Path) -> bytes:
    """A file as it was in a commit; a `PerenneError` if the commit or the file does not exist.

    Parameters
    ----------
    rev
        A commit, by any name that git knows.
    path
        Relative to the current folder.

    """
    done = _run("cat-file", "blob", f"{commit(rev)}:./{path}")
    if done.returncode:
        raise PerenneError(f"{path}: not in the commit {rev}")
    return done.stdout


def text(rev: str, path: Path) -> str:
    """As `show`, as text; a `PerenneError` if it is not UTF-8."""
    try:
        return show(rev, path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PerenneError(f"{path} of {rev}: not UTF-8 at byte {error.start}") from error


def changes() -> list[str]:
    """The changed and the untracked files, as paths relative to the root of the repository."""
    lines = git("status", "--porcelain", "-z", "--no-renames").split("\0")
    return [line[3:] for line in lines if line]


def remote() -> str | None:
    """The remote through which commits and tags are shared: `origin`, or the only one; None without any.

    Raises
    ------
    PerenneError
        If there are several and none is called `origin`.

    """
    names = git("remote").splitlines()
    if not names or "origin" in names:
        return "origin" if names else None
    if len(names) > 1:
        raise PerenneError(f"git remote: which of {', '.join(names)}? Name one of them origin")
    return names[0]


def folder() -> Path:
    """The folder of Git's own files, shared by all worktrees of this repository."""
    return Path(git("rev-parse", "--path-format=absolute", "--git-common-dir"))


def _run(
    *arguments: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    # Its messages are parsed here and shown to people, so they must be in one language. It must fail instead
    # of asking for a password.
    own = {"LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0"} | dict(env or {})
    return subprocess.run(  # noqa: S603 -- no shell; arguments are passed as they are
        ["git", *arguments],  # noqa: S607 -- the user's own git
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
        env=os.environ | own,
    )


def _reason(stderr: bytes) -> str:
    """Why git failed: its lines marked as fatal or as errors, without hints."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    reasons = [line for line in lines if line.startswith(("fatal:", "error:", "!"))] or lines
    return " ".join(line.removeprefix("fatal:").strip() for line in reasons if line) or "failed silently"
