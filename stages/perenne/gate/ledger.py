"""The ledger of looks at holdouts, of verdicts and of retrainings: notes that go where the repository goes.

Each look at a holdout spends some of its evidence: who tries twenty equal models on the same rows finds one
that seems better. So every look is written down *before* the models are compared, with what it spends of
alpha. It stands under each batch of the holdout, known by a hash of its labels: a holdout that shares a batch
with another shares its noise, and a column more or less makes nothing new of it.

They are Git notes, lines of JSON in `refs/notes/perenne`. Those of two clones merge without conflict: none is
lost.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from perenne.common import git, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.stats import spending

REF = "refs/notes/perenne"
THEIRS = "refs/notes/perenne-theirs"  # where the remote's lines wait to be merged
TRIES = 20  # to push, when others are faster

Line = dict[str, Any]
Done = TypeVar("Done")


class Look(NamedTuple):
    """Which look at these batches it is, what it may spend of alpha, and what is left after it."""

    number: int
    alpha: float
    left: float


def hashes(rows: pd.DataFrame, contract: Contract) -> dict[str, str]:
    """The hash of the labels of each batch of a holdout, by period.

    Times and outcomes in an order of their own: neither how rows are sorted nor what else is known of them
    makes another holdout.
    """
    found = {}
    for period, places in rows.groupby(periods.of(rows[contract.time], contract.period)).indices.items():
        times = rows[contract.time].to_numpy(dtype="datetime64[us]")[places].astype("<i8")
        outcomes = rows[contract.target].to_numpy(dtype="<f8")[places]
        order = np.lexsort((outcomes, times))
        found[str(period)] = _sha256(
            str(period).encode() + times[order].tobytes() + outcomes[order].tobytes()
        )
    return found


def look(batches: Mapping[str, str], at: Mapping[str, Any], total: float, *, sharing: bool) -> Look:
    """Write down a look at some batches; return what it may spend.

    The same look again shows nothing new: it spends nothing more, and may do what it could the first time.

    Parameters
    ----------
    batches
        What `hashes` returns.
    at
        The models compared, and by which rules: equal for equal looks.
    total
        Alpha, of all looks at a batch together.
    sharing
        Push the line as well. The remote takes one line after another, so two clones never take the same
        number. Else they may, and both lines count once they meet.

    """
    name = _sha256(json.dumps(at, sort_keys=True).encode())

    def claim() -> Look:
        lines = {batch: _looks(batch) for batch in batches.values()}
        known = {line["look"]: line for looks in lines.values() for line in looks.values()}
        number = known[name]["number"] if name in known else len(known) + 1
        alpha = known[name]["alpha"] if name in known else spending.alpha(number, total, _left(lines, total))
        mine = {"look": name, "number": number, "alpha": alpha, **at}
        for batch, looks in lines.items():
            if name not in looks:
                _append("batch", batch, mine)
                looks[name] = mine
        return Look(number, alpha, _left(lines, total))

    return _shared(claim, sharing=sharing)


def record(verdict: Line, *, sharing: bool) -> None:
    """Write down a verdict, under the model that it is about."""
    sha256 = verdict["challenger"]["sha256"]
    _shared(lambda: _append("model", sha256, verdict), sharing=sharing)


def verdicts(sha256: str) -> list[Line]:
    """The verdicts on a model, in no order."""
    return _read("model", sha256)


def record_costs(lock: bytes, costs: Mapping[str, tuple[float, float]]) -> None:
    """Write down the seconds and the megabytes of each stage, under the `dvc.lock` that they made.

    The first that is known of a lock stays: what is compared with it later is compared with the same.
    """
    name = _sha256(lock)
    if costs and not _read("lock", name):
        line = {stage: [float(f"{figure:.3g}") for figure in cost] for stage, cost in costs.items()}
        _shared(lambda: _append("lock", name, line), sharing=False)


def costs(lock: bytes) -> dict[str, tuple[float, float]]:
    """The seconds and the megabytes of each stage when a `dvc.lock` was made, if it was noted."""
    lines = _read("lock", _sha256(lock))
    return {stage: (cost[0], cost[1]) for stage, cost in lines[0].items()} if lines else {}


def record_attempt(case: str, attempt: Line, *, sharing: bool) -> None:
    """Write down what came of a retraining, under the case; the same again is one line."""
    if attempt not in attempts(case):
        _shared(lambda: _append("loop", case, attempt), sharing=sharing)
    elif sharing:
        share()


def attempts(case: str) -> list[Line]:
    """What came of each retraining of a case, in no order."""
    return _read("loop", case)


def fetch() -> None:
    """Merge the remote's lines into those that are here, if there is a remote and it has any."""
    with _locked():
        _merge()


