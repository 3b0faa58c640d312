"""The steps of `perenne upgrade`: a later template, merged into what its owner made of an earlier one.

Git does the merge. Copier, which does such updates elsewhere, is not used: it needs the template as a Git
repository with a tag for each version, and this one comes inside a wheel.
"""

from __future__ import annotations

from pathlib import Path

from perenne.common import git, strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.typed import parse
from perenne.new import commits, template
from perenne.new.template import ANSWERS, Answers, Template

HALF_DONE = {"MERGE_HEAD": "merge", "CHERRY_PICK_HEAD": "cherry-pick", "REVERT_HEAD": "revert"}


def upgrade(made: Template) -> str:
    """Merge what a template generates into the project in the current folder, and say what was done.

    Raises
    ------
    PerenneError
        If a merge is not finished, the working tree has changes, HEAD is on no branch, no template was ever
        committed here, the template is older, or its changes and the owner's are in the same lines: then Git
        shows the conflicts.

    """
    _must_be_root()
    _must_be_finished()
    _must_be_clean()
    commits.branch()
    commits.identity()
    before = commits.newest()
    if not before:
        raise PerenneError(
            "no commit in the history of HEAD is what a template generated; in a shallow clone, "
            "git fetch --unshallow; else perenne new . begins with the template of today"
        )
    if not ANSWERS.exists():
        back = f"git checkout {before.commit[:12]} -- {ANSWERS}"
        raise PerenneError(f"{ANSWERS}: no such file; {back} brings it back")
    answers = parse(Answers, strict_yaml.load(ANSWERS), str(ANSWERS))
    files = template.filled(made, answers)
    if commits.tree(files) == before.tree:
        return f"this project has the template of perenne {before.version} already"
    if _order(made.version) < _order(before.version):
        raise PerenneError(
            f"perenne {made.version} is older than the template of this project, {before.version}; "
            "--wheel FILE names a later one"
        )
    later = commits.commit(files, made.version, parent=before.commit)
    _merge(later, f"Merge the template of perenne {made.version}")
    return f"perenne {before.version} -> {made.version}: merged, as git diff HEAD^ shows; next: make repro"


def _must_be_root() -> None:
    if not git.succeeds("rev-parse", "--show-toplevel"):
        raise PerenneError(f"{Path.cwd()}: not a Git repository; perenne new makes one")
    below = git.git("rev-parse", "--show-prefix")
    if below:
        top = git.git("rev-parse", "--show-toplevel")
        raise PerenneError(f"{Path.cwd()}: not the root of the repository; run this in {top}")


def _must_be_finished() -> None:
    """Check that Git is not in the middle of something: its conflicts are neither to commit nor to stash."""
    for head, word in HALF_DONE.items():
        if git.succeeds("rev-parse", "--verify", "--quiet", head):
            raise PerenneError(
                f"a {word} is not finished: edit what is in conflict, git add it, and git {word} --continue; "
                f"or go back by git {word} --abort"
            )


def _must_be_clean() -> None:
    changed = git.git("status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        raise PerenneError(f"{changed[0][3:]}: changed and not committed; commit it, or git stash")


def _order(version: str) -> tuple[int, ...]:
    """What versions are compared by: their numbers."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _merge(later: str, message: str) -> None:
    """Merge a commit; where Git cannot, say which files, and what to do."""
    try:
        git.git("merge", "--quiet", "--no-ff", "--no-edit", "--message", message, later)
    except PerenneError:
        torn = git.git("diff", "--name-only", "--diff-filter=U").splitlines()
        if not torn:
            raise
        raise PerenneError(
            f"{', '.join(torn)}: changed by you and by the template in one place; edit it there, "
            "then git commit --all; or go back by git merge --abort"
        ) from None
