"""The processes that serve with the same code: the first follows the tag, and the others do as it does."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from perenne.serving.channel import Letter
from perenne.serving.spawned import Spawned, spawn

# The folder of the workers of a service. They keep their counters there, in files that a scrape adds up, and
# what is downloaded. The variable is prometheus_client's own, which it reads as soon as it is imported.
SHARED = "PROMETHEUS_MULTIPROC_DIR"


def with_shared(env: Mapping[str, str]) -> dict[str, str]:
    """Variables of processes, with a new folder that they share."""
    return {**env, SHARED: tempfile.mkdtemp(prefix="perenne-workers-")}


def without_shared(env: Mapping[str, str]) -> None:
    """Remove the folder that `with_shared` has made, if there is one."""
    if SHARED in env:
        shutil.rmtree(env[SHARED], ignore_errors=True)


class Generation:
    """Processes that are started alike, and what they say to each other.

    Parameters
    ----------
    python
        Their interpreter.
    env
        Their variables, on top of those of this process.
    workers
        How many are to serve; 0: none is replaced.

    Attributes
    ----------
    crew
        Those that serve. The first one leads: it follows the tag, and the others do as it does.
    joining
        Those that will, once they are ready.

    """

    def __init__(self, python: str, env: Mapping[str, str], workers: int) -> None:
        self.python = python
        self.env = env
        self.workers = workers
        self.crew: list[Spawned] = []
        self.joining: list[Spawned] = []
        self._state: Mapping[str, object] | None = None  # what the first one serves
        self._unaware: set[Spawned] = set()  # of the state, as yet
        self._asking: list[Spawned] = []  # that wait until the registry was read
        self._standing: dict[int, Mapping[str, object]] = {}  # by process

    @property
    def all(self) -> list[Spawned]:
        """All of them."""
        return [*self.crew, *self.joining]

    def spawn(self, listening: Sequence[int]) -> Spawned:
        """Start one; see `spawned.spawn`."""
        return spawn(self.python, self.env, listening)

    def fill(self) -> None:
        """Have the first one say what new ones are to serve, if some are missing."""
        if len(self.all) < self.workers:
            self.crew[0].tell("short")

    def hire(self, hello: Letter) -> list[Spawned]:
        """Start those that are missing, and return them.

        One that is killed on the way is started again when the first one has next looked at the tag.
        """
        new = []
        try:
            while len(self.all) < self.workers:
                new.append(self.spawn(()))
                self.joining.append(new[-1])
        except OSError as error:
            _say(f"{self.python}: {error.strerror}")
        for child in new:
            child.tell("hello", **hello.says)
            if self._state:
                child.tell("state", **self._state)
        return new

    def join(self, child: Spawned) -> None:
        """Let one that is ready serve."""
        self.joining.remove(child)
        self.crew.append(child)
        for says in self._standing.values():
            child.tell("standing", **says)
        child.tell("go")

    def retire(self) -> None:
        """Let them leave, and replace none of them: others serve now."""
        self.workers = 0
        for child in self.joining:
            child.signal(signal.SIGKILL)
        for child in self.crew[1:]:
            child.tell("leave")  # the first one does already

    def do(self, child: Spawned, letter: Letter) -> None:
        """What one of them has said to the others."""
        leads = bool(self.crew) and child is self.crew[0]
        match letter.kind:
            case "state" if leads:
                self._state = letter.says
                self._unaware = {*self.crew[1:]}
                for other in self.all[1:]:
                    other.tell("state", **letter.says)
                self._heard()
                self.fill()
            case "heard" if self._state and letter.says == {"number": self._state["number"]}:
                self._unaware.discard(child)
                self._heard()
            case "reload":
                self._asking.append(child)
                self.crew[0].tell("reload")
            case "reloaded" if leads:
                self._answer(**letter.says)
            case "standing":
                self._stands(child, letter.says)
            case "failed":  # before it was ready
                _say(f"a worker: {letter.text('why')}")

    def remove(self, child: Spawned) -> None:
        """Forget one that has ended. What it has counted stays, and what it was just then does not."""
        led, served = bool(self.crew) and child is self.crew[0], child in self.crew
        self.crew = [one for one in self.crew if one is not child]
        self.joining = [one for one in self.joining if one is not child]
        self._asking = [one for one in self._asking if one is not child]
        if folder := self.env.get(SHARED):
            for file in Path(folder).glob(f"gauge_live*_{child.pid}.db"):
                file.unlink(missing_ok=True)
        if not self.all:
            without_shared(self.env)
        if led and not self.workers:
            self._answer(why="the service is changing; try again")
        if not (self.crew and self.workers):
            return
        if child.pid in self._standing:
            self._stands(child, {})
            del self._standing[child.pid]
        if led:
            self.crew[0].tell("lead")
            self._unaware.clear()
            if self._asking:
                self.crew[0].tell("reload")
        elif child in self._unaware:
            self._unaware.discard(child)
            self._heard()
        if served:
            self.fill()

    def _answer(self, **says: object) -> None:
        """Let those that wait for it know what has become of the registry."""
        for asking in self._asking:
            asking.tell("reloaded", **says)
        self._asking.clear()

    def _heard(self) -> None:
        """Let the first one know once all others do as it does."""
        if self._state and not self._unaware:
            self.crew[0].tell("heard", number=self._state["number"])

    def _stands(self, child: Spawned, says: Mapping[str, object]) -> None:
        """Let the others know how one is."""
        self._standing[child.pid] = {**says, "pid": child.pid}
        for other in self.crew:
            if other is not child:
                other.tell("standing", **self._standing[child.pid])


def _say(line: str) -> None:
    print(f"error: {line}", file=sys.stderr, flush=True)
