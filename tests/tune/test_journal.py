"""The record of a search: whatever a killed process left of it, what is read is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.stats.estimate import Estimate, Nearer
from perenne.tune import journal
from perenne.tune.journal import Trial

SIX = (0.1, 0.01, 30, 0.5, 1.0, 0.9)
TRIALS = [
    Trial(number=0, settings={"a": 1.0, "b": None}, value=0.5, shortfall=0.5),
    Trial(number=1, settings={"a": 2, "b": ["é", {"c": 1}]}, value=0.4, shortfall=0.4, gained=(SIX,)),
    Trial(number=2, settings={"a": 1e-9, "b": "x\ny"}, failed="refused"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def write() -> Path:
    """Write a record of three trials."""
    with journal.opened("rain", {"code": "1"}, "f" * 64, "code") as record:
        assert record.trials == []
        for trial in TRIALS:
            record.append(trial)
    return record.path


def read() -> list[Trial]:
    """Read it again."""
    with journal.opened("rain", {"code": "1"}, "f" * 64, "code") as record:
        return list(record.trials)


def test_record_cut_anywhere_has_the_trials_that_are_whole() -> None:
    """And is gone on with from there: what is written next makes the file that it would have been."""
    path = write()
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        known = read()
        done = sum(length >= sum(map(len, lines[: n + 2])) for n in range(3))
        assert known == TRIALS[:done], length
    path.write_bytes(whole[: len(whole) - 5])
    with journal.opened("rain", {"code": "1"}, "f" * 64, "code") as record:
        record.append(TRIALS[2])
    assert path.read_bytes() == whole


def test_what_follows_a_line_that_is_not_ours_is_dropped() -> None:
    """A later trial was proposed by what is lost."""
    path = write()
    lines = path.read_bytes().splitlines(keepends=True)
    for wrong in (b"{}\n", b"[" * 10**5 + b"\n", lines[3], b"null\n", b"\xff\n"):
        path.write_bytes(lines[0] + lines[1] + wrong + lines[3])
        assert read() == TRIALS[:1]


def test_types_survive() -> None:
    """An integer stays one, and so does a float; estimates of both kinds give the same bounds."""
    write()
    found = read()
    assert [type(trial.settings["a"]) for trial in found] == [float, int, float]
    assert found[1].gain == Estimate(*SIX)
    two = Trial(number=0, settings={}, gained=(SIX, SIX))
    assert Trial.model_validate_json(two.model_dump_json()).gain == Nearer(Estimate(*SIX), Estimate(*SIX))


def test_only_one_process_is_at_a_search() -> None:
    """The other one is told which file, and waits."""
    with (
        journal.opened("rain", {"code": "1"}, "f" * 64, "code"),
        pytest.raises(PerenneError, match=r"^tune/rain-f{12}\.jsonl: another perenne tune is at this search"),
        journal.opened("rain", {"code": "1"}, "f" * 64, "code"),
    ):
        pass


@pytest.mark.parametrize("at", ["tune", "tune/rain-ffffffffffff.jsonl"])
def test_record_that_cannot_be_written_is_one_line(at: str) -> None:
    """As a file lies where its folder must, or a folder where it must."""
    if "/" in at:
        Path(at).mkdir(parents=True)
    else:
        Path(at).touch()
    with pytest.raises(PerenneError, match=f"^{at}: .*; the record of a search lies there$"):
        read()


def test_changed_inputs_are_named() -> None:
    """Beside the latest record of the same case; nothing is said where there is none, or it is unreadable."""
    now = {"code": "1", "data": "2"}
    assert journal.changed_since("rain", now, "f" * 64) == []
    write()
    assert journal.changed_since("rain", now, "f" * 64) == []
    assert journal.changed_since("rain", now, "e" * 64) == ["data"]
    assert journal.changed_since("snow", now, "e" * 64) == []
    Path("tune/rain-ffffffffffff.jsonl").write_bytes(b"[]\n")
    assert journal.changed_since("rain", now, "e" * 64) == []


def begun(name: str, rows: str) -> int:
    """Begin a search, or go on with it; return which one on its rows it is."""
    with journal.opened("rain", {"code": name, "rows": rows}, name * 64, "rows") as record:
        return record.search


def test_searches_on_the_same_rows_are_counted() -> None:
    """Whatever else differs, and however often one goes on; what an earlier version wrote is one more."""
    assert [begun(name, "1") for name in "abab"] == [1, 2, 1, 2]
    assert begun("c", "2") == 1
    old = Path("tune/rain-dddddddddddd.jsonl")
    old.write_bytes(b'{"inputs": {"code": "d", "rows": "1"}}\n')
    assert begun("e", "1") == 4
    Path("tune/rain-aaaaaaaaaaaa.jsonl").unlink()
    assert begun("f", "1") == 5, "a record that was deleted counts as long as a later one is there"
    assert begun("d", "1") == 1
