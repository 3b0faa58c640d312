"""Accepts connections, and deals them to workers.

Neither of the usual ways does as well on every system. Of workers that share a listening socket each gets
what it is quick to take, so that one may have nearly all; sockets of their own (SO_REUSEPORT) are balanced by
Linux alone, and a worker that dies takes those along that wait for it.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from perenne.serving.channel import MOST_FILES
from perenne.serving.spawned import Spawned

BACKLOG = 2_048  # as uvicorn has it


class Dealer:
    """Gives each connection to the next worker that has the fewest on their way to it.

    A connection stays open here until its worker has taken it. So it goes to another one if that worker dies
    before, and one that hangs gets no more.

    Parameters
    ----------
    listening
        File descriptors of the sockets to accept connections on.

    Attributes
    ----------
    sockets
        The same, as sockets.

    """

    def __init__(self, listening: Sequence[int]) -> None:
        self.sockets = [socket.socket(fileno=file) for file in listening]
        self._turns: deque[Spawned] = deque()
        self._untaken: dict[Spawned, deque[int]] = {}
        for each in self.sockets:
            each.setblocking(False)  # noqa: FBT003 -- as sockets have it
            each.listen(BACKLOG)

    @property
    def full(self) -> bool:
        """Whether each worker has as many on their way as it takes at once."""
        return all(len(self._untaken[child]) >= MOST_FILES for child in self._turns)

    def add(self, child: Spawned) -> None:
        """Deal to a worker from now on."""
        self._turns.append(child)
        self._untaken[child] = deque()

    def leave(self, child: Spawned) -> None:
        """Deal to it no more. It still takes what is on its way."""
        with suppress(ValueError):
            self._turns.remove(child)

    def lost(self, child: Spawned) -> None:
        """Deal what a worker that has ended has not taken to the others."""
        self.leave(child)
        for file in self._untaken.pop(child, ()):
            self.deal(file)

    def accept(self, listening: socket.socket) -> None:
        """Accept a connection and deal it."""
        with suppress(OSError):  # whoever has connected is gone
            accepted, _ = listening.accept()
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.deal(accepted.detach())

    def deal(self, file: int) -> None:
        """Deal a connection, by its file descriptor; the dealer owns it from now on."""
        if not self._turns:
            os.close(file)
            return
        child = min(self._turns, key=lambda one: len(self._untaken[one]))
        self._turns.remove(child)
        self._turns.append(child)
        self._untaken[child].append(file)
        with suppress(OSError):  # it has ended: what it has not taken is dealt again
            child.channel.send("connection", file)

    def taken(self, child: Spawned, number: int) -> None:
        """Let go of connections that a worker has taken, the oldest first."""
        for _ in range(number):
            os.close(self._untaken[child].popleft())

    def close(self) -> None:
        """Accept no more."""
        while self.sockets:
            self.sockets.pop().close()
