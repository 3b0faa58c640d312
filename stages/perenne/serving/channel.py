"""What the processes of one service say to each other: lines of JSON over a socket, with open files."""

from __future__ import annotations

import array
import json
import socket
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

MOST_FILES = 64  # taken at once
READ = 65_536  # bytes taken at once


class Letter(NamedTuple):
    """A message: its kind, what it says, and the files that were sent with it."""

    kind: str
    says: Mapping[str, object]
    files: tuple[int, ...] = ()

    def text(self, key: str) -> str:
        """What it says under a key, as text; empty if it says nothing."""
        return str(self.says.get(key, ""))

    def number(self, key: str) -> int:
        """The whole number under a key; 0 if there is none."""
        found = self.says.get(key)
        return found if isinstance(found, int) else 0


class Channel:
    """One end of a pair of sockets.

    Parameters
    ----------
    end
        A Unix stream socket; the channel owns it.

    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._text = b""
        self._files: deque[int] = deque()

    @staticmethod
    def pair() -> tuple[Channel, socket.socket]:
        """A channel, and the other end of it for another process."""
        mine, other = socket.socketpair()
        return Channel(mine), other

    def fileno(self) -> int:
        """The file descriptor, to wait for."""
        return self._end.fileno()

    def send(self, kind: str, *files: int, **says: object) -> None:
        """Send a message, and copies of open files; an `OSError` if nobody is at the other end."""
        data = json.dumps({"kind": kind, "files": len(files), "says": says}).encode() + b"\n"
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        self._end.sendall(data[self._end.sendmsg([data], rights) :])

    def receive(self) -> list[Letter] | None:
        """The messages that have arrived, without waiting; None once the other end is closed."""
        room = socket.CMSG_SPACE(MOST_FILES * array.array("i").itemsize)
        try:
            data, rights, _, _ = self._end.recvmsg(READ, room, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:  # such as a connection that was reset
            return None
        if not data:
            return None
        for level, kind, body in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                files = array.array("i")
                files.frombytes(body[: len(body) - len(body) % files.itemsize])
                self._files.extend(files)
        *lines, self._text = (self._text + data).split(b"\n")
        return [self._letter(line) for line in lines]

    def close(self) -> None:
        """Close this end: the other one sees it."""
        self._end.close()

    def _letter(self, line: bytes) -> Letter:
        content = json.loads(line)
        files = tuple(self._files.popleft() for _ in range(content["files"]))
        return Letter(content["kind"], content["says"], files)
