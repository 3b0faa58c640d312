"""What each stage cost when a `dvc.lock` was made: noted once, to compare later runs with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from perenne.common import notes

KIND = "lock"


def record(lock: bytes, costs: Mapping[str, tuple[float, float]]) -> None:
    """Note the seconds and the megabytes of each stage, under the `dvc.lock` that they made.

    The first that is known of a lock stays: later runs are all compared with the same.
    """
    name = hashlib.sha256(lock).hexdigest()
    if costs and not notes.read(KIND, name):
        line = {stage: [float(f"{figure:.3g}") for figure in cost] for stage, cost in costs.items()}
        notes.shared(lambda: notes.append(KIND, name, line), sharing=False)


def recorded(lock: bytes) -> dict[str, tuple[float, float]]:
    """The seconds and the megabytes of each stage when a `dvc.lock` was made; empty if not noted."""
    lines = notes.read(KIND, hashlib.sha256(lock).hexdigest())
    return {stage: (cost[0], cost[1]) for stage, cost in lines[0].items()} if lines else {}
