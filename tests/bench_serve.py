"""The service beside the two that people would pick, under swaps, and killed: `make bench-serve`.

    make bench-serve TABLES="speed floor large workers swaps kills"

All serve one model, of 200 trees and 12 features, with one worker, one after the other on the same machine;
`workers` compares two of ours with one.
BentoML gets the bare estimator and arrays, which suits it most; MLflow these, and the pipeline with a frame.
Neither checks a row or keeps a prediction: ours does, against a contract, and in SQLite before it answers.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import sklearn

from perenne.common import model_file
from tests.project import ROOT, Project
from tests.serving.kills import kill
from tests.serving.load import (
    CONNECTIONS,
    FEATURES,
    ROW,
    SECONDS,
    Load,
    assign,
    inside,
    loads,
    project,
    written,
    wrk,
)
from tests.serving.running import BEARER, Running, serving

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "perenne" / "bench"
ROUNDS = 3
SECONDS_OF_SWAPS = int(os.environ.get("SECONDS_OF_SWAPS", "600"))
BETWEEN_SWAPS = 20.0
BENTOML = """
import bentoml, joblib, numpy as np

@bentoml.service(workers=1, traffic={"timeout": 60})
class Scorer:
    def __init__(self):
        self.model = joblib.load("model.joblib")

    @bentoml.api(batchable=True, max_batch_size=64)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(rows)[:, 1]
"""
MLFLOW = """
import joblib, mlflow.sklearn
mlflow.sklearn.save_model(joblib.load("{file}"), "saved-{file}", serialization_format="cloudpickle")
"""


# Speed.


def speed() -> str:
    """Return requests per second and latency of the three."""
    if not shutil.which("wrk"):
        return "speed: needs wrk: apt-get install wrk"
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        made = project(Path(folder))
        found: dict[str, dict[int, Load]] = {"perenne": {}}
        with serving(made) as running:
            url = f"{running.client.base_url}/v1/predict"
            found["perenne"] = loads(url, json.dumps({"rows": [ROW]}), made.path.parent)
        export(made)
        others: dict[str, Other] = {
            "bentoml": bentoml,
            "mlflow, arrays": partial(mlflow, file="model.joblib", key="inputs", data=[list(ROW.values())]),
            "mlflow, frame": partial(
                mlflow,
                file="pipeline.joblib",
                key="dataframe_split",
                data={"columns": FEATURES, "data": [list(ROW.values())]},
            ),
        }
        for name, other in others.items():
            with other(made.path.parent) as (url, body):
                found[name] = loads(url, body, made.path.parent)
    return _speed(found)


Other = Callable[[Path], AbstractContextManager[tuple[str, str]]]


def export(made: Project) -> None:
    """Write the bare estimator, and the whole pipeline, as the other two take them."""
    import joblib

    with inside(made):
        pipeline, _ = model_file.load()
    joblib.dump(pipeline["model"], made.path.parent / "model.joblib")
    joblib.dump(pipeline, made.path.parent / "pipeline.joblib")


@contextmanager
def bentoml(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve by BentoML with adaptive batching."""
    (folder / "service.py").write_text(BENTOML, encoding="utf-8")
    python = venv("bentoml")
    command = [str(python.parent / "bentoml"), "serve", "service:Scorer", "--host", "127.0.0.1", "--port"]
    with started(command, folder, "/livez") as url:
        yield f"{url}/predict", json.dumps({"rows": [list(ROW.values())]})


@contextmanager
def mlflow(folder: Path, file: str, key: str, data: Any) -> Iterator[tuple[str, str]]:
    """Serve a file by MLflow's own scoring server, and ask it with data under a key of its protocol."""
    python = venv("mlflow")
    subprocess.run([str(python), "-c", MLFLOW.format(file=file)], cwd=folder, check=True, capture_output=True)
    command = [str(python.parent / "mlflow"), "models", "serve", "-m", f"saved-{file}"]
    options = ["--env-manager", "local", "--workers", "1", "--host", "127.0.0.1", "--port"]
    with started([*command, *options], folder, "/ping") as url:
        yield f"{url}/invocations", json.dumps({key: data})


