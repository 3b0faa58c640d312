"""A real Dask cluster on this machine: a scheduler and workers, each a process, started as people do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.project import ROOT

COMMAND = str(Path(sys.executable).with_name("dask"))
QUIET = "--no-dashboard"


class Scheduler(NamedTuple):
    """A scheduler that runs; `kill` ends it at once."""

    address: str
    process: subprocess.Popen[bytes]


def free_port() -> int:
    """Return a port that nobody listens to."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def cluster(
    folder: Path, workers: int, *more: str, path: Path | None = ROOT, scheme: str = "tcp"
) -> Iterator[Scheduler]:
    """Start a scheduler, and workers in a folder; end them after the block.

    Parameters
    ----------
    folder
        Where they run.
    workers
        How many; one that is killed is started again.
    more
        Options of the workers.
    path
        Where Python finds more modules: those of the tests.
    scheme
        How they speak with each other.

    """
    port = free_port()
    address = f"{scheme}://127.0.0.1:{port}"
    env = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    commands = [
        [COMMAND, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--protocol", scheme, QUIET]
    ]
    commands += [
        [COMMAND, "worker", address, "--nthreads", "1", "--memory-limit", "0", QUIET, *more]
    ] * workers
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            with (folder / f"dask-{len(running)}.log").open("wb") as log:
                running.append(subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log))
            if len(running) == 1:
                _answers(port)
        yield Scheduler(address, running[0])
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(20)


def _answers(port: int) -> None:
    """Wait until somebody listens to a port."""
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end, "the scheduler does not start"
            time.sleep(0.1)
        else:
            return
