"""Git, as the user's own `git` does it: for what runs outside the DAG."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from perenne.common.errors import PerenneError


def git(*arguments: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None) -> str:
    """Run git in the current folder and return what it prints, without the last line's end.

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
    """Whether git exits with status 0: for questions that it answers so."""
    return _run(*arguments).returncode == 0


def commit(rev: str) -> str:
    """The full id of the commit that a revision names."""
    done = _run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    if done.returncode:
        raise PerenneError(
            f"{rev!r} names no commit here; git fetch --tags may bring it, or see git log --all"
        )
    return done.stdout.decode().strip()


def show(rev: str, path: Path) -> bytes:
    """A file as it was in a commit; a `PerenneError` says which is missing."""
    done = _run("cat-file", "blob", f"{commit(rev)}:./{path}")
    if done.returncode:
        raise PerenneError(f"{path}: not in the commit {rev}")
    return done.stdout


def changes() -> list[str]:
    """The files that differ from the last commit, or that Git does not know, relative to its root."""
    found = git("status", "--porcelain", "-z", "--no-renames").split("\0")
    return [line[3:] for line in found if line]


def remote() -> str | None:
    """The remote that commits and tags are shared by: `origin`, or the only one; None without any."""
    names = git("remote").splitlines()
    if not names or "origin" in names:
        return "origin" if names else None
    if len(names) > 1:
        raise PerenneError(f"git remote: which of {', '.join(names)}? Name one of them origin")
    return names[0]


def folder() -> Path:
    """Where this repository keeps what belongs to it and to no commit, shared by its worktrees."""
    return Path(git("rev-parse", "--path-format=absolute", "--git-common-dir"))


def _run(
    *arguments: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    # Its messages are read here and shown to people: in one language. It must fail where it would ask.
    own = {"LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0"} | dict(env or {})
    return subprocess.run(  # noqa: S603 -- no shell; arguments are passed as they are
        ["git", *arguments],  # noqa: S607 -- the user's own git
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
        env=os.environ | own,
    )


def _reason(stderr: bytes) -> str:
    """What git says went wrong: its fatal lines and errors, hints left out."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "!"))] or lines
    return " ".join(line.removeprefix("fatal:").strip() for line in told if line) or "failed without a word"
