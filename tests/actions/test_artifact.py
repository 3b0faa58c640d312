"""What a run has left behind, read as what anybody may have written."""

from __future__ import annotations

import tracemalloc
import zipfile

import pytest

from perenne.actions import artifact
from perenne.common.errors import PerenneError
from tests.forge.running import Runner


def left(runner: Runner, name: str, **files: bytes) -> None:
    """Leave an artifact behind."""
    with zipfile.ZipFile(runner.folder / "artifacts" / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in files.items():
            archive.writestr(file, data)


def test_file_is_read_where_it_is(runner: Runner) -> None:
    """By its name, and no further than its bound."""
    left(runner, "review", page=b"x" * 100)
    with artifact.of(7, "review", 10_000) as found:
        assert found
        assert found.text("page", 100) == "x" * 100
        with pytest.raises(PerenneError, match="page: more than 99 bytes"):
            found.text("page", 99)
        with pytest.raises(PerenneError, match="other: not in the artifact"):
            found.text("other", 99)


def test_bomb_is_not_unpacked(runner: Runner) -> None:
    """A file that says of itself how large it is is not asked: no more than the bound is read."""
    left(runner, "review", page=b"\0" * 50_000_000)
    with artifact.of(7, "review", 100_000) as found:
        assert found
        tracemalloc.start()
        with pytest.raises(PerenneError, match="page: more than 60,000 bytes"):
            found.text("page", 60_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()


def test_artifact_that_is_too_large_is_not_brought(runner: Runner) -> None:
    """GitHub says how large it is before it is downloaded."""
    (runner.folder / "artifacts" / "review.zip").write_bytes(b"\0" * 1000)
    with (
        pytest.raises(PerenneError, match="review: 1,000 bytes; at most 999 are read"),
        artifact.of(7, "review", 999),
    ):
        pass


def test_artifact_that_is_none_or_damaged(runner: Runner) -> None:
    """None where the run has left nothing; an error where it is no archive, or its bytes are not sound."""
    with artifact.of(7, "review", 999) as found:
        assert found is None
    (runner.folder / "artifacts" / "review.zip").write_bytes(b"no archive")
    with pytest.raises(PerenneError, match="review: damaged"), artifact.of(7, "review", 999):
        pass
    left(runner, "review", page=b"soft words " * 100)
    file = runner.folder / "artifacts" / "review.zip"
    data = bytearray(file.read_bytes())
    data[45] ^= 0xFF
    file.write_bytes(data)
    with artifact.of(7, "review", 9999) as found:
        assert found
        with pytest.raises(PerenneError, match="page: damaged"):
            found.text("page", 9999)
