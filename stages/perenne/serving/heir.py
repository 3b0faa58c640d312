"""A process that serves a version with its own code: started beside the old one, told what to serve.

python -m perenne.serving.heir CHANNEL SOCKET...    (file descriptors)
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import traceback
from asyncio import Runner
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import uvloop

from perenne.common.errors import PerenneError
from perenne.common.typed import parse
from perenne.serving.channel import Channel, Letter
from perenne.serving.mailbox import Mailbox
from perenne.serving.peers import Peers, ReloadAnswer, ServiceState
from perenne.serving.server import Server, log_lines, raise_again
from perenne.serving.service import Service
from perenne.serving.settings import ServeSettings
from perenne.serving.succession import Hello, Succession


class Heir:
    """The process.

    Parameters
    ----------
    channel
        To the process that has started it, and that it ends with.
    listening
        File descriptors of the sockets to listen on.

    """

    def __init__(self, channel: Channel, listening: Sequence[int]) -> None:
        self._channel = channel
        self._listening = listening
        self._peers: Peers | None = None
        self._service: Service | None = None
        self._state: ServiceState | None = None  # what the worker that follows the tag has said last
        self._tasks: set[asyncio.Task[None]] = set()
        self._given: list[Letter] = []  # connections that came before there was a server
        self._server: Server | None = None

    async def run(self) -> Sequence[int]:
        """Load the version, and serve it once the old process says so; return the signals that ended it."""
        handlers = {"connection": self._take, "state": self._mirror, "leave": self._leave}
        self._mailbox = Mailbox(self._channel, handlers | self._of_peers(), self._lost)
        letter = await self._mailbox.next()
        if letter is None or letter.kind != "hello":
            return []
        hello = parse(Hello, dict(letter.says), "the process before")
        settings = parse(ServeSettings, hello.settings, "the settings of the process before")
        if settings.workers > 1:
            self._peers = Peers(self._channel, leads=hello.leads)
        succession = Succession(hello.code, hello.operator, self._mailbox)
        succession.listening = self._inherited
        service = Service(
            hello.name,
            hello.stage,
            settings,
            require_signed=hello.require_signed,
            succession=succession,
            peers=self._peers,
        )
        try:
            await service.inherit(hello, self._downloaded)
            self._service = service
            if self._state:
                await service.mirror(self._state)
            return await self._serve(service, announced=hello.first and settings.workers == 1)
        finally:
            await service.stop()

    async def _serve(self, service: Service, *, announced: bool) -> Sequence[int]:
        self._server = server = Server(service, announced=announced)
        server.config.load()
        server.settle()
        with server.capture_signals():
            self._channel.send("ready")
            while not server.should_exit:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):  # a signal wakes nobody
                        if await self._mailbox.next() is not None:
                            break
            if not server.should_exit:
                async with service.mirroring:  # what was said before it serves
                    pass
                for letter in self._given:
                    self._take(letter)
                await server._serve([socket.socket(fileno=copy) for copy in self._copies()])
        return server.caught

    def _downloaded(self, folder: str) -> None:
        self._channel.send("downloaded", folder=folder)

    def _copies(self) -> list[int]:
        return [os.dup(file) for file in self._listening]

    async def _inherited(self) -> Sequence[int]:
        return self._listening

    def _take(self, letter: Letter) -> None:
        if not self._server:
            self._given.append(letter)
            return
        if self._peers:
            self._channel.send("taken", connections=len(letter.files))
        self._server.take(letter)

    def _of_peers(self) -> dict[str, Callable[[Letter], None]]:
        """What is done with messages of other workers, once there is a service."""

        def with_peers(do: Callable[[Peers, Service, Letter], None]) -> Callable[[Letter], None]:
            return lambda letter: (
                do(self._peers, self._service, letter) if self._peers and self._service else None
            )

        return {
            "heard": with_peers(lambda peers, _, letter: peers.heard(letter)),
            "reloaded": with_peers(lambda peers, _, letter: peers.reloaded(letter)),
            "standing": with_peers(lambda peers, _, letter: peers.stands(letter)),
            "lead": with_peers(lambda _, service, __: service.lead()),
            "short": with_peers(lambda _, service, __: self._hire(service)),
            "reload": with_peers(lambda peers, service, _: self._do(self._reload(peers, service))),
        }

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _mirror(self, letter: Letter) -> None:
        self._state = parse(ServiceState, dict(letter.says), "the worker that follows the tag")
        if self._service:
            self._do(self._service.mirror(self._state))

    def _hire(self, service: Service) -> None:
        self._channel.send("hire", **service.for_another().model_dump(mode="json"))

    @staticmethod
    async def _reload(peers: Peers, service: Service) -> None:
        try:
            after = await service.reload()
        except PerenneError as error:
            peers.answer(ReloadAnswer(why=str(error)))
        else:
            peers.answer(ReloadAnswer(version=after.version, swapped=after.swapped))

    def _leave(self, _: Letter) -> None:
        if self._service:
            self._service.succession.retire()

    def _lost(self) -> None:
        """The parent was killed: nobody would end this process."""
        if self._server:
            self._server.should_exit = True


def _why(error: BaseException) -> str:
    """An error in one line: one that says what to do says it, any other where it was raised."""
    if isinstance(error, PerenneError):
        return " ".join(str(error).split())
    last = traceback.extract_tb(error.__traceback__)[-1]
    return " ".join(f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})".split())


def main() -> None:
    """Run the command line."""
    log_lines()
    end, *listening = map(int, sys.argv[1:])
    channel = Channel(socket.socket(fileno=end))
    try:
        with Runner(loop_factory=uvloop.new_event_loop) as runner:
            caught = runner.run(Heir(channel, listening).run())
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- the old process says it, and keeps serving
        with suppress(OSError):
            channel.send("failed", why=_why(error))
        sys.exit(1)
    raise_again(caught)


if __name__ == "__main__":
    main()
