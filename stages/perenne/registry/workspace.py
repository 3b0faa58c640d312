"""The working tree: its outputs are those of `dvc.lock`, and nothing changed since they were made."""

from __future__ import annotations

from perenne.common.errors import PerenneError
from perenne.common.names import LOCK


def reproduced() -> None:
    """Check that `dvc status` of the working tree is clean.

    A model is judged and released together with the params, code and data beside it: they must be those that
    it was made from.

    Raises
    ------
    PerenneError
        If it is not clean; names the first stage, and what changed. Or if DVC cannot read the pipeline.

    """
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            status: dict[str, list[object]] = repo.status()
    except Exception as error:  # whatever DVC makes of a text that somebody else wrote
        raise PerenneError(f"dvc status: {line(error)}") from error
    if status:
        stage, changes = next(iter(status.items()))
        raise PerenneError(f"{LOCK}: {stage}: {_first(changes)} since; run dvc repro")


def line(error: BaseException) -> str:
    """Return an error of DVC's in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _first(changes: list[object]) -> str:
    """The first change of a stage that DVC reports, as text.

    >>> _first([{"changed deps": {"params.yaml": {"train": "modified"}}}])
    'params.yaml train modified'
    >>> _first(["changed command"])
    'changed command'
    """
    change = changes[0]
    keys: list[str] = []
    while isinstance(change, dict):
        key, change = next(iter(change.items()))
        keys.append(str(key))
    return " ".join([*keys[1:], str(change)])
