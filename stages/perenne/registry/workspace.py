"""The working tree: what lies in it is what its `dvc.lock` says, and that is what params and code make."""

from __future__ import annotations

from typing import Any

from perenne.common.errors import PerenneError
from perenne.common.names import LOCK


def reproduced() -> None:
    """Do nothing if `dvc status` finds nothing; else a `PerenneError` names a stage and what is new.

    A model is judged and released together with the params, code and data that stand beside it: they must be
    those that it was made by.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        found: dict[str, list[Any]] = repo.status()
    if found:
        stage, changes = next(iter(found.items()))
        raise PerenneError(f"{LOCK}: {stage}: {_first(changes)} since; run dvc repro")


def _first(changes: list[Any]) -> str:
    """The first of the changes that DVC tells of a stage, in words.

    >>> _first([{"changed deps": {"params.yaml": {"train": "modified"}}}])
    'params.yaml train modified'
    >>> _first(["changed command"])
    'changed command'
    """
    told = changes[0]
    words: list[str] = []
    while isinstance(told, dict):
        key, told = next(iter(told.items()))
        words.append(str(key))
    return " ".join([*words[1:], str(told)]) if words else str(told)
