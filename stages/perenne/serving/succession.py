"""How a process that serves gives its place to a new one, which runs the code of another version.

Two versions of one module cannot live in one process. So the new one starts beside the old, with the code of
its version first on the path and in an environment of its lock. It loads the version, checks it as any swap
is checked, and says that it is ready. Only then the old one accepts no more, and finishes what it has.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any, Protocol

from pydantic import ConfigDict, Field

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import CODE_FOLDER
from perenne.common.typed import Model
from perenne.registry.tags import Version
from perenne.serving import code_identity, lock_environment
from perenne.serving.channel import Letter
from perenne.serving.code_identity import Code, CodeFile
from perenne.serving.generation import with_shared, without_shared
from perenne.serving.lock_environment import Environment
from perenne.serving.mailbox import Mailbox
from perenne.serving.spawned import Spawned, ending, spawn

SECONDS_TO_DOWNLOAD = 1_860.0  # which the download itself limits to less
SECONDS_TO_LOAD = 120.0


class Hello(Model):
    """What a new process is to serve, and what the old one knows. A newer Perenne may say more."""

    model_config = ConfigDict(extra="ignore")

    name: str
    stage: str
    version: str
    require_signed: bool
    settings: dict[str, Any]  # those of `ServeSettings` that are not the default: an older one knows fewer
    files: list[list[str]] = Field(default_factory=list)  # path and blob of each
    lock: str = ""
    code_names: list[str] = Field(default_factory=list)
    operator: Environment
    names: dict[str, str] = Field(default_factory=dict)
    refused: Annotated[tuple[str, str], Field(strict=False)] | None = None
    swaps: int = 0
    refusals: int = 0
    first: bool = False
    folder: str | None = None
    leads: bool = True

    @property
    def code(self) -> Code:
        """The code that the process runs."""
        files = tuple(CodeFile(path, blob) for path, blob in self.files)
        return Code(files, self.lock, tuple(self.code_names))


class Link(Protocol):
    """The old process's side of a change: to its child, or to the supervisor, which passes everything on."""

    def send(self, kind: str, *files: int, **says: object) -> None:
        """Send a message to the new process."""

    async def next(self) -> Letter:
        """The next message of the new process; `failed` once it has ended."""

    async def abandon(self) -> None:
        """Give the new process up."""


class Direct:
    """To a child of this process."""

    def __init__(self, python: str, env: dict[str, str], listening: Sequence[int]) -> None:
        self.python, self.env = python, env
        self.child: Spawned = spawn(python, env, listening)
        self.mailbox = Mailbox(self.child.channel)

    def send(self, kind: str, *files: int, **says: object) -> None:
        """Send a message to the new process."""
        self.child.channel.send(kind, *files, **says)

    async def next(self) -> Letter:
        """The next message of the new process; `failed` once it has ended."""
        letter = await self.mailbox.next()
        if letter is None:
            status = await asyncio.to_thread(self.child.wait)
            return Letter("failed", {"why": f"its process ended with {ending(status)}"})
        return letter

    async def abandon(self) -> None:
        """Give the new process up."""
        self.mailbox.stop()
        await asyncio.to_thread(self.child.kill)
        without_shared(self.env)


class Relayed:
    """To a child of the supervisor, which is the parent of this process as well."""

    def __init__(self, parent: Mailbox, attempt: int) -> None:
        self._parent = parent
        self._attempt = attempt

    def send(self, kind: str, *files: int, **says: object) -> None:
        """Send a message to the new process."""
        self._parent.channel.send(kind, *files, **says)

    async def next(self) -> Letter:
        """The next message of the new process; `failed` once it has ended."""
        while True:
            letter = await self._parent.next()
            if letter is None:
                return Letter("failed", {"why": "the service is ending"})
            if letter.says.get("attempt") == self._attempt:  # not one of a process that was given up
                return letter

    async def abandon(self) -> None:
        """Give the new process up."""
        with suppress(OSError):
            self.send("abandon")


