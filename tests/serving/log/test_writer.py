"""Every acknowledged row is committed once, also after kills and outages."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, make_url

from perenne.serving.log import Entry, Label, LabelResult, Log, LogUnavailable
from perenne.serving.log.database import Database
from perenne.serving.log.writer import LARGE
from tests.project import ROOT
from tests.serving.log.hammer import entry
from tests.serving.log.test_database import NOON

PAUSE = 0.02  # seconds between two looks at a state
DEADLINE = 5.0  # seconds until a caller is answered
MAX_PAGES = 40  # of 4 kB: a disk that is full soon


def do(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it in its own event loop."""
    return asyncio.run(work)


def ids(url: str, stage: str = "prod") -> list[str]:
    """Return the ids in the log, as another connection sees them."""
    with Database(url) as database:
        return [logged.entry.id for logged in database.read(stage)]


def test_acknowledged_is_committed(url: str) -> None:
    """At the moment when `append` returns."""

    async def work() -> None:
        log = Log(url)
        await log.append([entry("a"), entry("b")])
        assert sorted(ids(url)) == ["a", "b"]
        assert await log.label([Label("a", 1, NOON), Label("x", 1, NOON)]) == LabelResult(1, ["x"], [])
        assert (log.pending, log.committed, log.failed, log.lag) == (0, 4, 0, 0)
        log.close()

    do(work())


def test_waiting_callers_share_a_commit(url: str) -> None:
    """64 callers with 100 rows each need far fewer commits than rows."""
    commits = 0

    async def caller(log: Log, name: int) -> None:
        for n in range(100):
            await log.append([entry(f"{name}-{n}")])

    async def work() -> None:
        log = Log(url)
        add = log._database.add

        def counted(entries: Sequence[Entry]) -> int:
            nonlocal commits
            commits += 1
            return add(entries)

        log._database.add = counted  # type: ignore[method-assign]  # to count
        await asyncio.gather(*(caller(log, name) for name in range(64)))
        log.close()

    do(work())
    assert len(ids(url)) == 6_400
    assert 0 < commits < 6_400 / 8


def test_small_writes_come_before_large_ones(url: str) -> None:
    """A large one has a commit alone, and between two of them come those that have arrived meanwhile."""
    groups: list[list[str]] = []

    async def work() -> None:
        log = Log(url)
        add, begun, go = log._database.add, threading.Event(), threading.Event()

        def recorded(entries: Sequence[Entry]) -> int:
            groups.append([entry.id for entry in entries])
            begun.set()
            assert go.wait(60)
            return add(entries)

        log._database.add = recorded  # type: ignore[method-assign]  # to see the order
        waiting = [asyncio.create_task(log.append([entry("first")]))]
        assert await asyncio.to_thread(begun.wait, 60)
        for name in ("x", "y"):
            waiting.append(asyncio.create_task(log.append(large(name))))
            waiting += [asyncio.create_task(log.append([entry(f"{name}{n}")])) for n in range(2)]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*waiting)
        log.close()

    do(work())
    x, y = ([one.id for one in large(name)] for name in ("x", "y"))
    assert groups == [["first"], ["x0", "x1", "y0", "y1"], x, y]
    assert len(ids(url)) == 5 + len(x) + len(y)


def large(name: str) -> list[Entry]:
    """Return predictions of one caller."""
    return [entry(f"{name}-{n:03}") for n in range(LARGE + 1)]


def test_large_write_is_committed_when_the_log_is_closed(url: str) -> None:
    """Each of those that wait, though only one is in a commit."""

    async def work() -> None:
        log = Log(url)
        waiting = [asyncio.ensure_future(log.append(large(str(n)))) for n in range(4)]
        await asyncio.sleep(0)
        log.close()
        await asyncio.gather(*waiting)

    do(work())
    assert len(ids(url)) == 4 * (LARGE + 1)


def test_label_does_not_overtake_a_large_write(url: str) -> None:
    """In the mode `async` its prediction was acknowledged, and may not be committed yet."""

    async def work() -> None:
        log = Log(url, "async")
        for n in range(20):
            await log.append(large(str(n)))
            assert await log.label([Label(f"{n}-000", 1, NOON)]) == LabelResult(1, [], [])
        log.close()

    do(work())


def test_label_follows_its_prediction(url: str) -> None:
    """Also in the mode `async`, where predictions are acknowledged before they are committed."""

    async def work() -> None:
        log = Log(url, "async")
        for n in range(100):
            await log.append([entry(str(n))])
            assert await log.label([Label(str(n), 1, NOON)]) == LabelResult(1, [], [])
        log.close()

    do(work())


