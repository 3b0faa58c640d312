"""A worker whose process is played by the test."""

from __future__ import annotations

import os

from perenne.serving.channel import Channel, Letter
from perenne.serving.spawned import Spawned


class Worker:
    """Both ends of its channel, and the files that it was sent.

    Parameters
    ----------
    pid
        Of a process that does not exist.

    """

    def __init__(self, pid: int) -> None:
        channel, other = Channel.pair()
        self.child = Spawned(pid, channel)
        self.end = Channel(other)
        self._files: list[int] = []

    def got(self) -> list[Letter]:
        """Return the letters that have arrived."""
        letters: list[Letter] = []
        while some := self.end.receive():
            letters += some
        self._files += [file for letter in letters for file in letter.files]
        return letters

    def let_go(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.pop())

    def close(self) -> None:
        """Close all."""
        self.got()
        self.let_go()
        self.end.close()
        self.child.channel.close()
