"""What changed from one commit's model to another's: the contract, how it is made, or the data alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from perenne.common import git, locked, predicted
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.locked import Locked
from perenne.common.names import INCOMING, LOCK, MODEL
from perenne.common.project_code import FOLDER, LIBRARY
from perenne.common.sections import contract_of
from perenne.documents.verdict import ChangeKind

AS_OF = "split.as_of"
Prefixes = tuple[str, ...]

# Params that choose the data. All others of the stages behind the model are part of the recipe.
OF_DATA: Prefixes = ("ingest.", "validate.", AS_OF)


class Change(NamedTuple):
    """How large a change is, as in semantic versioning, and what changed.

    `major`: callers must send other rows, or the answer means something else. `minor`: code, environment,
    estimator or hyperparameters. `patch`: the same recipe on other data. The recipe is the same where a build
    with it gives the same bytes, whatever else is written in the library's code. The project's own code must
    be the same too: a model file only names it.
    """

    kind: ChangeKind
    reasons: tuple[str, ...]


def between(old: str, new: str | None, case: str, *, branch: str = "HEAD") -> Change:
    """Return what changed from a commit to another, or to the working tree (None).

    It decides which question is asked of a model, and the number of its version: everybody who has to know
    asks here.

    Parameters
    ----------
    old
        A commit with a `dvc.lock`.
    new
        Another one; None: the working tree.
    case
        Whose contracts are compared.
    branch
        A commit whose history is trusted: see `same_model`. Of a change that is judged it is the commit
        below, or the change could call its own recipe the old one.

    Raises
    ------
    PerenneError
        If a side has no `dvc.lock`, or no contract of the case that can be read.

    """
    before, after = locked.load(old), locked.load(new)
    contract = tuple(inputs(contract_of(case, old), contract_of(case, new)))
    of_data = _of_data(before, after)
    model = _model(before)
    same = model is not None and model == _model(after) and _own(before) == _own(after)
    recipe = () if same else tuple(_recipe(locked.load(same_model(old, branch)), after, of_data))
    data = tuple(_params(before, after, lambda key: key.startswith(of_data)))
    kind: ChangeKind = "major" if contract else "minor" if recipe else "patch"
    return Change(kind, contract + recipe + data)


def same_model(old: str, branch: str) -> str:
    """Return the newest commit of a branch whose lock makes the model of a commit; that commit if none does.

    Its recipe made the same bytes, so it is the same recipe, even if a comment in the code differs. Only the
    first parents count: what was merged was proven as it was merged, and no commit within it.
    """
    of_old = locked.load(old)
    model, own = _model(of_old), _own(of_old)
    if model is None:
        return old
    listed = git.git("rev-list", "--first-parent", "--end-of-options", f"{old}..{branch}", "--", str(LOCK))
    for commit in listed.split():
        try:
            # Most locks need not be parsed, which takes a tenth of a second.
            if model.encode() not in git.show(commit, LOCK):
                continue
            lock = locked.load(commit)
            if _model(lock) == model and _own(lock) == own:
                return commit
        except PerenneError:  # a lock that was removed, or that nobody can read
            continue
    return old


def _model(lock: Locked) -> str | None:
    """The MD5 of the model; None if no stage of the lock makes it."""
    made = (stage.outs.get(str(MODEL)) for stage in lock.stages.values())
    return next((file.md5 for file in made if file and file.md5), None)


def _own(lock: Locked) -> dict[str, object]:
    """The project's own code behind the model, stages left out.

    The model file names it and does not hold it: with other code the same bytes may give other scores.
    """
    stages = {f"{FOLDER}/{name}.py" for name in ("__init__", *lock.stages)}
    code = {path: md5 for path, md5 in _code(lock).items() if path.startswith(f"{FOLDER}/")}
    library = f"{FOLDER}/{LIBRARY}/"
    return {path: md5 for path, md5 in code.items() if path not in stages and not path.startswith(library)}


def inputs(old: Contract, new: Contract) -> list[str]:
    """Return the changes that a caller of the model would notice, one line each."""
    changes = [
        f"contract: {key} {getattr(old, key)} -> {getattr(new, key)}"
        for key in ("task", "target", "period", "zone", "label_delay")
        if getattr(old, key) != getattr(new, key)
    ]
    classes = [sorted(predicted.several(contract)) for contract in (old, new)]
    if old.task == new.task and classes[0] != classes[1]:
        changes.append(f"contract: classes {classes[0]} -> {classes[1]}")
    before, after = _features(old), _features(new)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            was, now = before.get(name, "none"), after.get(name, "none")
            changes.append(f"contract: feature {name}: {was} -> {now}")
    return changes


def _features(contract: Contract) -> dict[str, str]:
    """The values that each column may have that callers must send: features, and what they are made of."""
    allowed: dict[str, str] = {}
    asked = contract.required if contract.derived else contract.features
    for name in asked:
        column = contract.columns[name]
        limits = column.range or column.values or ""
        allowed[name] = (
            f"{column.type} {list(limits) if limits else ''}{' or missing' * column.missing}".strip()
        )
    return allowed


def _of_data(old: Locked, new: Locked) -> Prefixes:
    """The params that choose the data: those of the window as well, if `as_of` moves too.

    A retraining may start its window where the data changed. A window that moves alone is part of the recipe.
    """
    moved = _values(old).get(AS_OF) != _values(new).get(AS_OF)
    return (*OF_DATA, "split.") if moved else OF_DATA


def _recipe(old: Locked, new: Locked, of_data: Prefixes) -> list[str]:
    """What would make another model of the same data."""
    before, after = _code(old) | _commands(old), _code(new) | _commands(new)
    changed = [what for what in sorted(before.keys() | after.keys()) if before.get(what) != after.get(what)]
    return [f"{what} changed" for what in changed] + _params(
        old, new, lambda key: not key.startswith(of_data)
    )


def _commands(lock: Locked) -> dict[str, object]:
    """The commands of the stages behind the model: one may choose another module, or tell it something."""
    return {f"{stage}: cmd": lock.stages[stage].commands for stage in lock.behind(MODEL)}


def _code(lock: Locked) -> dict[str, object]:
    """The inputs of the model that no stage makes: code, environment, contract."""
    made = {path for stage in lock.stages.values() for path in stage.outs}
    behind = [lock.stages[stage].deps for stage in lock.behind(MODEL)]
    files = {path: file.md5 for deps in behind for path, file in deps.items() if path not in made}
    return {path: md5 for path, md5 in files.items() if not Path(path).is_relative_to(INCOMING)}


def _params(old: Locked, new: Locked, counts: Callable[[str], bool]) -> list[str]:
    before, after = _values(old), _values(new)
    return [
        f"{key} {_shown(before.get(key))} -> {_shown(after.get(key))}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and counts(key)
    ]


def _values(lock: Locked) -> dict[str, object]:
    """The params of the stages behind the model, by dotted keys."""
    return {key: value for stage in lock.behind(MODEL) for key, value in lock.stages[stage].params.items()}


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