class Succession:
    """The place of a process that serves.

    Parameters
    ----------
    code
        What this process runs; without files of a project's own in the process that an operator starts.
    operator
        The environment that the operator made.
    parent
        The supervisor; None in the process that the operator started.
    alone
        Whether one process serves. Otherwise the one that the operator started serves nothing, and no process
        has the sockets: the supervisor deals connections.

    Attributes
    ----------
    link
        To the process that serves from now on; None as long as this one does.
    listening
        Returns the file descriptors of the sockets that the service listens on.
    leave
        Called as soon as another process serves, before anything else happens here.

    """

    def __init__(
        self, code: Code, operator: Environment, parent: Mailbox | None = None, *, alone: bool = True
    ) -> None:
        self.code = code
        self.link: Link | None = None
        self.listening: Callable[[], Awaitable[Sequence[int]]]
        self.leave: Callable[[Link], None] = lambda _: None
        self._pending: Link | None = None
        self._stopped = False
        self.operator = operator
        self._parent = parent
        self._alone = alone
        self._attempts = 0

    @property
    def serves(self) -> bool:
        """Whether this process may serve."""
        return self._alone or self._parent is not None

    def runs(self, code: Code, version: Version) -> bool:
        """Whether a version can be served by this process.

        Parameters
        ----------
        code
            Of the version.
        version
            Which is to be served.

        """
        return code.files == self.code.files and self._environment(code, version) is lock_environment.here()

    def place_for(self, code: Code, version: Version) -> Environment | None:
        """Where a version has to run: None in this process, otherwise the environment of a new one.

        Called in a thread: it may take minutes to make an environment.

        Parameters
        ----------
        code
            Of the version.
        version
            Which is to be served.

        Raises
        ------
        PerenneError
            If an environment is needed and cannot be made.

        """
        if self.serves and self.runs(code, version):
            return None
        known = self._environment(code, version)
        if known and (not code.lock or lock_environment.intact(known)):
            return known
        return lock_environment.made(git.blob(code.lock), version.commit, version.tag)

    def _environment(self, code: Code, version: Version) -> Environment | None:
        """The environment that has what a version's lock pins: this one, the operator's, or None."""
        here = lock_environment.here()
        if not code.lock:
            return here if here.same(self.operator) else self.operator
        if code.lock == self.code.lock:
            return here
        lock = git.blob(code.lock)
        known = (here, self.operator)
        return next((one for one in known if not lock_environment.unmet(lock, version.commit, one)), None)

    async def hand_over(self, hello: Hello, code: Code, place: Environment, tag: str) -> None:
        """Start a process that serves a version, and wait until it does. Afterwards `link` leads to it.

        Raises
        ------
        PerenneError
            If it does not: this process keeps serving.

        """
        path, env = list(place.path), {CODE_FOLDER: os.devnull}  # nothing from the working tree
        if code.files:
            folder = str(await asyncio.to_thread(code_identity.export, code))
            path, env = [folder, *path], {CODE_FOLDER: folder}
        env |= {"PYTHONPATH": os.pathsep.join(path)}
        if self._stopped:
            raise PerenneError(f"{tag}: the service is ending")
        link = self._pending = self._start(place.python, env, await self.listening())
        try:
            link.send("hello", **hello.model_dump(mode="json"))
            await self._expect(link, "downloaded", SECONDS_TO_DOWNLOAD, tag)
            await self._expect(link, "ready", SECONDS_TO_LOAD, tag)
            link.send("go")
        except OSError as error:
            await link.abandon()
            raise PerenneError(f"{tag}: its process ended before it was ready") from error
        except BaseException:
            await link.abandon()
            raise
        finally:
            self._pending = None
        self.link = link
        self.leave(link)

    def retire(self) -> None:
        """Give the place of this process to those that serve now."""
        if self._parent and self.link is None:
            self.link = Relayed(self._parent, 0)
            self.leave(self.link)

    def stop(self) -> None:
        """Start no process any more, and end one that is not ready. Called by the handler of a signal."""
        self._stopped = True
        if isinstance(self._pending, Direct):
            self._pending.child.signal(signal.SIGTERM)

    def _start(self, python: str, env: dict[str, str], listening: Sequence[int]) -> Link:
        if self._parent is None:
            try:
                if self._alone:
                    return Direct(python, env, listening)
                return Direct(python, with_shared(env), ())
            except OSError as error:
                raise PerenneError(f"{python}: {error.strerror}") from error
        self._attempts += 1
        self._parent.channel.send("spawn", python=python, env=env, attempt=self._attempts)
        return Relayed(self._parent, self._attempts)

    @staticmethod
    async def _expect(link: Link, kind: str, seconds: float, tag: str) -> None:
        try:
            async with asyncio.timeout(seconds):
                letter = await link.next()
        except TimeoutError as error:
            raise PerenneError(f"{tag}: its process was not {kind} within {seconds:g} s") from error
        if letter.kind != kind:
            why = letter.text("why") or f"its process said {letter.kind!r}, expected {kind!r}"
            raise PerenneError(why if tag in why else f"{tag}: {why}")
