"""What a template generated, as commits of their own: Git can then merge a later one into an owner's work.

Such a commit holds what the template generated and nothing else, and says so in trailers of its message.
Those of later versions stand on it, so that in a merge the common ancestor is what the owner began with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from perenne.common import git
from perenne.common.errors import PerenneError

VERSION, TREE = "Perenne-Template", "Perenne-Tree"
FORMAT = "%H%x00%T%x00%B%x01"


class Generated(NamedTuple):
    """A commit that holds what a template generated."""

    commit: str
    tree: str
    version: str


def tree(files: Mapping[str, bytes], onto: str | None = None) -> str:
    """Store files as a tree of Git, and return its id. Neither the index nor the working tree is touched.

    Parameters
    ----------
    files
        By their paths in the repository.
    onto
        A commit whose other files the tree has as well.

    """
    with TemporaryDirectory() as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        if onto:
            git.git("read-tree", onto, env=env)
        git.git("update-index", "-z", "--index-info", stdin=_entries(files), env=env)
        return git.git("write-tree", env=env)


def stage(files: Mapping[str, bytes]) -> None:
    """Put files into the index as it is; what else is staged stays."""
    git.git("update-index", "-z", "--index-info", stdin=_entries(files))


def _entries(files: Mapping[str, bytes]) -> str:
    blobs = {path: git.git("hash-object", "-w", "--stdin", stdin=content) for path, content in files.items()}
    return "".join(f"100644 {blob}\t{path}\0" for path, blob in blobs.items())


def commit(files: Mapping[str, bytes], version: str, parent: str | None = None) -> str:
    """Commit what a template generated, on top of what an earlier one did; no branch moves. Return its id."""
    stored = tree(files)
    title = "Take in the template" if parent else "Begin with the template"
    message = f"{title} of perenne {version}\n\n{VERSION}: {version}\n{TREE}: {stored}\n"
    return write(stored, message, *([parent] if parent else []))


def write(stored: str, message: str, *parents: str) -> str:
    """Commit a tree; no branch moves. Return the commit's id."""
    before = [word for parent in parents for word in ("-p", parent)]
    return git.git("commit-tree", stored, *before, stdin=message)


def newest() -> Generated | None:
    """The newest commit in the history of HEAD that holds what a template generated; None if there is none.

    One that was rewritten (amended, squashed with others) holds more than that and does not count: what its
    owner added would be taken for the template's.
    """
    if not git.succeeds("rev-parse", "--verify", "--quiet", "HEAD"):
        return None
    options = ("--date-order", "--basic-regexp", f"--grep=^{VERSION}: ", f"--format={FORMAT}")
    for entry in filter(str.strip, git.git("log", *options, "HEAD").split("\1")):
        found, stored, message = entry.strip("\n").split("\0")
        said = dict(re.findall(rf"^({VERSION}|{TREE}): (\S+)$", message, re.MULTILINE))
        if said.get(TREE) == stored and VERSION in said:
            return Generated(found, stored, said[VERSION])
    return None


def branch() -> None:
    """Check that HEAD is on a branch: a commit on none is easily lost.

    Raises
    ------
    PerenneError
        If it is not.

    """
    if not git.succeeds("symbolic-ref", "--quiet", "HEAD"):
        raise PerenneError("HEAD is on no branch, where a commit is easily lost; git switch BRANCH first")


def identity() -> None:
    """Check that Git knows who commits.

    Raises
    ------
    PerenneError
        If it does not.

    """
    if not all(git.succeeds("var", name) for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")):
        raise PerenneError(
            'Git does not know who you are: git config --global user.name "..." and user.email "..."'
        )
