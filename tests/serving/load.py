"""Load on a service: a project with a model of 200 trees and 12 features, and wrk."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from perenne.common import git, names, strict_yaml
from perenne.registry import golden, publish, tags
from tests.project import Project, clone, environment
from tests.serving.running import BEARER

CONNECTIONS = (1, 4, 64)
SECONDS = int(os.environ.get("SECONDS_OF_LOAD", "8"))
FEATURES = [f"x{i}" for i in range(12)]
ROW = {name: 0.1 * i - 0.5 for i, name in enumerate(FEATURES)}

CONTRACT = "\n".join(
    [
        "row: one thing that happened",
        "task: binary",
        "period: month",
        "label_delay: 0",
        "columns:",
        "  at: {type: datetime, role: time}",
        *(f"  {name}: {{type: number, role: feature, range: [-9, 9], missing: true}}" for name in FEATURES),
        "  y: {type: integer, role: target, values: [0, 1]}",
    ]
)
PARAMS = """
case: bench
ingest: {source: files, glob: "*.csv", through: 2021-04}
validate: {max_quarantined_share: 0.1}
split: {as_of: 2021-04, window: 3, holdout: 1}
train:
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  params: {max_iter: 200, early_stopping: false}
  seed: 0
"""
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "{token}"
wrk.body = '{body}'
"""


class Load(NamedTuple):
    """What wrk saw: answers a second, the 99th percentile in ms, and what was no good answer."""

    rate: float
    p99: float
    errors: int
    answers: int


def project(to: Path) -> Project:
    """Return a project with two versions, v1.0.0 in prod. No gate has seen them: it is not the point."""
    made = clone(to / "project")
    made.write("data/cases/bench/contract.yaml", CONTRACT)
    rest = made.read("params.yaml")
    sections = ("evaluate", "drift", "gate", "review", "serve", "loop")
    kept = [re.search(rf"(?ms)^{name}:.*?(?=^\S|\Z)", rest) for name in sections]
    made.write("params.yaml", PARAMS + "".join(found[0] for found in kept if found))
    made.run("rm -rf data/incoming/* data/raw")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8_000, len(FEATURES))).clip(-9, 9)
    y = (x[:, 0] + x[:, 1] * x[:, 2] + np.sin(3 * x[:, 3]) + rng.normal(size=len(x)) > 0).astype(int)
    lines = [
        f"2021-{i % 4 + 1:02d}-{i % 28 + 1:02d},{','.join(f'{v:.3f}' for v in row)},{label}"
        for i, (row, label) in enumerate(zip(x, y.tolist(), strict=True))
    ]
    made.write("data/incoming/bench/rows.csv", "\n".join([f"at,{','.join(FEATURES)},y", *lines, ""]))
    made.run("dvc add -q data/incoming/bench/rows.csv")
    for version, rate in (("v1.0.0", "0.1"), ("v1.1.0", "0.05")):
        made.edit("max_iter: 200.*}", f"max_iter: 200, early_stopping: false, learning_rate: {rate}}}")
        made.repro("ingest validate split train refit")
        made.commit(version)
        with inside(made):
            release(version)
    with inside(made):
        assign("v1.0.0")
    return made


@contextmanager
def inside(made: Project) -> Iterator[None]:
    """Be in the project, as whoever works in it."""
    folder, before = Path.cwd(), dict(os.environ)
    os.chdir(made.path)
    os.environ.update(environment(made.path))
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)


def release(version: str, name: str = "bench") -> None:
    """Tag the commit as a version of a model."""
    shas = {
        part: {"sha256": json.loads(card.read_text(encoding="utf-8"))["sha256"]}
        for part, card in (("model", names.CARD), ("released", names.RELEASED_CARD))
    }
    proof = {**shas, "golden": golden.record(name)}
    message = f"{version}\n\n---\n{strict_yaml.dumps(proof)}"
    publish.publish([publish.Tag(f"{name}@{version}", git.commit("HEAD"), message)], push=False)


def assign(version: str, name: str = "bench") -> None:
    """Put a version of a model in prod."""
    registry = tags.read(name)
    commit = registry.registered[version].commit
    publish.publish([publish.assigned(registry, "prod", commit, "the bench")], push=False)


def loads(url: str, body: str, folder: Path) -> dict[int, Load]:
    """Return what wrk sees at each number of connections, after a short time to get warm."""
    script = written(body, folder / "post.lua")
    wrk(url, script, 4, 2)
    return {count: wrk(url, script, count, SECONDS) for count in CONNECTIONS}


def written(body: str, script: Path) -> Path:
    """Write the script by which wrk sends a body; return its path."""
    script.write_text(WRK.format(token=BEARER["Authorization"], body=body), encoding="utf-8")
    return script


def wrk(url: str, script: Path, connections: int, seconds: int) -> Load:
    """Run wrk once."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    said = subprocess.run(
        [*command, "-s", str(script), url], capture_output=True, text=True, check=True
    ).stdout
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert tail
    assert rate
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    errors = int(bad[1]) if bad else 0
    errors += sum(map(int, sockets.groups())) if sockets else 0
    total = re.search(r"(\d+) requests in", said)
    assert total
    ms = float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1_000}[tail[2]]
    return Load(float(rate[1]), ms, errors, int(total[1]))
