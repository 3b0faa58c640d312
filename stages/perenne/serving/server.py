"""Run the service: one process, one loop."""

from __future__ import annotations

import gc
import logging
import os
import socket
from asyncio import Runner

import uvicorn
import uvloop

from perenne.serving.app import build
from perenne.serving.connections import Connections
from perenne.serving.service import Service
from perenne.serving.settings import ServeSettings

SECONDS_TO_FINISH = 10  # for open requests when it stops
STANDS_STILL = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "60"}  # bytes a second, seconds

logger = logging.getLogger("perenne.serve")


class _AnnouncingServer(uvicorn.Server):
    """Prints its address once it listens, because port 0 means any free port."""

    announcement: str
    connections: Connections

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            self.connections.sweep()
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        if self.started:
            # Objects loaded by now stay. A full garbage collection would delay requests by some 100 ms each
            # time to search them. Versions that are swapped in later are collected as usual.
            gc.collect()
            gc.freeze()
            host, port, *_ = self.servers[0].sockets[0].getsockname()
            print(f"{self.announcement} on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


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
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("perenne").setLevel(logging.INFO)
    if not require_signed:
        logger.warning(
            "%s: tags need no signature: whoever may push tags decides what is served; see --require-signed",
            stage,
        )
    # Git gives up a transfer over HTTP that stands still, unless its user says otherwise.
    for variable, value in STANDS_STILL.items():
        os.environ.setdefault(variable, value)
    service = Service(name, stage, settings, require_signed=require_signed)
    with Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(service))


async def _serve(service: Service) -> None:
    try:
        await service.start()
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
        server = _AnnouncingServer(config)
        server.connections = service.connections
        server.announcement = f"{service.live.version.tag} is served"
        await server.serve()
    finally:
        await service.stop()
