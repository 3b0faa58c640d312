"""The process that an operator started, once others serve: it passes on signals, and holds the socket.

A server that has given its place to a process with other code becomes this by `exec`: the same process to
systemd or Docker, with nothing in memory but this module. It has the listening sockets, so that no connection
is lost while nobody accepts, and starts the next process when the serving one needs it. So does a service of
several workers from its start: then this process deals the connections, and replaces a worker that has ended.

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
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Never

from perenne.serving.channel import Channel, Letter
from perenne.serving.dealer import Dealer
from perenne.serving.generation import Generation, with_shared, without_shared
from perenne.serving.spawned import ISOLATED, Spawned, ending

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 5.0  # seconds that the process that serves goes on for one that still gives connections to it


def become(
    heir: Spawned,
    python: str,
    env: Mapping[str, str],
    listening: Sequence[int],
    caught: Sequence[int],
    workers: int = 1,
) -> Never:
    """Replace the program of this process.

    Parameters
    ----------
    heir
        The process that serves now.
    python, env
        With which it was started.
    listening
        File descriptors of the sockets that the service listens on.
    caught
        Signals that have arrived and were not acted upon yet.
    workers
        How many are to serve.

    """
    # From here to `Supervisor.run` signals wait: the system keeps them over the change of programs.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for known in SIGNALS:
        signal.signal(known, signal.SIG_DFL)
    for number in caught:
        os.kill(os.getpid(), number)
    for file in (heir.channel.fileno(), *listening):
        os.set_inheritable(file, True)  # noqa: FBT003 -- as `os` has it
    state = {
        "pid": heir.pid,
        "channel": heir.channel.fileno(),
        "python": python,
        "env": {**env},
        "listening": [*listening],
        "workers": workers,
    }
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, *ISOLATED, "perenne.serving.supervisor", json.dumps(state)]
    os.execv(sys.executable, command)  # noqa: S606 -- no shell


class Supervisor:
    """Those that serve, beside them sometimes the next ones, and those that still finish their requests.

    Parameters
    ----------
    serving
        The processes that serve now. A single one that is to be alone has the sockets itself.
    listening
        File descriptors of the sockets that the service listens on.

    """

    def __init__(self, serving: Generation, listening: Sequence[int]) -> None:
        self._serving = serving
        self._listening = listening
        self._next: Generation | None = None
        self._said: Counter[str] = Counter()  # by the next ones
        self._hello: Mapping[str, object] = {}
        self._attempt: object = None
        self._leaving: list[Generation] = []
        self._stopped_by: int | None = None
        self._until = 0.0
        self._dealer = Dealer(listening) if serving.workers > 1 else None
        self._waiting = selectors.DefaultSelector()
        for child in serving.crew:
            self._watch(child)
            if self._dealer:
                self._dealer.add(child)

    def run(self) -> Never:
        """Work until none serves any more; then end as the last one has, or by the signal that arrived."""
        signals, woken = socket.socketpair()
        woken.setblocking(False)  # noqa: FBT003 -- as sockets have it
        signal.set_wakeup_fd(woken.fileno())
        for known in (*SIGNALS, signal.SIGCHLD):
            signal.signal(known, lambda *_: None)  # its number arrives at the other end
        self._waiting.register(signals, selectors.EVENT_READ)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self._serving.fill()
        while True:
            self._listen()
            for key, _ in self._waiting.select(0.1 if self._stopped_by else None):
                if key.fileobj is signals:
                    for number in signals.recv(64):
                        if number != signal.SIGCHLD:
                            self._stop(number)
                    self._reap()
                elif key.fileobj not in self._waiting.get_map():
                    continue  # it has ended meanwhile
                elif self._dealer and isinstance(key.fileobj, socket.socket):
                    self._dealer.accept(key.fileobj)
                else:
                    self._read(key.data)
            if self._stopped_by and (not self._leaving or time.monotonic() > self._until):
                _signal(self._serving.all, signal.SIGTERM)
                self._until = float("inf")

    def _watch(self, child: Spawned) -> None:
        self._waiting.register(child.channel, selectors.EVENT_READ, child)

    def _listen(self) -> None:
        """Accept connections as long as there is a worker that takes them."""
        if not self._dealer:
            return
        known, wanted = self._waiting.get_map(), not (self._stopped_by or self._dealer.full)
        for each in self._dealer.sockets:
            if wanted and each not in known:
                self._waiting.register(each, selectors.EVENT_READ)
            elif not wanted and each in known:
                self._waiting.unregister(each)

    def _generations(self) -> list[Generation]:
        return [self._serving, *self._leaving, *([self._next] if self._next else ())]

    def _reap(self) -> None:
        """Let go of what the server has started before it became this, and in a container of any orphan."""
        if sys.platform != "linux":
            return
        ours = {child.pid for generation in self._generations() for child in generation.all}
        peek = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, peek)) and ended.si_pid not in ours:
                os.waitpid(ended.si_pid, 0)

    def _stop(self, number: int) -> None:
        """End the service: those that give connections to the serving processes first.

        The second time is an order, as uvicorn has it: nobody waits for requests any more.
        """
        if self._stopped_by is not None:
            _signal(self._serving.all, number)
            return
        self._stopped_by, self._until = number, time.monotonic() + PATIENCE
        self._serving.workers = 0
        if self._dealer:
            self._listen()
            self._dealer.close()
        for generation in self._generations()[1:]:
            _signal(generation.all, signal.SIGTERM)

    def _read(self, child: Spawned) -> None:
        letters = child.channel.receive()
        if letters is None:
            self._ended(child)
            return
        for letter in letters:
            if self._next and child in self._next.crew:
                self._pass_on(self._next, child, letter)
            else:
                self._do(child, letter)

    def _pass_on(self, successors: Generation, child: Spawned, letter: Letter) -> None:
        """Let the serving process know what all of the next ones have said, or that one has failed."""
        if letter.kind == "downloaded" and child is successors.crew[0]:  # the others need not
            for other in successors.crew[1:]:
                other.tell("hello", **{**self._hello, "leads": False, "folder": letter.text("folder")})
        self._said[letter.kind] += 1
        if letter.kind == "failed" or self._said[letter.kind] == len(successors.crew):
            self._serving.crew[0].tell(letter.kind, **{**letter.says, "attempt": self._attempt})

    def _do(self, child: Spawned, letter: Letter) -> None:
        """What a process that serves, or did until now, asks for."""
        generation = next(one for one in self._generations() if child in one.all)
        leads = child is self._serving.crew[0]
        if letter.kind == "spawn" and leads:
            self._spawn(letter)
        elif letter.kind == "abandon" and leads:
            self._drop_next()
        elif letter.kind == "go" and leads and self._next:
            self._change(self._next)
        elif letter.kind == "hello" and leads and self._next:
            self._hello = letter.says
            self._next.crew[0].tell("hello", **letter.says)
        elif letter.kind == "hire" and leads:
            for new in self._serving.hire(letter):
                self._watch(new)
        elif letter.kind == "ready" and child in self._serving.joining:
            self._serving.join(child)
            if self._dealer:
                self._dealer.add(child)
        elif letter.kind == "taken" and self._dealer:
            self._dealer.taken(child, letter.number("connections"))
        elif letter.kind == "connection" and generation is not self._serving:
            if self._dealer:
                for file in letter.files:
                    self._dealer.deal(file)
                return
            self._serving.crew[0].tell("connection", *letter.files)
        else:
            generation.do(child, letter)
        for file in letter.files:
            os.close(file)

    def _change(self, successors: Generation) -> None:
        """Let the next processes serve. Those that did until now give them their connections."""
        before, self._serving, self._next = self._serving, successors, None
        self._leaving.append(before)
        if self._dealer:
            for child in before.crew:
                self._dealer.leave(child)
            for child in successors.crew:
                self._dealer.add(child)
        before.retire()
        for child in successors.crew:
            child.tell("go")

    def _spawn(self, letter: Letter) -> None:
        self._drop_next()
        self._attempt = letter.says["attempt"]
        self._said.clear()
        env = letter.says["env"]
        assert isinstance(env, dict)  # noqa: S101 -- by our own code
        variables = with_shared(env) if self._dealer else env
        self._next = successors = Generation(letter.text("python"), variables, self._serving.workers)
        try:
            for _ in range(successors.workers):
                successors.crew.append(successors.spawn(() if self._dealer else self._listening))
                self._watch(successors.crew[-1])
        except OSError as error:
            self._drop_next()
            why = f"{letter.text('python')}: {error.strerror}"
            self._serving.crew[0].tell("failed", why=why, attempt=self._attempt)

    def _drop_next(self) -> None:
        if self._next:
            for child in self._next.all:
                self._waiting.unregister(child.channel)
                child.kill()
            without_shared(self._next.env)
            self._next = None

    def _ended(self, child: Spawned) -> None:
        self._waiting.unregister(child.channel)
        status = child.wait()
        if self._next and child in self._next.crew:
            self._next.crew.remove(child)
            self._drop_next()
            why = f"its process ended with {ending(status)}"
            self._serving.crew[0].tell("failed", why=why, attempt=self._attempt)
            return
        if self._dealer:
            self._dealer.lost(child)
        generation = next(one for one in self._generations() if child in one.all)
        if generation is self._serving and child is generation.crew[0]:
            self._drop_next()  # it was to take the place of this one
        generation.remove(child)
        if generation is self._serving:
            if not generation.crew:
                self._end(status)
            if not self._stopped_by:
                print(f"error: a worker ended with {ending(status)}", file=sys.stderr, flush=True)
        elif not generation.all:
            self._leaving.remove(generation)

    def _end(self, status: int) -> Never:
        self._drop_next()
        for generation in self._generations():
            for child in generation.all:
                if generation is self._serving:
                    child.signal(signal.SIGKILL)  # it was not ready yet
                child.wait()
            without_shared(generation.env)
        if self._stopped_by is not None:
            signal.signal(self._stopped_by, signal.SIG_DFL)
            os.kill(os.getpid(), self._stopped_by)
        print(f"error: the process that serves ended with {ending(status)}", file=sys.stderr, flush=True)
        sys.exit(status if status > 0 else 128 - status)


def _signal(children: Sequence[Spawned], number: int) -> None:
    for child in children:
        child.signal(number)


def main() -> None:
    """Run the command line."""
    state = json.loads(sys.argv[1])
    serving = Generation(state["python"], state["env"], state["workers"])
    serving.crew.append(Spawned(state["pid"], Channel(socket.socket(fileno=state["channel"]))))
    Supervisor(serving, state["listening"]).run()


if __name__ == "__main__":
    main()
