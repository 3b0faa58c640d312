"""What a run has uploaded, read as bytes that anybody may have written."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from contextlib import suppress

import pytest

from perenne.actions import artifact
from perenne.common.errors import PerenneError
from tests.forge.double import Double


def zipped(**files: bytes) -> bytes:
    """Return an archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return data.getvalue()


def test_file_is_read_where_it_is(host: Double) -> None:
    """By its name, and no more bytes than the bound."""
    host.uploaded("review", zipped(page=b"x" * 100))
    with artifact.downloaded(host, 7, "review", 10_000) as review:
        assert review
        assert review.text("page", 100) == "x" * 100
        with pytest.raises(PerenneError, match="page: more than 99 bytes"):
            review.text("page", 99)
        with pytest.raises(PerenneError, match="other: not in the artifact"):
            review.text("other", 99)


def test_bomb_is_not_unpacked(host: Double) -> None:
    """The size that an archive claims is not trusted: no more bytes than the bound are read."""
    host.uploaded("review", zipped(page=b"\0" * 50_000_000))
    with artifact.downloaded(host, 7, "review", 100_000) as review:
        assert review
        tracemalloc.start()
        with pytest.raises(PerenneError, match="page: more than 60,000 bytes"):
            review.text("page", 60_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()


def test_artifact_that_is_too_large_is_not_downloaded(host: Double) -> None:
    """The host reports its size before the download."""
    host.uploaded("review", b"\0" * 1000)
    with (
        pytest.raises(PerenneError, match="review: 1,000 bytes; at most 999 are read"),
        artifact.downloaded(host, 7, "review", 999),
    ):
        pass


def test_artifact_that_is_missing_or_damaged(host: Double) -> None:
    """None if the run has uploaded nothing; an error if it is not an archive, or its bytes are damaged."""
    with artifact.downloaded(host, 7, "review", 999) as review:
        assert review is None
    host.uploaded("review", b"no archive")
    with pytest.raises(PerenneError, match="review: damaged"), artifact.downloaded(host, 7, "review", 999):
        pass
    data = bytearray(zipped(page=b"soft words " * 100))
    data[45] ^= 0xFF
    host.uploaded("review", bytes(data))
    with artifact.downloaded(host, 7, "review", 9999) as review:
        assert review
        with pytest.raises(PerenneError, match="page: damaged"):
            review.text("page", 9999)


@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_any_byte_may_be_wrong(kind: int, host: Double) -> None:
    """However an archive is damaged, that is one line: whoever uploads it chooses the bytes."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", kind) as archive:
        archive.writestr("pagé", b"soft words " * 9)
    for place in range(len(whole.getvalue())):
        for flip in (0xFF, 0x80, 0x01):
            data = bytearray(whole.getvalue())
            data[place] ^= flip
            host.uploaded("review", bytes(data))
            with suppress(PerenneError), artifact.downloaded(host, 7, "review", 9999) as review:
                assert review
                review.text("pagé", 9999)
