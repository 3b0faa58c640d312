"""Files to read: written to a folder, and read back as rows."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from perenne.cases import reading
from perenne.common.errors import PerenneError
from perenne.common.reading import Read

PLAIN = Read()


def rows(path: Path, read: Read = PLAIN, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    return [row for piece in reading.pieces(path, read, columns) for row in piece.to_pylist()]


def wrong(path: Path, read: Read = PLAIN, columns: list[str] | None = None) -> str:
    """Return the line that says what is wrong with a file, without the folder."""
    with pytest.raises(PerenneError) as caught:
        rows(path, read, columns)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path.parent}/")
    return line.removeprefix(f"{path.parent}/")


def saved(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    """Write a file and return its path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def zipped(path: Path, members: dict[str, str]) -> Path:
    """Write a zip and return its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
