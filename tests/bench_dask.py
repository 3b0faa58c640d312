"""A Dask cluster on this machine, workers of one core each: the bytes, the time, and killed workers."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from distributed import Client
from tqdm import tqdm

from perenne.compute import settings
from tests import bench_hourly, dask
from tests.project import Project

HOURS = 160  # batches of bench_hourly
FACTOR = 20  # times as many rows each: work that outweighs what sending it costs
STAGES = ["validate", "evaluate", "drift"]  # those with a map
WORKERS = (1, 2, 4)
KILLS = 10


def seconds(project: Project, stage: str, address: str) -> float:
    """Return how long a stage takes, the start of Python included; what earlier runs kept is gone."""
    project.run("rm -rf .git/perenne/kept")
    start = time.perf_counter()
    project.out(f"python -m stages.{stage}", **{settings.VARIABLE: address})
    return time.perf_counter() - start


def forced(project: Project, address: str) -> str:
    """Run all stages; return the lock."""
    project.out("dvc repro -q --force", **{settings.VARIABLE: address})
    return project.read("dvc.lock")


@contextmanager
def killer(address: str, kills: int, seed: int = 0) -> Iterator[Event]:
    """Kill one worker after another at random moments; the event is set once enough are."""
    rng, end, done = random.Random(seed), Event(), Event()  # noqa: S311 -- to be repeated

    def kill() -> None:
        left = kills
        try:
            with Client(address, set_as_default=False) as client:
                while left and not end.wait(rng.uniform(1, 4)):
                    # One that ends meanwhile does not answer.
                    pids = sorted(client.run(os.getpid, on_error="ignore").values())
                    if len(pids) > 1:
                        with suppress(ProcessLookupError):
                            os.kill(rng.choice(pids), signal.SIGKILL)
                            left -= 1
        finally:
            done.set()

    thread = Thread(target=kill)
    thread.start()
    try:
        yield done
    finally:
        end.set()
        thread.join()


def table() -> str:
    """Return the table."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        project = bench_hourly.project(Path(folder) / "project", HOURS, FACTOR * bench_hourly.ROWS)
        project.run("dvc repro -q")
        lock = project.read("dvc.lock")
        same, took = {}, {}
        took[0] = {stage: seconds(project, stage, settings.LOCAL) for stage in STAGES}
        for count in tqdm(WORKERS, desc="workers", unit="cluster"):
            with dask.cluster(project.path, count) as started:
                same[count] = forced(project, started.address) == lock  # and the workers are warm
                took[count] = {stage: seconds(project, stage, started.address) for stage in STAGES}
        with dask.cluster(project.path, 2) as started, killer(started.address, KILLS) as done:
            right = runs = 0
            while not done.is_set():
                runs, right = runs + 1, right + (forced(project, started.address) == lock)
    lines = [
        f"dask: {HOURS:,} batches of {FACTOR * bench_hourly.ROWS:,} rows; seconds, {os.cpu_count()} cores",
        f"{'':10}{'here':>10}" + "".join(f"{f'{n} workers':>12}" for n in WORKERS) + f"{'2 for 1':>10}",
    ]
    for stage in STAGES:
        each = "".join(f"{took[n][stage]:12.1f}" for n in WORKERS)
        lines.append(f"{stage:10}{took[0][stage]:10.1f}{each}{took[1][stage] / took[2][stage]:9.2f}x")
    lines.append("dvc.lock as here: " + ", ".join(f"{n} workers: {same[n]}" for n in WORKERS))
    lines.append(f"{KILLS} workers killed at random moments of {runs} runs: {right} of {runs} end right")
    return "\n".join(lines)
