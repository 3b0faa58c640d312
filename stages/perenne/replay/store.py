"""What was made once is kept under a name that says of what: killed and run again, a replay goes on."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path("data/reports/replay")
LIBRARY = Path(__file__).parents[1]  # the code that is running, wherever the project's data are


def key(*parts: Any) -> str:
    """A name for what is made of these parts, in JSON's own types.

    Returns
    -------
    20 hexadecimal digits.

    Examples
    --------
    >>> key("model", {"window": 20}) == key("model", {"window": 21})
    False

    """
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def code(*patterns: str) -> str:
    """A hash of our modules, so that what other code made is not mistaken for what this code makes.

    Parameters
    ----------
    patterns
        Globs below the package `perenne`. Each must match: one that does not would let old results pass.

    Raises
    ------
    ValueError
        If a pattern matches nothing.

    """
    files = sorted(path for pattern in patterns for path in _matching(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _matching(pattern: str) -> list[Path]:
    files = list(LIBRARY.glob(pattern))
    if not files:
        raise ValueError(f"no module matches {pattern!r} in {LIBRARY}")
    return files


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes from making the same thing meanwhile; a process that waited finds it made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
