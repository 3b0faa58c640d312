"""A real S3 server for tests: SeaweedFS, on free ports of this machine, with one user's key."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PORTS = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
KEY, SECRET = "ADA-KEY", "ada-secret"  # of nothing but this server
BUCKET = "models"
STARTS_WITHIN = 60.0  # seconds, on a busy machine; usually one or two


@dataclass
class Server:
    """A server with its data under `folder`; it can be killed, and started again on the same data."""

    folder: Path
    ports: dict[str, int]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address that S3's clients take."""
        return f"http://127.0.0.1:{self.ports['s3.port']}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "dir": str(self.folder),
            "s3.config": str(self._users()),
            "master.telemetry": "false",
            "volume.max": "8",
            "master.volumeSizeLimitMB": "64",
            # What else it would listen on, at ports of its own choosing.
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            **self.ports,
        }
        command = ["weed", "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the S3 server does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a machine that loses its power."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def files(self) -> list[str]:
        """The names of all objects in the bucket."""
        return [name for name in self.client().find(BUCKET) if not name.endswith("/")]

    def client(self) -> Any:
        """A client of its own, that remembers nothing."""
        import s3fs

        return s3fs.S3FileSystem(
            key=KEY,
            secret=SECRET,
            client_kwargs={"endpoint_url": self.url},
            skip_instance_cache=True,
            use_listings_cache=False,
        )

    def _answers(self) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self.client()
            if not client.exists(BUCKET):
                client.mkdir(BUCKET)
        except (OSError, BotoCoreError, ClientError):
            return False
        return True

    def _users(self) -> Path:
        file = self.folder / "users.json"
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        credentials = [{"accessKey": KEY, "secretKey": SECRET}]
        users = {"identities": [{"name": "ada", "credentials": credentials, "actions": actions}]}
        file.write_text(json.dumps(users))
        return file


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """Serve from a folder, and end the server whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder, dict(zip(PORTS, _free(len(PORTS)), strict=True)))
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _free(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