def share() -> None:
    """Push the lines that are here, merged with the remote's."""
    _shared(_merge, sharing=True)


def _merge() -> None:
    remote = git.remote()
    if remote and git.git("ls-remote", remote, REF):
        git.git("fetch", "--quiet", remote, f"+{REF}:{THEIRS}")
        git.git("notes", f"--ref={REF}", "merge", "--quiet", "--strategy=cat_sort_uniq", THEIRS)


def _shared(change: Callable[[], Done], *, sharing: bool) -> Done:
    """Make a change to the notes, alone in this repository; with the remote, one after the other.

    Where somebody was faster the change is taken back, and made again on top of theirs.
    """
    with _locked():
        for _ in range(TRIES):
            before = git.git("for-each-ref", "--format=%(objectname)", REF)
            done = change()
            pushed, why = _push() if sharing else (True, "")
            if pushed:
                return done
            _reset(before)
            if "rejected" not in why:
                raise PerenneError(why)
            _merge()
    raise PerenneError(f"{REF}: others were faster {TRIES} times in a row; try again")


def _push() -> tuple[bool, str]:
    remote = git.remote()
    if not remote:
        raise PerenneError("git remote: there is none to push to; git remote add origin URL")
    try:
        git.git("push", "--quiet", remote, REF)
    except PerenneError as error:
        return False, str(error)
    return True, ""


def _reset(commit: str) -> None:
    git.git(*(["update-ref", REF, commit] if commit else ["update-ref", "-d", REF]))


@contextmanager
def _locked() -> Iterator[None]:
    """Let nobody else in this repository change the notes: Git itself does not."""
    with (git.folder() / "perenne.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _looks(batch: str) -> dict[str, Line]:
    return {line["look"]: line for line in _read("batch", batch)}


def _left(lines: Mapping[str, Mapping[str, Line]], total: float) -> float:
    """Alpha that the batch which was looked at most has left."""
    spent: list[float] = [sum(line["alpha"] for line in looks.values()) for looks in lines.values()]
    return max(total - max(spent), 0.0)


def _read(kind: str, name: str) -> list[Line]:
    subject = git.git("hash-object", "--stdin", stdin=_subject(kind, name))
    noted = dict(line.split()[::-1] for line in git.git("notes", f"--ref={REF}", "list").splitlines())
    text = git.git("cat-file", "blob", noted[subject]) if subject in noted else ""
    return [_line(line, kind, name, subject) for line in text.splitlines() if line]


def _line(text: str, kind: str, name: str, subject: str) -> Line:
    """A line of a note. One that cannot be read may have been a look: it is told, and not passed over."""
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        raise PerenneError(
            f"{REF}: {kind} {name[:12]}: {text[:60]!r} is no line of JSON; "
            f"git notes --ref={REF} edit {subject[:12]} mends it"
        )
    return line


def _append(kind: str, name: str, line: Line) -> None:
    subject = git.git("hash-object", "-w", "--stdin", stdin=_subject(kind, name))
    text = json.dumps(line, sort_keys=True, ensure_ascii=False, allow_nan=False)
    git.git("notes", f"--ref={REF}", "append", "--file=-", subject, stdin=text)


def _subject(kind: str, name: str) -> str:
    """What a note is attached to: Git attaches notes to objects, and neither a batch nor a model is one."""
    return f"perenne {kind} {name}\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
