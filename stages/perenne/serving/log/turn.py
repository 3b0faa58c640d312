"""How several processes write one file of SQLite all the time: in turn, and waiting for the disk together.

SQLite lets who waits sleep for longer and longer, up to a tenth of a second, and whoever asks at the right
moment goes first: of two busy writers one may wait for seconds. Who waits for a lock is woken at once.

SQLite also keeps the others waiting until its commit is on disk, which takes most of the time. Here a commit
ends once the system has it (`synchronous=NORMAL`), the next process has its turn, and who has committed waits
for the disk by itself, with others if they do: what is acknowledged is on disk, as ever. A power cut may take
what is not acknowledged yet, and leaves the file whole.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from sqlite3 import Connection

NEXT, TURN = 0, 1  # bytes of the file


class Turn:
    """The turns of one process. Only one of its threads may write.

    Parameters
    ----------
    database
        The file of SQLite. Beside it is an empty one, which says whose turn it is.

    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._turns: int | None = None
        self._wal: int | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait until it is this process's turn, and give it up afterwards.

        Whoever has had a turn waits behind the one who is next, who keeps that place until it has its turn.
        SQLite's own locks keep what is written safe; where a file system has no others, nobody waits here.
        """
        with suppress(OSError):
            if self._turns is None:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._turns = os.open(f"{self._database}-turn", flags, 0o644)
            fcntl.lockf(self._turns, fcntl.LOCK_EX, 1, NEXT)
            fcntl.lockf(self._turns, fcntl.LOCK_EX, 1, TURN)
            fcntl.lockf(self._turns, fcntl.LOCK_UN, 1, NEXT)
        try:
            yield
        finally:
            if self._turns is not None:
                with suppress(OSError):
                    fcntl.lockf(self._turns, fcntl.LOCK_UN, 1, TURN)

    def sync(self) -> None:
        """Wait until all that was committed is on disk.

        Raises
        ------
        OSError
            If the disk fails.

        """
        if self._wal is None:
            self._wal = os.open(f"{self._database}-wal", os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(self._wal)

    def close(self) -> None:
        """Close the files."""
        for file in (self._turns, self._wal):
            if file is not None:
                os.close(file)
        self._turns = self._wal = None


def synced_by_turn(connection: Connection, _: object) -> None:
    """Let a new connection leave it to `Turn.sync` to wait for the disk."""
    connection.execute("PRAGMA synchronous=NORMAL").close()
