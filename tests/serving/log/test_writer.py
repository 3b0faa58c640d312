"""Nothing is acknowledged that is not committed, and nothing is there twice: also in kills and outages."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from perenne.serving.log import Label, LabelResult, Log, LogUnavailable
from perenne.serving.log.store import Store
from tests.project import ROOT
from tests.serving.log.hammer import entry
from tests.serving.log.test_store import NOON

MAX_PAGES = 40  # of 4 kB: a disk that is full soon


def do(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it in an event loop of its own."""
    return asyncio.run(work)


def ids(url: str, stage: str = "prod") -> list[str]:
    """What is in the log, as another connection sees it."""
    with Store(url) as store:
        return [found.entry.id for found in store.read(stage)]


def test_acknowledged_is_committed(url: str) -> None:
    """At once, not a moment later."""

    async def work() -> None:
        log = Log(url)
        await log.append([entry("a"), entry("b")])
        assert sorted(ids(url)) == ["a", "b"]
        assert await log.label([Label("a", 1, NOON), Label("x", 1, NOON)]) == LabelResult(1, ["x"])
        assert (log.pending, log.committed, log.failed, log.lag) == (0, 4, 0, 0)
        log.close()

    do(work())


def test_those_who_wait_share_a_commit(url: str) -> None:
    """Sixty-four callers, a hundred rows each: many times fewer commits than rows."""
    commits = 0

    def count(_: object) -> None:
        nonlocal commits
        commits += 1

    async def caller(log: Log, name: int) -> None:
        for n in range(100):
            await log.append([entry(f"{name}-{n}")])

    async def work() -> None:
        log = Log(url)
        event.listen(log._store.engine, "commit", count)
        await asyncio.gather(*(caller(log, name) for name in range(64)))
        log.close()

    do(work())
    assert len(ids(url)) == 6_400
    assert commits < 6_400 / 8


def test_label_follows_its_prediction(url: str) -> None:
    """Also where predictions are acknowledged before they are committed."""

    async def work() -> None:
        log = Log(url, "async")
        for n in range(100):
            await log.append([entry(str(n))])
            assert await log.label([Label(str(n), 1, NOON)]) == LabelResult(1, [])
        log.close()

    do(work())


def test_close_writes_what_waits(url: str) -> None:
    """Nothing that was taken is dropped, and after that nothing is taken."""

    async def work() -> None:
        log = Log(url, "async")
        for n in range(1_000):
            await log.append([entry(str(n))])
        log.close()
        with pytest.raises(LogUnavailable, match="closed"):
            await log.append([entry("late")])

    do(work())
    assert len(ids(url)) == 1_000


def test_one_that_cannot_be_written_harms_no_other(postgres: str) -> None:
    """PostgreSQL takes no NUL in a text: only its own caller is told."""

    async def work() -> None:
        log = Log(postgres)
        wrong = entry("b")._replace(version="v\0")
        found = await asyncio.gather(
            *(log.append([e]) for e in (entry("a"), wrong, entry("c"))), return_exceptions=True
        )
        assert [type(one).__name__ for one in found] == ["NoneType", "LogUnavailable", "NoneType"]
        assert (log.committed, log.failed) == (2, 1)
        log.close()

    do(work())
    assert sorted(ids(postgres)) == ["a", "c"]


def test_who_has_gone_is_not_missed(url: str) -> None:
    """A caller that was cancelled while it waited; the others get their answers."""

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


@pytest.fixture
def full(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a SQLite file that cannot grow: what SQLite says is what it says of a full disk."""
    Store(sqlite).close()
    monkeypatch.setattr(
        "perenne.serving.log.store.PRAGMAS", ("journal_mode=WAL", f"max_page_count={MAX_PAGES}")
    )
    return sqlite


def test_full_disk_is_told(full: str) -> None:
    """To whoever could not be written; what was acknowledged before is there, and nothing else."""

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


def test_async_says_what_it_lost(full: str, caplog: pytest.LogCaptureFixture) -> None:
    """Acknowledged and not there: counted, and told without a word of what was in it."""

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
    """Where the database is too slow, callers are refused and nothing piles up."""
    monkeypatch.setattr("perenne.serving.log.writer.MOST_WAITING", 10)

    async def work() -> None:
        log = Log(sqlite)
        found = await asyncio.gather(
            *(log.append([entry(str(n))]) for n in range(100)), return_exceptions=True
        )
        refused = [one for one in found if isinstance(one, LogUnavailable)]
        assert "rows wait to be written, at most 10 may" in str(refused[0])
        assert len(refused) == 90
        log.close()

    do(work())
    assert len(ids(sqlite)) == 10


def hammer(url: str, prefix: str) -> subprocess.Popen[str]:
    """Start to write as fast as can be, in a process of its own."""
    command = [sys.executable, "-m", "tests.serving.log.hammer", url, prefix]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str], what: str, count: int) -> list[str]:
    """Read what it says until it has said something so many times; return everything it was about."""
    assert process.stdout
    found: list[str] = []
    for line in process.stdout:
        word, name = line.split()
        found += [name] if word == what else []
        if len(found) >= count:
            break
    return found


def test_killed_under_load(url: str) -> None:
    """Three times with SIGKILL: every acknowledged prediction is there, none twice."""
    kept: list[str] = []
    for n in range(3):
        process = hammer(url, f"round{n}")
        kept += said(process, "kept", 200)
        process.send_signal(signal.SIGKILL)
        assert process.stdout
        told = (line.partition(" ") for line in process.stdout.read().splitlines(keepends=True))
        # A line that it was killed in is not whole.
        kept += [name.strip() for word, _, name in told if word == "kept" and name.endswith("\n")]
        process.wait()
        process.stdout.close()
    there = ids(url)
    assert len(kept) >= 600
    assert set(kept) <= set(there)
    assert len(there) == len(set(there))


@pytest.fixture
def cluster() -> Iterator[Callable[[str], str]]:
    """Return what starts and stops a PostgreSQL server of one's own; its URL comes back."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("no PostgreSQL server is installed here")
    # It refuses to run as root, and the folders of pytest are root's alone; a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="perenne-"))
    own = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if own:
        shutil.chown(folder, "postgres")
    data, port = str(folder / "data"), 20_000 + os.getpid() % 20_000

    def run(program: str, *options: str, check: bool = True) -> None:
        command = [*own, f"{programs[-1]}/{program}", "-D", data, *options]
        why = None if check else subprocess.DEVNULL
        subprocess.run(command, check=check, cwd="/", stdout=subprocess.DEVNULL, stderr=why)

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
    """As after a power cut. A short outage is waited for, a long one told; nothing acknowledged is lost."""
    url = cluster("start")
    process = hammer(url, "x")
    try:
        kept = said(process, "kept", 200)
        cluster("stop")
        cluster("start")
        kept += said(process, "kept", 200)
        cluster("stop")
        refused = said(process, "refused", 32)  # each caller twice
        cluster("start")
        kept += said(process, "kept", 200)
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
    there = ids(url)
    assert set(kept) <= set(there)
    assert len(there) == len(set(there))
    assert len(refused) == 32