def test_close_commits_waiting_rows(url: str) -> None:
    """No accepted row is dropped, and a closed log accepts none."""

    async def work() -> None:
        log = Log(url, "async")
        for n in range(1_000):
            await log.append([entry(str(n))])
        log.close()
        with pytest.raises(LogUnavailable, match="closed"):
            await log.append([entry("late")])

    do(work())
    assert len(ids(url)) == 1_000


def test_one_bad_row_does_not_affect_others(postgres: str) -> None:
    """PostgreSQL rejects a NUL in a text: only its own caller gets the error."""

    async def work() -> None:
        log = Log(postgres)
        wrong = entry("b")._replace(version="v\0")
        results = await asyncio.gather(
            *(log.append([e]) for e in (entry("a"), wrong, entry("c"))), return_exceptions=True
        )
        assert [type(one).__name__ for one in results] == ["NoneType", "LogUnavailable", "NoneType"]
        assert (log.committed, log.failed) == (2, 1)
        log.close()

    do(work())
    assert sorted(ids(postgres)) == ["a", "c"]


def test_cancelled_caller_does_not_affect_others(url: str) -> None:
    """One caller is cancelled while it waits; the other one is answered."""

    async def work() -> None:
        log = Log(url)
        gone = asyncio.ensure_future(log.append([entry("a")]))
        stays = asyncio.ensure_future(log.append([entry("b")]))
        await asyncio.sleep(0)
        gone.cancel()
        await stays
        log.close()

    do(work())
    assert "b" in ids(url)


def test_row_is_in_the_file_that_has_the_name(sqlite: str) -> None:
    """Whatever became of the one before, which keeps its own rows; a label finds what it can."""
    file = Path(sqlite.removeprefix("sqlite:///"))
    wal, moved, other = (file.with_name(f"{file.name}{end}") for end in ("-wal", ".moved", ".other"))
    Database(f"sqlite:///{other}").close()

    def remove() -> None:
        for part in file.parent.glob(f"{file.name}*"):
            if part not in (moved, other):
                part.unlink()

    async def work() -> None:
        log = Log(sqlite)
        changes: dict[str, Callable[[], object]] = {
            "removed": remove,
            "write-ahead log removed": wal.unlink,
            "removed alone": file.unlink,
            "renamed": lambda: file.rename(moved),
            "replaced": lambda: other.replace(file),
        }
        for change, do_it in changes.items():
            await log.append([entry(f"before {change}")])
            do_it()
            await log.append([entry(f"after {change}")])
            kept = {f"before {change}"} if change == "write-ahead log removed" else set()
            assert {f"after {change}"} | kept <= set(ids(sqlite)), change
            assert (f"before {change}" in ids(sqlite)) == bool(kept), change
            assert log.failing is None
        log.close()

    do(work())
    assert "before renamed" in ids(f"sqlite:///{moved}")


def test_row_is_refused_while_its_file_cannot_be(sqlite: str) -> None:
    """Its folder is gone, or something else is there; the log recovers by itself when it can."""
    file = Path(sqlite.removeprefix("sqlite:///"))
    folder, away = file.parent / "folder", file.parent / "away"

    async def work() -> None:
        log = Log(f"sqlite:///{folder}/log.sqlite", patience=0.3)
        await log.append([entry("before")])
        folder.rename(away)
        with pytest.raises(LogUnavailable):
            await log.append([entry("lost")])
        assert log.failing
        folder.mkdir()
        (folder / "log.sqlite").write_text("no database" * 1_000, encoding="utf-8")
        with pytest.raises(LogUnavailable, match="not a database"):
            await log.append([entry("lost")])
        (folder / "log.sqlite").unlink()
        await log.append([entry("after")])
        assert log.failing is None
        log.close()

    do(work())
    assert ids(f"sqlite:///{folder}/log.sqlite") == ["after"]
    assert ids(f"sqlite:///{away}/log.sqlite") == ["before"]


