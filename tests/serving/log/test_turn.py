"""Several processes write one file of SQLite in turn, and nothing is acknowledged that is not on disk."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from perenne.serving.log.database import Database
from perenne.serving.log.records import Label
from perenne.serving.log.turn import TURN, Turn
from tests.project import ROOT
from tests.serving.log.hammer import entry

WRITE = """
import sys
from perenne.serving.log.database import Database
from tests.serving.log.hammer import entry
with Database(sys.argv[1], in_turn=True) as log:
    for number in range(100):
        log.write([entry(f"{sys.argv[2]}-{number}")])
"""
HOLD = """
import sys
from perenne.serving.log.turn import Turn
with Turn(sys.argv[1]).taken():
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_several_processes_write_in_turn(sqlite: str) -> None:
    """None of them fails, and all rows are there."""
    with Database(sqlite, in_turn=True):
        pass
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, sqlite, name], cwd=ROOT, env=_env()) for name in "ab"
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    with closing(sqlite3.connect(sqlite.removeprefix("sqlite:///"))) as log:
        assert log.execute("select count(*) from predictions").fetchone() == (200,)


def test_turn_of_a_killed_process_is_over(tmp_path: Path) -> None:
    """The next process does not wait for one that is gone."""
    file = str(tmp_path / "log.sqlite")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, file],
        cwd=ROOT,
        env=_env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "mine\n"
        with pytest.raises(BlockingIOError), Path(f"{file}-turn").open("r+b") as turns:
            fcntl.lockf(turns, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, TURN)
        holder.kill()
    turn = Turn(file)
    with turn.taken():
        pass
    turn.close()


def test_written_is_on_disk(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write returns after what it has committed was synced; in SQLite itself nothing waits for that."""
    synced: list[int] = []

    def fsync(file: int) -> None:
        with closing(sqlite3.connect(sqlite.removeprefix("sqlite:///"))) as log:
            synced.append(log.execute("select count(*) from predictions").fetchone()[0])
        assert os.fstat(file).st_ino == Path(f"{sqlite.removeprefix('sqlite:///')}-wal").stat().st_ino

    monkeypatch.setattr(os, "fsync", fsync)
    with Database(sqlite, in_turn=True) as database:
        database.write([entry("a")])
        assert synced == [1]
        database.write([entry("b")], [[Label("a", 1.0, entry("a").at)]])
        assert synced == [1, 2]
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1


def test_disk_that_fails_acknowledges_nothing(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error reaches who writes, and what was committed all the same leaves the write-ahead log."""
    file = Path(sqlite.removeprefix("sqlite:///"))
    with Database(sqlite, in_turn=True) as database:
        database.write([entry("a")])

        def fail(_: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as failing:
            failing.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="Input/output error"):
                database.write([entry("b")])
        assert Path(f"{file}-wal").stat().st_size == 0
        database.write([entry("b")])
        with closing(sqlite3.connect(file)) as log:
            assert log.execute("select count(*) from predictions").fetchone() == (2,)


def test_replaced_file_is_synced_where_it_is(sqlite: str) -> None:
    """A log that was removed is opened again, and that one is synced."""
    file = Path(sqlite.removeprefix("sqlite:///"))
    with Database(sqlite, in_turn=True) as database:
        database.write([entry("a")])
        for old in file.parent.iterdir():
            old.unlink()
        with pytest.raises(SQLAlchemyError, match="removed or replaced"):
            database.write([entry("b")])
        database.write([entry("b")])
        assert {one.name for one in file.parent.iterdir()} >= {file.name, f"{file.name}-turn"}


def _env() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT / 'stages'}{os.pathsep}{ROOT}"}
