"""The process that an operator started, once another one serves: it passes on signals, and holds the socket.

A server that has given its place to a process with other code becomes this by `exec`: the same process to
systemd or Docker, with nothing in memory but this module. It has the listening sockets, so that no connection
is lost while nobody accepts, and starts the next process when the serving one needs it.

    python -m perenne.serving.supervisor STATE
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Never

from perenne.serving.channel import Channel, Letter
from perenne.serving.spawned import ISOLATED, Spawned, ending, spawn

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 5.0  # seconds that the process that serves goes on for one that still gives connections to it


def become(heir: Spawned, listening: Sequence[int], caught: Sequence[int]) -> Never:
    """Replace the program of this process.

    Parameters
    ----------
    heir
        The process that serves now.
    listening
        File descriptors of the sockets that it listens on.
    caught
        Signals that have arrived and were not acted upon yet.

    """
    # From here to `Supervisor.run` signals wait: the system keeps them over the change of programs.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for known in SIGNALS:
        signal.signal(known, signal.SIG_DFL)
    for number in caught:
        os.kill(os.getpid(), number)
    for file in (heir.channel.fileno(), *listening):
        os.set_inheritable(file, True)  # noqa: FBT003 -- as `os` has it
    state = {"pid": heir.pid, "channel": heir.channel.fileno(), "listening": [*listening]}
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, *ISOLATED, "perenne.serving.supervisor", json.dumps(state)]
    os.execv(sys.executable, command)  # noqa: S606 -- no shell


class Supervisor:
    """One serving process, beside it sometimes the next one, and those that still finish their requests.

    Parameters
    ----------
    serving
        The process that serves now.
    listening
        File descriptors of the sockets that it listens on.

    """

    def __init__(self, serving: Spawned, listening: Sequence[int]) -> None:
        self._serving = serving
        self._listening = listening
        self._next: Spawned | None = None
        self._attempt: object = None
        self._leaving: list[Spawned] = []
        self._stopped_by: int | None = None
        self._until = 0.0
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(serving.channel, selectors.EVENT_READ, serving)

    def run(self) -> Never:
        """Work until the serving process has ended; then end as it has, or by the signal that arrived."""
        signals, woken = socket.socketpair()
        woken.setblocking(False)  # noqa: FBT003 -- as sockets have it
        signal.set_wakeup_fd(woken.fileno())
        for known in (*SIGNALS, signal.SIGCHLD):
            signal.signal(known, lambda *_: None)  # its number arrives at the other end
        self._waiting.register(signals, selectors.EVENT_READ)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        while True:
            for key, _ in self._waiting.select(0.1 if self._stopped_by else None):
                if key.fileobj is signals:
                    for number in signals.recv(64):
                        if number != signal.SIGCHLD:
                            self._stop(number)
                    self._reap()
                elif key.fileobj in self._waiting.get_map():  # it may have ended meanwhile
                    self._read(key.data)
            if self._stopped_by and (not self._leaving or time.monotonic() > self._until):
                self._serving.signal(signal.SIGTERM)
                self._until = float("inf")

    def _reap(self) -> None:
        """Let go of what the server has started before it became this, and in a container of any orphan."""
        if sys.platform != "linux":
            return
        ours = {child.pid for child in (self._serving, *self._leaving, *([self._next] if self._next else ()))}
        peek = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, peek)) and ended.si_pid not in ours:
                os.waitpid(ended.si_pid, 0)

    def _stop(self, number: int) -> None:
        """End the service: those that give connections to the serving process first.

        The second time is an order, as uvicorn has it: nobody waits for requests any more.
        """
        if self._stopped_by is not None:
            self._serving.signal(number)
            return
        self._stopped_by, self._until = number, time.monotonic() + PATIENCE
        for child in (*self._leaving, *([self._next] if self._next else ())):
            child.signal(signal.SIGTERM)

    def _read(self, child: Spawned) -> None:
        letters = child.channel.receive()
        if letters is None:
            self._ended(child)
            return
        for letter in letters:
            if child is self._next:
                self._tell(self._serving, letter.kind, **{**letter.says, "attempt": self._attempt})
            else:
                self._do(child, letter)

    def _do(self, child: Spawned, letter: Letter) -> None:
        """What a process that serves, or did until now, asks for."""
        successor = self._next if child is self._serving else self._serving
        if letter.kind == "spawn" and child is self._serving:
            self._spawn(letter)
        elif letter.kind == "abandon":
            self._drop_next()
        elif letter.kind == "go" and self._next:
            self._tell(self._next, "go")
            self._leaving.append(self._serving)
            self._serving, self._next = self._next, None
        elif letter.kind in ("hello", "connection") and successor:
            self._tell(successor, letter.kind, *letter.files, **letter.says)
        for file in letter.files:
            os.close(file)

    def _spawn(self, letter: Letter) -> None:
        self._drop_next()
        self._attempt = letter.says["attempt"]
        env = letter.says["env"]
        assert isinstance(env, dict)  # noqa: S101 -- by our own code
        try:
            self._next = spawn(letter.text("python"), env, self._listening)
        except OSError as error:
            why = f"{letter.text('python')}: {error.strerror}"
            self._tell(self._serving, "failed", why=why, attempt=self._attempt)
            return
        self._waiting.register(self._next.channel, selectors.EVENT_READ, self._next)

    @staticmethod
    def _tell(child: Spawned, kind: str, *files: int, **says: object) -> None:
        """Send a message; whoever has ended meanwhile need not know."""
        with suppress(OSError):
            child.channel.send(kind, *files, **says)

    def _drop_next(self) -> None:
        if self._next:
            self._waiting.unregister(self._next.channel)
            self._next.kill()
            self._next = None

    def _ended(self, child: Spawned) -> None:
        self._waiting.unregister(child.channel)
        status = child.wait()
        if child is self._next:
            self._next = None
            why = f"its process ended with {ending(status)}"
            self._tell(self._serving, "failed", why=why, attempt=self._attempt)
        elif child is self._serving:
            self._end(status)
        else:
            self._leaving.remove(child)

    def _end(self, status: int) -> Never:
        if self._next:
            self._next.kill()
        for child in self._leaving:
            child.wait()
        if self._stopped_by is not None:
            signal.signal(self._stopped_by, signal.SIG_DFL)
            os.kill(os.getpid(), self._stopped_by)
        print(f"error: the process that serves ended with {ending(status)}", file=sys.stderr, flush=True)
        sys.exit(status if status > 0 else 128 - status)


def main() -> None:
    """Run the command line."""
    state = json.loads(sys.argv[1])
    channel = Channel(socket.socket(fileno=state["channel"]))
    Supervisor(Spawned(state["pid"], channel), state["listening"]).run()


if __name__ == "__main__":
    main()