@pytest.fixture
def full(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a SQLite file that cannot grow: SQLite reports it as a full disk."""
    Database(sqlite).close()
    monkeypatch.setattr(
        "perenne.serving.log.database.PRAGMAS", ("journal_mode=WAL", f"max_page_count={MAX_PAGES}")
    )
    return sqlite


def test_full_disk_is_reported(full: str) -> None:
    """To the callers whose rows were not written; the log has exactly the acknowledged rows."""

    async def work() -> list[str]:
        log = Log(full, patience=0)
        kept = []
        for n in range(1_000):
            try:
                await log.append([entry(f"{n:04}")._replace(features="x" * 1_000)])
                kept.append(f"{n:04}")
            except LogUnavailable as error:
                assert "full" in str(error)  # noqa: PT017 -- it is raised in one of many rounds
        log.close()
        return kept

    kept = do(work())
    assert 10 < len(kept) < 1_000
    assert ids(full) == kept


def test_failing_ends_when_rows_can_be_written_again(full: str) -> None:
    """Without any traffic: a service that is not ready gets none. That a small row fits is not enough."""

    async def work() -> None:
        log = Log(full, patience=0)
        assert log.failing is None
        large = entry("large")._replace(features="x" * 4_096 * MAX_PAGES)
        with pytest.raises(LogUnavailable):
            await log.append([large])
        assert "full" in (log.failing or "")
        await log.append([entry("small")])
        assert log.failing is None
        with pytest.raises(LogUnavailable):
            await log.append([large])
        for _ in range(3):
            await probed(log)
            assert "full" in (log.failing or "")
        event.listen(log._database.engine, "connect", grow)
        log._database.engine.dispose()
        until = time.monotonic() + 60
        while log.failing and time.monotonic() < until:
            await asyncio.sleep(PAUSE)
        assert log.failing is None
        log.close()

    def grow(connection: Any, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 1000000").close()

    async def probed(log: Log) -> None:
        """Wait for the next attempt of the log's thread."""
        done = threading.Event()
        event.listen(log._database.engine, "rollback", lambda _: done.set())
        assert await asyncio.to_thread(done.wait, 60)

    do(work())


def test_rows_at_fault_do_not_make_the_log_fail(postgres: str) -> None:
    """Otherwise a caller could take the service out of its load balancer."""

    async def work() -> None:
        log = Log(postgres)
        with pytest.raises(LogUnavailable):
            await log.append([entry("b")._replace(version="v\0")])
        assert log.failing is None
        log.close()

    do(work())


def test_database_whose_packets_stop_is_given_up(cluster: Callable[[str], str]) -> None:
    """The connection stays open, and no answer arrives: each caller has one in time, and the log recovers."""
    url = make_url(cluster("start"))

    async def work() -> None:
        with relayed("127.0.0.1", url.port or 0) as relay:
            log = Log(url.set(port=relay.port).render_as_string(hide_password=False))
            await log.append([entry("before")])
            relay.stop()
            async with asyncio.timeout(2 * DEADLINE + 5):
                for name in ("a", "b"):
                    with pytest.raises(LogUnavailable):
                        await log.append([entry(name)])
            assert log.failing or log.pending
            relay.go_on()
            await until_committed(log, "after")
            assert log.failing is None
            log.close()

    do(work())
    assert {"before", "after"} <= set(ids(str(url)))


def test_locked_database_is_given_up(url: str) -> None:
    """Another process holds a lock on the table: each caller has an answer in time."""

    async def work() -> None:
        log = Log(url)
        await log.append([entry("before")])
        with Database(url) as other, other.engine.connect() as connection:
            if other.engine.dialect.name == "postgresql":
                connection.exec_driver_sql("LOCK TABLE predictions")
            else:
                connection.begin()  # takes the write lock
            async with asyncio.timeout(2 * DEADLINE + 5):
                with pytest.raises(LogUnavailable):
                    await log.append([entry("a")])
                with pytest.raises(LogUnavailable):
                    await log.label([Label("before", 1, NOON)])
            assert log.failing or log.pending
        await until_committed(log, "after")
        log.close()

    do(work())
    assert {"before", "after"} <= set(ids(url))


async def until_committed(log: Log, name: str) -> None:
    """Write a row until it is committed."""
    until = time.monotonic() + 60
    while True:
        try:
            await log.append([entry(name)])
        except LogUnavailable:
            assert time.monotonic() < until
        else:
            return


class Relay:
    """Forwards bytes between its clients and a server, until it is stopped; connections stay open then."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._goes = threading.Event()
        self._goes.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Forward nothing."""
        self._goes.clear()

    def go_on(self) -> None:
        """Forward again."""
        self._goes.set()

    def close(self) -> None:
        """Close all."""
        self._goes.set()
        for one in [self._listener, *self._sockets]:
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._goes.wait()
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)


