"""DVC's storage: everything is pushed or an error says why not; files are read by their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from perenne.common import locked
from perenne.common.errors import PerenneError
from perenne.common.names import MODEL
from perenne.registry import storage, workspace
from tests.conftest import Enter
from tests.project import Project
from tests.registry.visits import least_reproduced


@pytest.fixture
def inside(tmp_path: Path, enter: Enter) -> Project:
    """Return the least project, its store beside it, as the current folder."""
    project = least_reproduced(tmp_path / "project")
    enter(project)
    return project


def stored(project: Project, place: str = ".dvc/cache") -> Path:
    """Return where the model's file is in the cache or in the store."""
    md5 = locked.load("HEAD").out(MODEL).md5
    return project.path / place / "files" / "md5" / md5[:2] / md5[2:]


def test_push_sends_what_is_not_there(inside: Project) -> None:
    """All of a commit, inputs that no stage makes among it; a second time there is nothing to send."""
    inside.run("rm -rf ../store")
    assert storage.push() == 3
    assert stored(inside, "../store").read_bytes() == (inside.path / MODEL).read_bytes()
    assert storage.push() == 0


def test_what_the_cache_has_lost_is_missed(inside: Project) -> None:
    """DVC pushes what it has and says that all went well; that is not enough for a tag."""
    stored(inside).unlink()
    stored(inside, "../store").unlink()
    assert inside.run("dvc push").returncode == 0
    md5 = locked.load("HEAD").out(MODEL).md5
    with pytest.raises(PerenneError, match=f"1 of 3 files are neither there nor in the cache, {md5} first"):
        storage.push()


def test_push_needs_a_remote(inside: Project) -> None:
    """Without one the line says how to add it."""
    inside.run("dvc remote remove store")
    with pytest.raises(PerenneError, match=r"^\.dvc/config: no default remote; dvc remote add --default"):
        storage.push()


def test_remote_that_is_no_folder_is_told(inside: Project) -> None:
    """The line names the remote, where it is, and the reason."""
    inside.run("rm -rf ../store && touch ../store")
    with pytest.raises(
        PerenneError, match=r"^the remote 'store' \(local: .*/store\): .*(Not a directory|exists)"
    ):
        storage.push()


def test_full_disk_is_told(inside: Project) -> None:
    """No room for a file: the reason is in the line, and the file is not there in part."""
    inside.run("rm -rf ../store")
    inside.write("data/incoming/tiny/visits.csv", "x" * 3_000_000)
    inside.run("dvc add -q data/incoming/tiny/visits.csv && dvc repro -q && git commit -qam 'more than fits'")
    # Files beyond 1,000 blocks of 1,024 bytes are refused, as by a disk that is full.
    done = inside.run(
        "ulimit -f 1000 && python -P -c 'from perenne.registry.storage import push; push()'",
        status=1,
        PYTHONPATH=str(Path(storage.__file__).parents[2]),
    )
    assert "PerenneError: the remote 'store' (local:" in done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert all(
        path.stat().st_size < 1_000_000
        for path in (inside.path.parent / "store").rglob("*")
        if path.is_file() and not path.name.endswith(".tmp")
    )


def test_obtain_gives_the_bytes_of_a_commit(inside: Project) -> None:
    """Whatever is checked out; the working tree stays as it is."""
    old = (inside.path / MODEL).read_bytes()
    inside.run("git tag first")
    inside.edit("sort -r", "sort", "dvc.yaml")
    inside.repro()
    inside.commit("second")
    before = inside.out("git status --porcelain")
    assert storage.obtain("first", MODEL) == old
    assert storage.obtain("HEAD", MODEL) == (inside.path / MODEL).read_bytes() != old
    assert inside.out("git status --porcelain") == before


def test_obtain_asks_the_remote_and_keeps_what_it_gets(inside: Project) -> None:
    """With an empty cache; the next time the remote is not needed."""
    data = (inside.path / MODEL).read_bytes()
    inside.run("rm -rf .dvc/cache")
    assert storage.obtain("HEAD", MODEL) == data
    inside.run("rm -rf ../store")
    assert storage.obtain("HEAD", MODEL) == data


def test_damaged_file_is_not_returned(inside: Project) -> None:
    """Not from the cache, where the remote has it whole; nor from the remote."""
    data = (inside.path / MODEL).read_bytes()
    for place in (".dvc/cache", "../store"):
        file = stored(inside, place)
        file.chmod(0o644)
        file.write_bytes(b"something else")
        if place == ".dvc/cache":
            assert storage.obtain("HEAD", MODEL) == data
            stored(inside).chmod(0o644)
            stored(inside).write_bytes(b"something else")
    with pytest.raises(
        PerenneError, match=r"model\.skops of HEAD: not in the cache nor in the remote 'store'"
    ):
        storage.obtain("HEAD", MODEL)


def test_lost_file_is_told(inside: Project) -> None:
    """With what would make it again."""
    inside.run("rm -rf .dvc/cache ../store")
    with pytest.raises(PerenneError, match="perenne restore VERSION makes it again"):
        storage.obtain("HEAD", MODEL)
    inside.run("dvc remote remove store")
    with pytest.raises(PerenneError, match="not in the cache and there is no remote"):
        storage.obtain("HEAD", MODEL)


def test_default_remote_is_a_folder_of_the_user(project: Project, enter: Enter) -> None:
    """It needs no set-up, changes nothing that Git sees, and all clones share it."""
    enter(project)
    assert storage.push() > 0
    assert (project.path.parent / "home" / "perenne-storage" / "files").is_dir()
    assert project.out("git status --porcelain") == ""
    project.run("git clone -q . ../beside")
    beside = Project(project.path.parent / "beside")
    beside.run("dvc pull -q")
    assert (beside.path / MODEL).read_bytes() == (project.path / MODEL).read_bytes()


DEEP = "[" * 3000


@pytest.mark.parametrize(
    "text", [DEEP, "5", "{}", "[5]", "[{}]", '[{"relpath": 5, "md5": "x"}]', '[{"relpath": "a"}]', "\x00"]
)
def test_listing_that_somebody_else_wrote_is_one_line(inside: Project, text: str) -> None:
    """It is named by its hash, whatever is in it."""
    md5 = hashlib.md5(text.encode()).hexdigest()  # noqa: S324 -- as DVC names it
    file = inside.path / ".dvc/cache/files/md5" / md5[:2] / f"{md5[2:]}.dir"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    with pytest.raises(PerenneError, match=r"^data/raw: not .+\Z"):
        storage.listing(f"{md5}.dir", "data/raw")


def test_lock_that_somebody_else_wrote_stops_with_one_line(inside: Project) -> None:
    """What DVC itself reads it with has no limit either."""
    inside.write("dvc.lock", f"stages: {DEEP}")
    inside.commit("deep")
    for stops in (storage.push, workspace.reproduced, lambda: storage.push("HEAD", workspace=False)):
        with pytest.raises(PerenneError) as caught:
            stops()
        assert "\n" not in str(caught.value)
