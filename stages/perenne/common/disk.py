"""Files that are written whole or not at all, and JSON that is the same on every machine.

Only the standard library is imported: every command that reads a tag or a document starts with this.
"""

from __future__ import annotations

import json
import math
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` for a file or a folder.

    It is renamed to `path` if the block ends without an error, and removed otherwise.

    Yields
    ------
    Path
        The temporary name. Nothing is there yet, but its folder exists.

    """
    temporary = path.with_name(f".{path.name}.part")
    _remove(temporary)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        _remove(path)
        temporary.rename(path)
    finally:
        _remove(temporary)


class Filling(NamedTuple):
    """A folder that is being filled, perhaps by several processes; `scratch` lies beside it."""

    place: Path
    scratch: Path

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """Give a temporary name for a file of the folder, which another process may be writing as well.

        Yields
        ------
        Path
            The temporary name, in the other folder: who is killed there leaves nothing in this one.

        """
        temporary = self.scratch / f"{secrets.token_hex(8)}-{name}"
        try:
            yield temporary
            temporary.replace(self.place / name)
        finally:
            _remove(temporary)


@contextmanager
def filling(path: Path) -> Iterator[Filling]:
    """As `replacing`, for a folder of files that several processes write."""
    scratches = path.with_name(f".{path.name}.scratch")
    with replacing(path) as place:
        _remove(scratches)
        # Of this run alone: a worker may still write what an earlier run, of other params, has asked for.
        scratch = scratches / secrets.token_hex(8)
        try:
            place.mkdir()
            scratch.mkdir(parents=True)
            yield Filling(place, scratch)
        finally:
            _remove(scratches)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON: sorted keys, floats to 6 significant digits, NaN and infinity as null.

    Six digits, because the last digits of a sum depend on the width of the CPU's vectors.

    Raises
    ------
    TypeError
        If the value holds something that JSON has no type for.

    """
    text = json.dumps(canonical(value), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def canonical(value: Any) -> Any:
    """The same value in JSON's own types: floats to 6 significant digits, NaN and infinity as None.

    Returns
    -------
    Any
        Keys of mappings are strings and tuples are lists; any other value is returned as it is.

    """
    if isinstance(value, dict):
        return {str(k): canonical(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