@contextmanager
def relayed(host: str, port: int) -> Iterator[Relay]:
    """Yield a relay to a server."""
    relay = Relay(host, port)
    try:
        yield relay
    finally:
        relay.close()


def test_async_mode_counts_lost_rows(full: str, caplog: pytest.LogCaptureFixture) -> None:
    """Acknowledged rows that could not be written are counted and logged, without their content."""

    async def work() -> None:
        log = Log(full, "async", patience=0)
        for n in range(1_000):
            await log.append([entry(f"{n:04}")._replace(features="secret" * 200)])
        log.close()
        assert log.failed > 0
        assert log.committed + log.failed == 1_000
        assert len(ids(full)) == log.committed

    do(work())
    assert "rows are not in the log: " in caplog.text
    assert "secret" not in caplog.text


def test_memory_is_bounded(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the database is too slow, further rows are rejected."""
    monkeypatch.setattr("perenne.serving.log.writer.MAX_WAITING", 10)

    async def work() -> None:
        log = Log(sqlite)
        results = await asyncio.gather(
            *(log.append([entry(str(n))]) for n in range(100)), return_exceptions=True
        )
        rejected = [one for one in results if isinstance(one, LogUnavailable)]
        assert "rows are waiting to be written, the limit is 10" in str(rejected[0])
        assert len(rejected) == 90
        log.close()

    do(work())
    assert len(ids(sqlite)) == 10


def hammer(url: str, prefix: str) -> subprocess.Popen[str]:
    """Start a process that writes as fast as possible."""
    command = [sys.executable, "-m", "tests.serving.log.hammer", url, prefix]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def printed(process: subprocess.Popen[str], wanted: str, count: int) -> list[str]:
    """Read lines until `count` of them have the wanted word; return the ids of those."""
    assert process.stdout
    names: list[str] = []
    for line in process.stdout:
        word, name = line.split()
        names += [name] if word == wanted else []
        if len(names) >= count:
            break
    return names


def test_killed_under_load(url: str) -> None:
    """After three SIGKILLs every acknowledged prediction is in the log, none twice."""
    kept: list[str] = []
    for n in range(3):
        process = hammer(url, f"round{n}")
        kept += printed(process, "kept", 200)
        process.send_signal(signal.SIGKILL)
        assert process.stdout
        lines = (line.partition(" ") for line in process.stdout.read().splitlines(keepends=True))
        # The kill may have cut the last line.
        kept += [name.strip() for word, _, name in lines if word == "kept" and name.endswith("\n")]
        process.wait()
        process.stdout.close()
    there = ids(url)
    assert len(kept) >= 600
    assert set(kept) <= set(there)
    assert len(there) == len(set(there))


@pytest.fixture
def cluster() -> Iterator[Callable[[str], str]]:
    """Return a function that starts or stops a PostgreSQL server and returns its URL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("no PostgreSQL server is installed here")
    # PostgreSQL does not run as root, pytest's folders are root's only, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="perenne-"))
    own = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if own:
        shutil.chown(folder, "postgres")
    data, port = str(folder / "data"), 20_000 + os.getpid() % 20_000

    def run(program: str, *options: str, check: bool = True) -> None:
        command = [*own, f"{programs[-1]}/{program}", "-D", data, *options]
        errors = None if check else subprocess.DEVNULL
        subprocess.run(command, check=check, cwd="/", stdout=subprocess.DEVNULL, stderr=errors)

    def control(action: str) -> str:
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        mode = ["-o", options] if action == "start" else ["-m", "immediate"]
        run("pg_ctl", "-w", "-s", "-l", f"{folder}/log", *mode, action)
        return f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"

    run("initdb", "-U", "postgres", "--auth=trust", "--no-sync")
    yield control
    run("pg_ctl", "-m", "immediate", "stop", check=False)
    shutil.rmtree(folder)


def test_database_restarts_under_load(cluster: Callable[[str], str]) -> None:
    """A short outage delays writes, a long one rejects them; no acknowledged row is lost."""
    url = cluster("start")
    process = hammer(url, "x")
    try:
        kept = printed(process, "kept", 200)
        cluster("stop")
        cluster("start")
        kept += printed(process, "kept", 200)
        cluster("stop")
        refused = printed(process, "refused", 32)  # each caller twice
        cluster("start")
        kept += printed(process, "kept", 200)
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
    there = ids(url)
    assert set(kept) <= set(there)
    assert len(there) == len(set(there))
    assert len(refused) == 32
