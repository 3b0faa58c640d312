"""Run the service: one process, one loop, or several such workers. Other code gets processes of its own."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from asyncio import Runner
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import uvicorn
import uvloop
from uvicorn.server import HANDLED_SIGNALS

from perenne.common.errors import PerenneError
from perenne.common.names import CODE_FOLDER
from perenne.serving import lock_environment, supervisor
from perenne.serving.app import build
from perenne.serving.channel import Letter
from perenne.serving.code_identity import Code
from perenne.serving.dealer import BACKLOG
from perenne.serving.service import Service
from perenne.serving.settings import ServeSettings
from perenne.serving.succession import Direct, Link, Succession

SECONDS_TO_FINISH = 10  # for open requests when it stops
BETWEEN_LOOKS = 0.02  # seconds, at connections that are still answered by the process that leaves
STANDS_STILL = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "60"}  # bytes a second, seconds

logger = logging.getLogger("perenne.serve")


class Server(uvicorn.Server):
    """uvicorn's, which may be given connections by the process before it, and give them to the one after it.

    Parameters
    ----------
    service
        It has started.
    announced
        Whether to print the address once it listens, because port 0 means any free port.

    """

    def __init__(self, service: Service, *, announced: bool) -> None:
        settings = service.settings
        config = uvicorn.Config(
            build(service),
            host=settings.host,
            port=settings.port,
            http=service.connections.protocol,  # type: ignore[arg-type]  # called as the class would be
            ws="none",
            timeout_graceful_shutdown=SECONDS_TO_FINISH,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            log_config=None,
        )
        super().__init__(config)
        self._service = service
        self._announced = announced
        self._given: list[socket.socket] = []
        self._settled = False
        self._closing = False
        self._tasks: set[asyncio.Task[object]] = set()
        service.succession.leave = self._leave

    @property
    def caught(self) -> list[int]:
        """The signals that have ended it; whoever ran it raises them again."""
        return self._captured_signals

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals; uvicorn's own would end the process by them before the log is closed."""
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End, and first the process that is to replace this one, if it is not ready yet."""
        super().handle_exit(sig, frame)
        self._service.succession.stop()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            self._service.tick()
        return await super().on_tick(counter) or self._service.succession.link is not None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        if not self.started:
            return
        self.settle()
        for given in self._given:
            self._adopt(given)
        if self._announced:
            announce(self._service.live.version.tag, self.servers[0].sockets[0])

    def settle(self) -> None:
        """Collect garbage once, and never search again what is loaded by now: it stays.

        A full collection delays requests by some 100 ms. Versions that are swapped in later are collected as
        usual. A process that takes over does it before anybody waits for it.
        """
        if not self._settled:
            self._settled = True
            gc.collect()
            gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the open requests; if another process serves from now on, it gets all connections."""
        if self._service.succession.link:
            await self._give_away()
        self._closing = True
        await super().shutdown(sockets)

    def _leave(self, link: Link) -> None:
        """Accept no more, and begin to give the connections to the process that serves from now on."""
        for server in self.servers:
            server.close()
        self._service.connections.give_away(lambda file: link.send("connection", file))

    async def _give_away(self) -> None:
        """Give all connections away. One whose request is still arriving has the time that it always has."""
        connections = self._service.connections
        until = time.monotonic() + self._service.settings.request_seconds + SECONDS_TO_FINISH
        while not connections.give_idle() and not self.caught and time.monotonic() < until:
            connections.sweep()
            await asyncio.sleep(BETWEEN_LOOKS)
        connections.keep()

    def take(self, letter: Letter) -> None:
        """Take connections over from the process before this one."""
        for file in letter.files:
            given = socket.socket(fileno=file)
            given.setblocking(False)  # noqa: FBT003 -- as sockets have it
            if self._closing:
                given.close()
            elif self.started:
                self._adopt(given)
            else:
                self._given.append(given)

    def _adopt(self, given: socket.socket) -> None:
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn calls it
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
                _loop=loop,
            )

        task = loop.create_task(loop.connect_accepted_socket(protocol, given))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def run(name: str, stage: str, settings: ServeSettings, *, require_signed: bool) -> None:
    """Serve until the process gets SIGTERM or SIGINT.

    Parameters
    ----------
    name
        The model.
    stage
        The stage to follow, or one version.
    settings
        The section `serve` of params.yaml.
    require_signed
        Whether a version's tag needs a good signature.

    Raises
    ------
    PerenneError
        If no version can be served, or the log cannot be opened.

    """
    log_lines()
    if not require_signed:
        logger.warning(
            "%s: tags need no signature: whoever may push tags decides what is served; see --require-signed",
            stage,
        )
    # Git gives up a transfer over HTTP that stands still, unless its user says otherwise.
    for variable, value in STANDS_STILL.items():
        os.environ.setdefault(variable, value)
    os.environ[CODE_FOLDER] = os.devnull  # no code of the working tree runs here
    succession = Succession(Code(), lock_environment.here(), alone=settings.workers == 1)
    service = Service(name, stage, settings, require_signed=require_signed, succession=succession)
    with Runner(loop_factory=uvloop.new_event_loop) as runner:
        listening, caught = runner.run(_serve(service))
    if isinstance(link := succession.link, Direct):
        supervisor.become(link.child, link.python, link.env, listening, caught, settings.workers)
    raise_again(caught)


def announce(tag: str, listening: socket.socket) -> None:
    """Print where a version is served."""
    host, port, *_ = listening.getsockname()
    print(f"{tag} is served on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def log_lines() -> None:
    """Let the service write its lines to stderr, and others only what is wrong."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("perenne").setLevel(logging.INFO)


def raise_again(caught: Sequence[int]) -> None:
    """End by the signals that have ended the server, as any process does."""
    for number in reversed(caught):
        signal.raise_signal(number)


async def _serve(service: Service) -> tuple[list[int], list[int]]:
    """Serve; return the sockets that the service listens on, if they were needed, and the signals it got."""
    listening: list[int] = []
    server: Server | None = None

    async def copied() -> list[int]:
        """Copies of the sockets, to outlive those of this server; before there is one, they are made."""
        if not listening:
            servers = server.servers if server else [await _bound(service.settings)]
            listening.extend(os.dup(one.fileno()) for each in servers for one in each.sockets)
        return listening

    service.succession.listening = copied
    try:
        await service.start()
        if successor := service.prod.successor:
            if service.settings.workers > 1:
                with socket.socket(fileno=os.dup(listening[0])) as first:
                    first.listen(BACKLOG)  # the supervisor accepts
                    announce(successor.tag, first)
        else:
            server = Server(service, announced=True)
            await server.serve()
    finally:
        await service.stop()
    return listening, server.caught if server else []


async def _bound(settings: ServeSettings) -> asyncio.Server:
    """Sockets for another process to listen on, at the same addresses as those of uvicorn's own."""
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(asyncio.Protocol, settings.host, settings.port, start_serving=False)
    except OSError as error:
        raise PerenneError(f"{settings.host}:{settings.port}: {error.strerror or error}") from error
