"""Work on a Dask cluster: real schedulers and workers on this machine, over TCP."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dask import config

from perenne.common.errors import PerenneError
from perenne.common.project_code import CodeError
from perenne.compute import cluster, engine, identity
from perenne.compute.engine import Workers
from perenne.compute.settings import Compute
from tests import dask
from tests.compute import work


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project's folder; nothing of it counts but where it is."""
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Start two workers for the tests of this module."""
    with dask.cluster(folder, 2) as started:
        yield started.address


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """A client that could not connect blocks the start of the next one if it is collected meanwhile."""
    yield
    gc.collect()


@contextmanager
def opened(address: str) -> Iterator[Workers]:
    """Connect to a cluster."""
    with engine.opened(Compute(engine="dask", scheduler=address)) as workers:
        yield workers


@pytest.fixture
def two(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Connect to the two workers."""
    monkeypatch.chdir(folder)
    with opened(address) as workers:
        while workers.count < 2:
            time.sleep(0.1)
        yield workers


def mapped(workers: Workers, function: Callable[[Any], object], items: list[Any]) -> list[object]:
    """Return the results."""
    return list(workers.map(function, items, title="", unit=""))


def test_results_come_in_order(two: Workers) -> None:
    """Of both workers, however many items go together."""
    assert (two.count, two.here) == (2, False)
    for items in (5, 1000):
        assert mapped(two, work.doubled, list(range(items))) == list(range(0, 2 * items, 2))
    assert len({*mapped(two, work.process, list(range(40)))} - {os.getpid()}) == 2
    assert mapped(two, work.doubled, []) == []


def test_errors_come_as_they_are(two: Workers) -> None:
    """With what they know of the row."""
    with pytest.raises(PerenneError, match=r"^data\.csv: row 5: no$"):
        mapped(two, work.refused, list(range(200)))
    with pytest.raises(CodeError, match=r"^code fails for 0$") as caught:
        mapped(two, work.of_code, [0])
    assert (caught.value.row, caught.value.brief) == (0, "code fails")


def test_work_that_times_out_is_no_wait_for_workers(two: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the work's own: nothing would come of asking again."""
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.1)
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(20)
    try:
        with pytest.raises(TimeoutError, match="no answer for 1"):
            mapped(two, work.late, [1])
    finally:
        signal.alarm(0)


def test_work_may_be_code_of_the_project(two: Workers, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler never knows it, and a worker finds it in its folder."""
    (folder / "own_code.py").write_text("def thrice(item):\n    return 3 * item\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    thrice = importlib.import_module("own_code").thrice
    assert mapped(two, thrice, [1, 2]) == [3, 6]
    assert two.run_together(thrice, [1, 2]) == [3, 6]


def test_a_killed_worker_is_not_missed(two: Workers, tmp_path: Path) -> None:
    """Each time another one, or the one that is started in its place, does the work."""
    items = [(number, tmp_path / str(number)) for number in range(3)]
    assert mapped(two, work.killed_once, items) == list(range(3))


def test_work_that_kills_every_worker_ends(two: Workers) -> None:
    """With one line."""
    with pytest.raises(PerenneError, match="workers were lost while they did the same piece of work"):
        mapped(two, work.always_killed, [0])
    assert mapped(two, work.doubled, [4]) == [8]


def test_a_worker_elsewhere_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would read and write other files than these."""
    monkeypatch.chdir(tmp_path)
    with opened(address) as workers, pytest.raises(PerenneError, match="where the project's files are not"):
        mapped(workers, work.doubled, [1])
    assert list(tmp_path.glob(".dvc/tmp/perenne/*")) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"code": "0" * 20}, "has other code than there is here; start it again"),
        ({"python": "2.7.18"}, "here it is 2.7.18"),
        (
            {"packages": {"numpy": "0.1"}},
            "here it is 0.1; start it again, in an environment of",
        ),
    ],
)
def test_a_worker_of_other_code_is_refused(
    change: dict[str, object], reason: str, address: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its results would be others."""
    monkeypatch.chdir(folder)
    here = identity.of_process().model_copy(update=change)
    monkeypatch.setattr(identity, "of_process", lambda: here)
    with opened(address) as workers, pytest.raises(PerenneError) as caught:
        mapped(workers, work.doubled, [1])
    assert str(caught.value).startswith(f"{address}: the worker tcp://127.0.0.1:")
    assert reason in str(caught.value)


def test_a_package_that_only_one_side_has_does_not_count() -> None:
    """A worker needs no `pytest`."""
    here = identity.of_process()
    fewer = {name: version for name, version in here.packages.items() if name != "pytest"}
    assert here.model_copy(update={"packages": fewer}).differs(here) is None


def test_workers_without_a_core_of_their_own_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads would share what is of one process."""
    monkeypatch.chdir(folder)
    with (
        dask.cluster(folder, 1, "--nthreads", "2") as started,
        opened(started.address) as workers,
        pytest.raises(PerenneError, match="has 2 threads, must have one; start it with --nthreads 1"),
    ):
        mapped(workers, work.doubled, [1])


def test_strangers_cannot_speak_to_an_encrypted_cluster(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a certificate of the same authority nobody is answered; with one, work is done as ever."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2)
    made = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=perenne"
    subprocess.run(made.split(), check=True, capture_output=True)
    files = {"ca-file": "cert.pem"}
    for role in ("scheduler", "worker", "client"):
        files |= {f"{role}.cert": "cert.pem", f"{role}.key": "key.pem"}
    for name, file in files.items():
        variable = name.upper().replace("-", "_").replace(".", "__")
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{variable}", str(folder / file))
    own = {f"distributed.comm.tls.{name}": str(folder / file) for name, file in files.items()}
    with dask.cluster(folder, 1, scheme="tls") as started:
        with config.set(own), opened(started.address) as workers:
            assert mapped(workers, work.doubled, [1, 2]) == [2, 4]
        refused = pytest.raises(PerenneError, match=r"tls://.*: no Dask scheduler answers: ")
        with refused, opened(started.address):
            raise AssertionError


def test_a_cluster_that_is_not_all_there_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without workers; a scheduler that cannot know the work, that ends, or that is not there."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2)
    with dask.cluster(folder, 0, path=None) as started, opened(started.address) as workers:
        with pytest.raises(PerenneError, match=r"no worker for 0\.5 s; start some, and run this again"):
            mapped(workers, time.sleep, [1])
        with monkeypatch.context() as patched:
            patched.setattr(cluster, "_done", work.doubled)  # of a module that it has not
            with pytest.raises(PerenneError, match="the scheduler cannot read the work; start it again"):
                mapped(workers, time.sleep, [1])
        started.process.kill()
        with pytest.raises(PerenneError, match="the connection to the scheduler was lost"):
            mapped(workers, time.sleep, [1])
    with pytest.raises(PerenneError, match="no Dask scheduler answers: "), opened(started.address):
        raise AssertionError
