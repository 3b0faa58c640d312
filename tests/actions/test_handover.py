"""What a review made, passed on to a job that may write: files, trusted by their content only."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perenne.actions import handover
from perenne.actions.artifact import Artifact
from perenne.common import locked
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK, MODEL
from perenne.registry import storage
from tests.conftest import Enter
from tests.project import Project
from tests.registry.visits import least_reproduced


@pytest.fixture
def changed(tmp_path: Path, enter: Enter) -> Project:
    """Return the least project, whose lock has changed since its commit: it has a folder as well."""
    project = least_reproduced(tmp_path / "project")
    project.edit("sort -r", "sort", "dvc.yaml")
    project.edit(
        r"\Z",
        "  more:\n    cmd: mkdir -p data/raw && echo a > data/raw/a && echo b > data/raw/b\n"
        "    deps: [data/model/model.skops]\n    outs: [data/raw]\n",
        "dvc.yaml",
    )
    project.repro()
    enter(project)
    return project


@contextmanager
def packed(project: Project) -> Iterator[Artifact]:
    """Pack the lock, lose the cache, and return the artifact."""
    handover.pack(project.path.parent / "out", "HEAD")
    project.run("rm -rf .dvc/cache")
    with archived(project.path.parent / "out") as results:
        yield results


@contextmanager
def archived(folder: Path) -> Iterator[Artifact]:
    """Return a folder as an artifact."""
    file = folder.with_suffix(".zip")
    with zipfile.ZipFile(file, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    with zipfile.ZipFile(file) as archive:
        yield Artifact(archive)


def test_only_new_data_are_packed(changed: Project) -> None:
    """A model, a listing and its files; the data of the base's lock are in the remote already."""
    with packed(changed) as results:
        assert len(results.names()) == len([LOCK, handover.OBJECTS, MODEL, "listing", "a", "b"])
        needed = handover.unpack(results, LOCK.read_bytes())
    assert storage.send(needed) == 4
    assert storage.send(needed) == 0
    changed.run("rm -rf .dvc/cache data/raw data/model && dvc pull -q && dvc status -q")


def test_file_whose_content_does_not_match_its_name_is_an_error(changed: Project) -> None:
    """A model cannot be replaced on the way."""
    handover.pack(changed.path.parent / "out", "HEAD")
    md5 = locked.load().out(MODEL).md5
    (changed.path.parent / "out" / handover.OBJECTS / md5).write_text("another")
    changed.run("rm -rf .dvc/cache")
    with (
        archived(changed.path.parent / "out") as results,
        pytest.raises(PerenneError, match=f"{md5}: the content of this file does not have the MD5"),
    ):
        handover.unpack(results, LOCK.read_bytes())
    assert not (changed.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).exists()


def test_missing_data_stop_the_job(changed: Project) -> None:
    """A commit must not name data that exist nowhere."""
    md5 = locked.load().out(MODEL).md5
    with packed(changed) as results:
        needed = handover.unpack(results, LOCK.read_bytes())
    changed.run(f"rm -f .dvc/cache/files/md5/{md5[:2]}/{md5[2:]}")
    with pytest.raises(PerenneError, match=f"1 of 5 files are neither there nor in the cache, {md5} first"):
        storage.send(needed)


@pytest.mark.parametrize(
    "lock",
    [
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b"stages: 7",
        b"stages: {train: {outs: [{path: x}]}}",
        b"stages: {train: {outs: [{path: x, md5: ../../../etc/passwd}]}}",
        b"stages: {train: {outs: [{path: x, md5: 7}]}}",
    ],
)
def test_lock_that_dvc_would_not_write_is_an_error(lock: bytes) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(PerenneError, match=r"^dvc\.lock"):
        handover.outputs(lock)


@pytest.mark.parametrize("listing", ["7", "{}x", "[{}]", '[{"md5": "../x"}]', '["a"]', "[" * 100_000])
def test_listing_that_dvc_would_not_write_is_an_error(listing: str) -> None:
    """An entry is never a path."""
    with pytest.raises(PerenneError):
        list(handover.listed(f"{'a' * 32}.dir", lambda _: listing.encode()))


def test_file_lists_nothing() -> None:
    """It is not read: only an MD5 that ends in `.dir` is a listing's."""
    assert list(handover.listed("a" * 32, lambda _: json.dumps(7).encode())) == []
