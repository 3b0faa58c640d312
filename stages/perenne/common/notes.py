"""General storage in Git notes: lines of JSON that go wherever the repository goes.

They stand in one ref, under a kind and a name. Lines of two clones merge without conflict, so none is lost.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from perenne.common import git, strict_json
from perenne.common.errors import PerenneError

REF = "refs/notes/perenne"
THEIRS = "refs/notes/perenne-theirs"  # where the remote's lines wait to be merged
KNOWN = "refs/perenne/notes"  # the last lines that were here: nothing else moves it, and Git keeps them
TRIES = 20  # to push, when others are faster


class NotPushedError(PerenneError):
    """The remote did not take the lines, for another reason than that others were faster."""


Line = dict[str, Any]  # what a line means is the affair of those who wrote it
Done = TypeVar("Done")


def read(kind: str, name: str) -> list[Line]:
    """The lines under a kind and a name, in no order.

    Parameters
    ----------
    kind, name
        What `append` stored them under.

    Returns
    -------
    list[Line]
        Empty if there are none.

    Raises
    ------
    PerenneError
        If a line is not a JSON object. It may have been a look at a holdout, so it is not skipped.

    """
    subject = git.git("hash-object", "--stdin", stdin=_subject(kind, name))
    noted = dict(line.split()[::-1] for line in git.git("notes", f"--ref={REF}", "list").splitlines())
    text = git.git("cat-file", "blob", noted[subject]) if subject in noted else ""
    with mending(kind, name):
        return [_line(line) for line in text.split("\n") if line]  # a string may hold other line breaks


@contextmanager
def mending(kind: str, name: str) -> Iterator[None]:
    """Add to an error in a line where the line stands, and the command that mends it.

    Parameters
    ----------
    kind, name
        What the line is stored under.

    Raises
    ------
    PerenneError
        In one line.

    """
    try:
        yield
    except PerenneError as error:
        # Written, for Git edits the note of no object that it lacks.
        subject = git.git("hash-object", "-w", "--stdin", stdin=_subject(kind, name))
        first = str(error).split("\n", 1)[0]
        where = name[:12] if re.fullmatch(r"[0-9a-f]{64}", name) else name
        raise PerenneError(
            f"{REF}: {kind} {where}: {first}; git notes --ref={REF} edit {subject[:12]} mends it"
        ) from error


def append(kind: str, name: str, line: Line) -> None:
    """Add a line; call it within `shared`.

    Parameters
    ----------
    kind, name
        What the line is stored under; `read` takes the same.
    line
        Anything that JSON can hold; NaN and infinity are not allowed.

    """
    subject = git.git("hash-object", "-w", "--stdin", stdin=_subject(kind, name))
    text = json.dumps(line, sort_keys=True, ensure_ascii=False, allow_nan=False)
    git.git("notes", f"--ref={REF}", "append", "--file=-", subject, stdin=text)


def commit() -> str | None:
    """The commit that the lines are at; None if there are none."""
    return git.git("for-each-ref", "--format=%(objectname)", REF) or None


def missing() -> str | None:
    """The last commit of the lines that were here, if it has lines that are not here any more; else None."""
    known = git.git("for-each-ref", "--format=%(objectname)", KNOWN)
    lost = known and not git.succeeds("merge-base", "--is-ancestor", known, REF)
    return known if lost else None


def pushed(*, asked: bool = False, offline: bool = False) -> bool:
    """Whether a line is pushed that others must know: always, if there is a remote, but for who is offline.

    Parameters
    ----------
    asked
        The user asks for it: then it is an error if there is no remote.
    offline
        The user wants to do without the remote.

    """
    return asked or (not offline and git.remote() is not None)


def fetch() -> None:
    """Merge the remote's lines into those that are here, if there is a remote and it has any."""
    with _locked():
        _merge()
        _keep()


def share() -> None:
    """Push the lines that are here, merged with the remote's.

    Raises
    ------
    PerenneError
        If there is no remote, the push fails, or others were faster too often.

    """
    shared(_merge, sharing=True)


def shared(change: Callable[[], Done], *, sharing: bool) -> Done:
    """Make a change to the notes, alone in this repository; with the remote, one after the other.

    Parameters
    ----------
    change
        Reads and appends lines. If somebody else was faster, it is undone and called again on top of theirs.
    sharing
        Push the change as well.

    Returns
    -------
    Done
        What the change returned.

    Raises
    ------
    NotPushedError
        If the push fails for another reason than that others were faster.
    PerenneError
        If others were faster too often.

    """
    with _locked():
        for _ in range(TRIES):
            before = commit()
            done = change()
            taken, why = _push() if sharing else (True, "")
            if taken:
                _keep()
                return done
            _reset(before)
            if "rejected" not in why or "declined" in why:
                raise NotPushedError(why)
            _merge()
    raise PerenneError(f"{REF}: others were faster {TRIES} times in a row; try again")


def _keep() -> None:
    """Remember the lines that are here, unless some are lost: `missing` must say so again."""
    if commit() and not missing():
        git.git("update-ref", KNOWN, REF)


def _merge() -> None:
    remote = git.remote()
    if remote and git.git("ls-remote", remote, REF):
        git.git("fetch", "--quiet", remote, f"+{REF}:{THEIRS}")
        git.git("notes", f"--ref={REF}", "merge", "--quiet", "--strategy=cat_sort_uniq", THEIRS)


def _push() -> tuple[bool, str]:
    remote = git.remote()
    if not remote:
        raise PerenneError("git remote: there is none to push to; git remote add origin URL")
    try:
        git.git("push", "--quiet", remote, f"{REF}:{REF}")
    except PerenneError as error:
        return False, str(error)
    return True, ""


def _reset(before: str | None) -> None:
    git.git(*(["update-ref", REF, before] if before else ["update-ref", "-d", REF]))


@contextmanager
def _locked() -> Iterator[None]:
    """Let nobody else in this repository change the notes: Git itself does not."""
    with (git.folder() / "perenne.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _line(text: str) -> Line:
    """A line of a note."""
    try:
        line = strict_json.loads(text, REF)
    except PerenneError:
        line = None
    if not isinstance(line, dict):
        raise PerenneError(f"{text[:60]!r} is not a line of JSON")
    return line


def _subject(kind: str, name: str) -> str:
    """What a note is attached to: Git attaches notes to objects, and neither a batch nor a model is one."""
    return f"perenne {kind} {name}\n"
