"""The record of a search: a file with one line of JSON for each trial, named after all that they depend on.

A line is on disk before the next trial begins. What a killed process left of a last line is dropped.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from perenne.common.document import Unrounded
from perenne.common.errors import PerenneError
from perenne.common.typed import Model
from perenne.stats.estimate import Estimate, Nearer

FOLDER = Path("tune")
HEAD = b'{"inputs": '
DIGITS = 9  # of what is recorded and compared: the last ones depend on the width of the CPU's vectors
Gain = Estimate | Nearer
Numbers = tuple[float, float, int, float, float, float]  # of an estimate


class Trial(Model):
    """Settings that were tried, and what they gave on validation.

    Parameters
    ----------
    number
        In order, from 0: the params as they stood.
    settings
        A value for each key of the space.
    value
        The metric; None if the trial failed.
    shortfall
        How far that is from the metric's best value: the less, the better. None if the trial failed.
    gained
        How much better than the params as they stood: one estimate, as six numbers, or two for a metric that
        can miss its best value to either side. Empty if there is none.
    failed
        Why there is no value, in one line.

    """

    number: int
    settings: dict[str, object]
    value: Unrounded = None
    shortfall: Unrounded = None
    gained: tuple[Numbers, ...] = ()
    failed: str = ""

    @property
    def gain(self) -> Gain | None:
        """The estimate of how much better it is than the params as they stood."""
        each = [Estimate(*numbers) for numbers in self.gained]
        return None if not each else each[0] if len(each) == 1 else Nearer(*each)


def numbers(gain: Gain) -> tuple[Numbers, ...]:
    """Return an estimate as a trial records it."""
    each = [*gain] if isinstance(gain, Nearer) else [gain]
    return tuple(
        (
            rounded(e.value),
            rounded(e.error),
            e.blocks,
            rounded(e.skewness),
            rounded(e.effect),
            rounded(e.evenness),
        )
        for e in each
    )


def rounded(value: float) -> float:
    """Return a number as every machine has it."""
    return float(f"{value:.{DIGITS}g}")


class Journal(NamedTuple):
    """A record that only this process writes to, the trials in it, and which search on its data it is."""

    path: Path
    trials: list[Trial]
    search: int = 1

    def append(self, trial: Trial) -> None:
        """Add a trial, and wait until it is on disk."""
        with self.path.open("ab") as file:
            file.write(_line(trial.model_dump(mode="json")))
            file.flush()
            os.fsync(file.fileno())
        self.trials.append(trial)


@contextmanager
def opened(case: str, inputs: Mapping[str, str], name: str, data: str) -> Iterator[Journal]:
    """Open the record of a search, or begin it.

    Parameters
    ----------
    case
        The first part of the file's name.
    inputs
        The hash of everything that the trials depend on, by its name: the first line.
    name
        The hash of all of these: the second part of the file's name.
    data
        The name of the input that is the rows: searches on the same rows are counted, and the first line says
        which one this is.

    Yields
    ------
    Journal
        Its trials are those that were recorded before, in order.

    Raises
    ------
    PerenneError
        If another process has it open, or it cannot be written.

    """
    path = FOLDER / f"{case}-{name[:12]}.jsonl"
    try:
        FOLDER.mkdir(exist_ok=True)
        ignore = FOLDER / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")  # of whatever project: a record is of one machine
        opened_file = path.open("ab+")
    except OSError as error:
        where = f"{error.filename}: {error.strerror}"
        raise PerenneError(f"{where}; the record of a search lies there") from error
    with opened_file as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PerenneError(f"{path}: another perenne tune is at this search; wait for it") from None
        file.seek(0)
        trials, length = _read(file.read())
        file.truncate(length)
        if length:
            number = _search(path)
        else:
            number = 1 + _earlier(path, case, data, inputs[data])
            file.write(_line({"inputs": dict(inputs), "search": number}))
            file.flush()
        yield Journal(path, trials, number)


def _head(path: Path) -> Mapping[str, object]:
    """The first line of a record; empty if it cannot be read."""
    try:
        head = json.loads(path.read_bytes().partition(b"\n")[0])
    except (OSError, ValueError, RecursionError):
        return {}
    return head if isinstance(head, dict) else {}


def _search(path: Path) -> int:
    """Which search on its data a record is; 1 in those of earlier versions."""
    number = _head(path).get("search")
    return number if isinstance(number, int) and number > 0 else 1


def _earlier(path: Path, case: str, data: str, rows: str) -> int:
    """How many other records of a case are of the same rows, or the highest number that one of them has."""
    others = [other for other in FOLDER.glob(f"{case}-*.jsonl") if other != path]
    heads = [(other, _head(other).get("inputs")) for other in others]
    same = [other for other, inputs in heads if isinstance(inputs, dict) and inputs.get(data) == rows]
    return max([len(same), *map(_search, same)])


def changed_since(case: str, inputs: Mapping[str, str], name: str) -> list[str]:
    """Return the names of the inputs that differ from the latest other record of a case; none without one."""
    others = [path for path in FOLDER.glob(f"{case}-*.jsonl") if path.stem != f"{case}-{name[:12]}"]
    if not others:
        return []
    head = _head(max(others, key=lambda path: path.stat().st_mtime_ns)).get("inputs")
    return [key for key in inputs if head.get(key) != inputs[key]] if isinstance(head, dict) else []


def _read(text: bytes) -> tuple[list[Trial], int]:
    """The trials of a record, and how many bytes of it are whole: half a line is not."""
    trials: list[Trial] = []
    length = 0
    for place, line in enumerate(text.split(b"\n")[:-1]):
        if place:
            trial = _trial(line)
            if trial is None or trial.number != place - 1:
                break
            trials.append(trial)
        elif not line.startswith(HEAD):
            break
        length += len(line) + 1
    return trials, length


def _trial(line: bytes) -> Trial | None:
    try:
        return Trial.model_validate_json(line)
    except (ValueError, RecursionError):
        return None


def _line(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
