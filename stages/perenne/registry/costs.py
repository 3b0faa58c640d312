"""The cost of each stage when a `dvc.lock` was made: recorded once, to compare later runs with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from perenne.common import notes
from perenne.common.errors import PerenneError, warn

KIND = "lock"
_COSTS = TypeAdapter(dict[str, tuple[float, float]])


def record(lock: bytes, costs: Mapping[str, tuple[float, float]]) -> None:
    """Record the seconds and megabytes of each stage under the text of the `dvc.lock` that they made.

    Only the first record of a lock counts, so that all later runs are compared with the same.

    Parameters
    ----------
    lock
        The text of `dvc.lock`.
    costs
        Stage -> seconds and megabytes (1e6 bytes), recorded to three digits in the local notes. Nothing is
        pushed. Nothing is recorded if it is empty.

    Raises
    ------
    PerenneError
        If an earlier record cannot be read.

    """
    name = hashlib.sha256(lock).hexdigest()
    if costs and not notes.read(KIND, name):
        line = {stage: [float(f"{figure:.3g}") for figure in cost] for stage, cost in costs.items()}
        notes.shared(lambda: notes.append(KIND, name, line), sharing=False)


def recorded(lock: bytes) -> dict[str, tuple[float, float]]:
    """Return the cost of each stage for the text of a `dvc.lock`.

    Parameters
    ----------
    lock
        The text of `dvc.lock`.

    Returns
    -------
    dict
        Stage -> seconds and megabytes (1e6 bytes); empty if unknown, or if the record cannot be read.

    """
    try:
        lines = notes.read(KIND, hashlib.sha256(lock).hexdigest())
        return _COSTS.validate_python(lines[0]) if lines else {}
    except (PerenneError, ValidationError) as error:  # what a run has cost decides nothing
        warn(f"the costs of an earlier run cannot be read: {error}")
        return {}
