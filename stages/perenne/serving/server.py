"""Run the service: one process, one loop."""

from __future__ import annotations

import gc
import logging
import socket
from asyncio import Runner
from typing import Any

import uvicorn
import uvloop

from perenne.serving.app import build
from perenne.serving.service import Service
from perenne.serving.settings import ServeSettings

SECONDS_TO_FINISH = 10  # for requests that are under way when it is told to stop


class _Server(uvicorn.Server):
    """Says where it listens when it does: port 0 is any."""

    told: str

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        if self.started:
            # What is loaded by now stays. Looking through it for what can go holds every request up, for
            # some 100 ms each time; versions that are swapped in later are looked through as ever.
            gc.collect()
            gc.freeze()
            host, port, *_ = self.servers[0].sockets[0].getsockname()
            print(f"{self.told} on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def run(name: str, stage: str, settings: ServeSettings, *, require_signed: bool) -> None:
    """Serve until told to stop; a `PerenneError` says why there is nothing to be served."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("perenne").setLevel(logging.INFO)
    service = Service(name, stage, settings, require_signed=require_signed)
    with Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(service))


async def _serve(service: Service) -> None:
    try:
        await service.start()
        settings = service.settings
        options: dict[str, Any] = {"access_log": False, "server_header": False, "proxy_headers": False}
        options["log_config"] = None
        config = uvicorn.Config(
            build(service),
            host=settings.host,
            port=settings.port,
            http="httptools",
            ws="none",
            timeout_graceful_shutdown=SECONDS_TO_FINISH,
            **options,
        )
        server = _Server(config)
        server.told = f"{service.live.version.tag} is served"
        await server.serve()
    finally:
        await service.stop()
