"""Git, by the user's own `git` command. Only code outside the DAG uses it.

Users configure Git for themselves: what it prints, what it ignores, what it does besides. Here it must do the
same for everyone, so each call says how. Kept is what belongs to the user and to the machine: identity, keys
and how to sign, credentials, proxies, addresses, and which files are ignored.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from perenne.common.errors import PerenneError

# How every call is made, whatever the user's configuration is.
SETTINGS = {
    "advice.detachedHead": "false",
    "color.branch": "false",
    "color.diff": "false",
    "color.status": "false",
    "color.ui": "false",
    "column.ui": "never",
    "commit.cleanup": "whitespace",
    "commit.gpgSign": "false",  # the same retraining is the same commit, and nobody is there to unlock a key
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.commentChar": "#",
    "core.eol": "lf",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "core.safecrlf": "false",
    "core.useReplaceRefs": "false",  # an object is what its hash says
    "diff.noprefix": "false",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    "init.defaultRefFormat": "files",  # DVC reads no other
    "log.mailmap": "false",
    "log.showSignature": "false",
    "push.gpgSign": "false",
    "submodule.recurse": "false",
    "tag.forceSignAnnotated": "false",
}
# Of commands for which a remote's own settings would outdo these.
FLAGS = {
    "clone": ("--origin=origin",),
    "fetch": ("--no-prune", "--no-recurse-submodules"),
    "push": ("--no-follow-tags", "--no-recurse-submodules"),
    "status": ("--untracked-files=normal", "--ignore-submodules=none"),
}
# Variables by which Git would look elsewhere or read arguments differently. Hooks set some of them.
FOREIGN = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE"),
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
    *("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_NOTES_REF", "GIT_NOTES_REWRITE_REF", "GIT_ATTR_SOURCE"),
    *("GIT_REPLACE_REF_BASE", "GIT_TEMPLATE_DIR", "GIT_DEFAULT_HASH", "GIT_DEFAULT_REF_FORMAT"),
)


def command(*arguments: str) -> list[str]:
    """Return the command that runs git in the same way for everyone; `arguments` begin with a subcommand."""
    name, *rest = arguments
    settings = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
    return ["git", *settings, name, *FLAGS.get(name, ()), *rest]


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


def blob(identity: str) -> bytes:
    """The content of a file by the id of its blob; a `PerenneError` if there is none."""
    done = _run("cat-file", "blob", identity)
    if done.returncode:
        raise PerenneError(f"{identity}: no file with this id is here; git fetch may bring it")
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
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    try:
        return subprocess.run(  # noqa: S603 -- no shell; arguments are passed as they are
            command(*arguments),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            check=False,
            env=kept | own,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise PerenneError("git: there is no such command on PATH; install Git") from error


def _reason(stderr: bytes) -> str:
    """Why git failed: its lines marked as fatal or as errors, without hints."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    reasons = [line for line in lines if line.startswith(("fatal:", "error:", "!"))] or lines
    return " ".join(line.removeprefix("fatal:").strip() for line in reasons if line) or "failed silently"
