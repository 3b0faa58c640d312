"""What is kept is found again as it was, or not at all; and nobody else can put anything there."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from perenne.common import kept
from perenne.common.kept import Shelf

VALUE = {"counts": [1, 2, 3], "mean": 0.1}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty Git repository, as the current folder."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def file(repository: Path, name: str = "one") -> Path:
    """Return where a value is."""
    return repository / ".git/perenne/kept/drift/abc" / name


def test_value_is_found_again(repository: Path) -> None:
    """Under its own name, on its own shelf; Git does not see it."""
    Shelf("drift", "abc").save("one", VALUE)
    assert Shelf("drift", "abc").load("one") == VALUE
    assert Shelf("drift", "abc").names() == ["one"]
    assert [Shelf("drift", "abc").load("two"), Shelf("drift", "abd").load("one")] == [None, None]
    status = ["git", "status", "--porcelain", "--ignored"]
    assert subprocess.run(status, cwd=repository, check=True, capture_output=True).stdout == b""
    Shelf("drift", "abc").remove(["one", "two"])
    assert Shelf("drift", "abc").names() == []


def cut_short(path: Path) -> None:
    """Half of the file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """One bit of the file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    """Nothing in it."""
    path.write_bytes(b"")


def link(path: Path) -> None:
    """The same content, somewhere else."""
    path.rename(path.parents[3] / "elsewhere")
    path.symlink_to(path.parents[3] / "elsewhere")


def open_to_others(path: Path) -> None:
    """A folder that others may write to."""
    path.parent.chmod(0o770)


def open_above(path: Path) -> None:
    """A folder above it that others may write to: they could put another one in its place."""
    path.parents[1].chmod(0o777)


@pytest.mark.parametrize("harm", [cut_short, flip, empty, link, open_to_others, open_above])
def test_what_cannot_be_relied_on_is_not_there(repository: Path, harm: Callable[[Path], None]) -> None:
    """Torn, rotten, or where others may write: no value, and no error."""
    Shelf("drift", "abc").save("one", VALUE)
    harm(file(repository))
    assert Shelf("drift", "abc").load("one") is None


def test_value_of_code_that_is_gone_is_not_there(repository: Path) -> None:
    """A class that no longer exists, in a whole file."""
    Shelf("drift", "abc").save("one", Shelf("drift", "abc"))
    assert Shelf("drift", "abc").load("one") is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(kept, "Shelf")
        assert Shelf("drift", "abc").load("one") is None
    assert file(repository).exists()


def test_value_that_cannot_be_written_whole_leaves_the_one_before(repository: Path) -> None:
    """Nothing half-written takes its place."""
    Shelf("drift", "abc").save("one", VALUE)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        Shelf("drift", "abc").save("one", lambda: None)
    assert Shelf("drift", "abc").load("one") == VALUE
    assert [path.name for path in file(repository).parent.iterdir()] == ["one"]


def test_without_git_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then every run computes all of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    shelf = Shelf("drift", "abc")
    shelf.save("one", VALUE)
    shelf.remove(["one"])
    assert (shelf.load("one"), shelf.names(), list(tmp_path.iterdir())) == (None, [], [])


@pytest.mark.usefixtures("repository")
def test_shelves_used_last_stay() -> None:
    """Two of a kind: more would fill the disk with what nobody asks for again."""
    for made_of in ("a", "b", "c"):
        Shelf("drift", made_of).save("one", VALUE)
    Shelf("monitor", "a").save("one", VALUE)
    found = [made_of for made_of in ("a", "b", "c") if Shelf("drift", made_of).names()]
    assert found == ["b", "c"]
    assert Shelf("monitor", "a").load("one") == VALUE


def test_surroundings_are_all_that_runs(repository: Path) -> None:
    """Our code, the project's own, and the packages."""
    before = kept.surroundings()
    assert any(line.startswith("numpy-") for line in before)
    (repository / "stages").mkdir()
    for text in ("x = 1", "x = 2"):
        (repository / "stages/models.py").write_text(text)
        after = kept.surroundings()
        assert len(after) == len(before) + 1
        assert after != before
        before = [line for line in after if "models.py" not in line]
