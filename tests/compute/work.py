"""What tests have done by other processes: functions that are found there by their names."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from perenne.common.errors import PerenneError
from perenne.common.project_code import CodeError


def doubled(item: int) -> int:
    """Twice as much; a little later the smaller it is, so that later items are done before earlier ones."""
    time.sleep(0.02 * (item < 3))
    return 2 * item


def refused(item: int) -> int:
    """Each from 5 on is an error."""
    if item >= 5:
        raise PerenneError(f"data.csv: row {item}: no")
    return item


def of_code(item: int) -> int:
    """An error of the project's code, which knows the row."""
    error = CodeError(f"code fails for {item}", "code fails")
    error.row = item
    raise error


def process(_: int) -> int:
    """Who did it."""
    return os.getpid()


def killed_once(item: tuple[int, Path]) -> int:
    """Kill the process that works on an item first; whoever is next returns it."""
    number, mark = item
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return number
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def always_killed(_: int) -> None:
    """Kill whoever works on it."""
    os.kill(os.getpid(), signal.SIGKILL)


def late(item: int) -> None:
    """Fail as a file system over a network does."""
    raise TimeoutError(110, f"no answer for {item}")


def written(array: npt.NDArray[np.float64], item: int) -> float:
    """Write to an array that was handed over."""
    array[0] = item
    return float(array[0])


def slow(item: int) -> int:
    """Takes a while."""
    time.sleep(0.1)
    return item


def finished(dask_scheduler: Any) -> int:
    """How many pieces of work a scheduler has seen to their end."""
    return sum(prefix.state_counts["memory"] for prefix in dask_scheduler.task_prefixes.values())
