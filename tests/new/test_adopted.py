"""The case of a new project: files that are named before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.new.adopted import Case, case


def test_files_are_absolute_and_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project is another folder than the one in which the command runs."""
    (tmp_path / "visits.csv").write_text("a\n1\n")
    monkeypatch.chdir(tmp_path)
    expected = Case([tmp_path / "visits.csv"], "`visits.csv`", "won", None)
    assert case([Path("visits.csv")], "won", None) == expected


def test_no_file_is_no_case() -> None:
    """A skeleton waits for `perenne adopt`."""
    assert case([], None, None) is None


@pytest.mark.parametrize(("target", "time"), [("won", None), (None, "day")])
def test_columns_need_a_file(target: str | None, time: str | None) -> None:
    """Of no file there are no columns."""
    with pytest.raises(PerenneError, match="--from FILE says which"):
        case([], target, time)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """With one that is there."""
    (tmp_path / "visits.csv").write_text("a\n1\n")
    with pytest.raises(PerenneError, match=r"visit.csv: no such file; did you mean .*visits.csv"):
        case([tmp_path / "visit.csv"], None, None)