def venv(package: str) -> Path:
    """Return the Python of an environment with a package and this scikit-learn, made if need be."""
    python, made = CACHE / package / "bin" / "python", CACHE / package / "made"
    needed = [package, "pandas", f"scikit-learn=={sklearn.__version__}", f"numpy=={np.__version__}"]
    if not made.exists() or made.read_text(encoding="utf-8") != "\n".join(needed):
        print(f"making {CACHE / package} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", CACHE / package], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *needed], check=True)
        made.write_text("\n".join(needed), encoding="utf-8")
    return python


@contextmanager
def started(command: list[str], folder: Path, path: str) -> Iterator[str]:
    """Start a server, wait until it answers, and end it and all that it started."""
    port = free()
    env = os.environ | {
        "BENTOML_DO_NOT_TRACK": "1",
        "BENTOML_HOME": str(folder / "bentoml"),
        "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen([*command, str(port)], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            until = time.monotonic() + 120
            while not answers(port, path):
                assert time.monotonic() < until, (folder / "server.log").read_text(encoding="utf-8")[-2_000:]
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            own = psutil.Process(process.pid)
            family = [own, *own.children(recursive=True)]
            own.terminate()  # alone: it would start again those who end before it
            psutil.wait_procs(family, timeout=20)
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait()


def free() -> int:
    """Return a port that nobody listens on."""
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(port: int, path: str) -> bool:
    """Return whether a path is answered well."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _speed(found: dict[str, dict[int, Load]]) -> str:
    own = found["perenne"]
    goals = [
        (f"x {name} at {count}", own[count].rate / found[name][count].rate, f">= {goal}")
        for name, count, goal in (
            ("bentoml", 1, 2.5),
            ("bentoml", 64, 3),
            ("mlflow, arrays", 64, 20),
            ("mlflow, frame", 64, 20),
        )
    ]
    goals.append(("ms, p99 at 64", own[64].p99, "<= 60"))
    goals.append(("errors", float(sum(load.errors for load in own.values())), "0"))
    head = "".join(f"{f'{count} connection(s)':>24}" for count in CONNECTIONS)
    lines = [
        f"One row a request, 200 trees, 12 features, one worker, {SECONDS} s each: requests/s (p99 in ms)",
        f"{'':16}{head}{'errors':>10}",
    ]
    for name, at in found.items():
        cells = "".join(f"{f'{load.rate:,.0f} ({load.p99:,.1f})':>24}" for load in at.values())
        lines.append(f"{name:16}{cells}{sum(load.errors for load in at.values()):10}")
    return "\n".join([*lines, *(f"  {value:8.1f} {what:28} goal: {goal}" for what, value, goal in goals)])


# The floor.


def floor() -> str:
    """Return the speed beside a bare server that does the same job, on asyncio and httptools alone."""
    with TemporaryDirectory(prefix="perenne-bench-") as name:
        folder = Path(name)
        made = project(folder)
        script = written(json.dumps({"rows": [ROW]}), folder / "one.lua")
        with serving(made) as running, bare(made) as (process, address):
            own = running.process.pid, str(running.client.base_url)
            servers = {"perenne": own, "bare": (process, address)}
            found: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
            for _ in range(1 + ROUNDS):  # the first one warms up
                for count in CONNECTIONS:
                    for server, (pid, base) in servers.items():
                        before = cpu(pid)
                        load = wrk(f"{base.rstrip('/')}/v1/predict", script, count, SECONDS)
                        assert not load.errors
                        found[server, count].append((load.rate, (cpu(pid) - before) / load.answers * 1e6))
    lines = [
        f"The same job on asyncio and httptools alone, in turn, {ROUNDS} times {SECONDS} s each; medians",
        f"{'connections':>12}{'perenne/s':>11}{'bare/s':>9}{'ratio':>7}{'CPU us':>9}{'bare':>6}{'ratio':>7}",
    ]
    for count in CONNECTIONS:
        rates, costs = zip(*(np.median(found[server, count][1:], axis=0) for server in servers), strict=True)
        lines.append(
            f"{count:12}{rates[0]:11,.0f}{rates[1]:9,.0f}{rates[0] / rates[1]:7.2f}"
            f"{costs[0]:9.0f}{costs[1]:6.0f}{costs[1] / costs[0]:7.2f}   goal: >= 0.6"
        )
    return "\n".join(lines)


@contextmanager
def bare(made: Project) -> Iterator[tuple[int, str]]:
    """Run the bare server in a project; yield its process and its address."""
    log = str(made.path.parent / "bare.sqlite")
    command = [sys.executable, "-m", "tests.serving.bare", str(made.path), log]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.pid, process.stdout.readline().strip()
        finally:
            process.terminate()


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used, with those that it has started."""
    own = psutil.Process(pid)
    times = [one.cpu_times() for one in (own, *own.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


# Large requests.


def large(rows: int = 1_000, clients: int = 4) -> str:
    """Return the latency of single rows without and with clients that send many rows at a time."""
    with TemporaryDirectory(prefix="perenne-bench-") as name:
        folder = Path(name)
        made = project(folder)
        one = written(json.dumps({"rows": [ROW]}), folder / "one.lua")
        many = written(json.dumps({"rows": [ROW] * rows}), folder / "many.lua")
        found: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
        with serving(made) as running, ThreadPoolExecutor(1) as beside:
            url = f"{running.client.base_url}/v1/predict"
            for _ in range(1 + ROUNDS):  # the first one warms up
                for count in (1, 4):
                    alone = wrk(url, one, count, SECONDS)
                    heavy = beside.submit(wrk, url, many, clients, SECONDS + 2)
                    time.sleep(1)
                    mixed, other = wrk(url, one, count, SECONDS), heavy.result()
                    assert not alone.errors + mixed.errors + other.errors
                    found[count].append((alone.p99, mixed.p99, other.rate))
    lines = [
        f"Single rows beside {clients} clients with requests of {rows:,} rows",
        f"{ROUNDS} times {SECONDS} s each, without them and beside them in turn; medians",
        f"{'connections':>12}{'p99 alone, ms':>15}{'beside':>9}{'ratio':>7}{'large requests/s':>18}",
    ]
    for count, rounds in found.items():
        without, mixed_p99, rate = np.median(rounds[1:], axis=0)
        ratio = float(np.median([after / before for before, after, _ in rounds[1:]]))
        lines.append(
            f"{count:12}{without:15.1f}{mixed_p99:9.1f}{ratio:7.1f}{rate:18.1f}   goal of the ratio: <= 2"
        )
    return "\n".join(lines)


# Workers.


def workers(seconds_of_swaps: float = 61) -> str:
    """Return the speed of two workers beside that of one, and what two answer while versions change.

    `bound` is what the ratio would be if each worker had a core to itself; `cores` is what they had.
    """
    with TemporaryDirectory(prefix="perenne-bench-") as name, ExitStack() as running:
        folder = Path(name)
        made = project(folder)
        bodies = {rows: json.dumps({"rows": [ROW] * rows}) for rows in (1, 20)}
        scripts = {rows: written(body, folder / f"{rows}.lua") for rows, body in bodies.items()}
        services = {
            count: running.enter_context(
                serving(made, "--workers", str(count), "--log-url", f"sqlite:///{folder}/{count}.sqlite")
            )
            for count in (1, 2)
        }
        while services[2].metric("perenne_workers") < 2:
            time.sleep(0.1)
        found: dict[tuple[int, int], list[list[float]]] = defaultdict(list)
        for _ in range(1 + ROUNDS):  # the first one warms up
            for rows, script in scripts.items():
                for count in (4, 64):
                    measured = []
                    for service in services.values():
                        before = cpu(service.process.pid)
                        load = wrk(f"{service.client.base_url}/v1/predict", script, count, SECONDS)
                        assert not load.errors
                        used = cpu(service.process.pid) - before
                        measured += [load.rate, used / load.answers * 1e6, used / SECONDS]
                    found[rows, count].append(measured)
        with inside(made):
            changes = _swaps(services[2], seconds_of_swaps, clients=4).splitlines()[:3]
    lines = [
        f"Two workers beside one, in turn, {ROUNDS} times {SECONDS} s each, on {os.cpu_count()} "
        "cores with the load; medians",
        f"{'rows':>6}{'connections':>12}{'one/s':>8}{'two/s':>8}{'ratio':>7}"
        f"{'CPU us':>9}{'two':>6}{'bound':>8}{'cores':>8}{'two':>6}",
    ]
    for (rows, count), rounds in found.items():
        rate, cost, cores, rate_2, cost_2, cores_2 = np.median(rounds[1:], axis=0)
        ratio = float(np.median([one[3] / one[0] for one in rounds[1:]]))
        lines.append(
            f"{rows:6}{count:12}{rate:8,.0f}{rate_2:8,.0f}{ratio:7.2f}"
            f"{cost:9.0f}{cost_2:6.0f}{2 * cost / cost_2:8.2f}{cores:8.2f}{cores_2:6.2f}   goal: >= 1.5"
        )
    return "\n".join([*lines, "two workers:", *changes])


# Swaps.


def swaps(seconds: float = SECONDS_OF_SWAPS, clients: int = 4) -> str:
    """Return what became of requests while every twenty seconds another version was swapped in."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        made = project(Path(folder))
        with serving(made) as running, inside(made):
            return _swaps(running, seconds, clients)


def _swaps(running: Running, seconds: float, clients: int) -> str:
    scores: dict[str, set[float]] = {}
    failed: list[str] = []
    counts = [0] * clients
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_ask, args=(running, until, partial(_count, counts, i), scores, failed))
        for i in range(clients)
    ]
    for thread in threads:
        thread.start()
    process, memory, swapped = psutil.Process(running.process.pid), [], 0
    begun = swap = time.monotonic()
    while time.monotonic() < until:
        time.sleep(min(5.0, max(until - time.monotonic(), 0)))
        memory.append((time.monotonic() - begun, process.memory_info().rss / 2**20))
        if time.monotonic() - swap >= BETWEEN_SWAPS:
            swap += BETWEEN_SWAPS
            assign(("v1.1.0", "v1.0.0")[swapped % 2])
            assert running.reload().json()["swapped"]
            swapped += 1
    for thread in threads:
        thread.join()
    warm = np.array([point for point in memory if point[0] > seconds / 4])
    slope = np.polyfit(warm[:, 0], warm[:, 1], 1)[0] * 3_600
    return "\n".join(
        [
            f"{seconds:.0f} s, {clients} clients, a swap every {BETWEEN_SWAPS:.0f} s:",
            f"  {sum(counts):,} requests, {len(failed)} failed (goal: 0), {swapped} swaps",
            f"  scores seen of each version: { {v: len(s) for v, s in scores.items()} } (goal: 1 each)",
            f"  memory: {memory[0][1]:.0f} MB at first, {memory[-1][1]:.0f} at last, {slope:+.1f} MB an hour",
        ]
    )


def _count(counts: list[int], client: int) -> None:
    counts[client] += 1


def _ask(
    running: Running,
    until: float,
    count: Callable[[], None],
    scores: dict[str, set[float]],
    failed: list[str],
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.client.base_url.port or 0, timeout=30)
    body, headers = json.dumps({"rows": [ROW]}), {"Content-Type": "application/json", **BEARER}
    while time.monotonic() < until:
        connection.request("POST", "/v1/predict", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        count()
        if answer.status != 200:
            failed.append(text.decode())
            continue
        told: dict[str, Any] = json.loads(text)
        scores.setdefault(told["model_version"], set()).add(told["predictions"][0]["score"])


# Kills.


def kills(times: int = 20) -> str:
    """Return what was lost of what was acknowledged, killed under load again and again."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        made = project(Path(folder))
        found = [kill(made, clients=16, after=1_000) for _ in range(times)]
    acknowledged, lost, twice = (sum(column) for column in zip(*found, strict=True))
    return (
        f"killed {times} times under load: of {acknowledged:,} acknowledged predictions "
        f"{lost} lost, {twice} twice (goal: 0, 0)"
    )


TABLES: dict[str, Callable[[], str]] = {
    "speed": speed,
    "floor": floor,
    "large": large,
    "workers": workers,
    "kills": kills,
    "swaps": swaps,
}


def main() -> None:
    """Print the tables that are named, or all."""
    for name in sys.argv[1:] or TABLES:
        print(f"{TABLES[name]()}\n", flush=True)


if __name__ == "__main__":
    main()
