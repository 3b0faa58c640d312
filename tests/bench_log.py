"""The prediction log: predictions a second that are on the disk once acknowledged, and the export."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sqlalchemy import create_engine, make_url, text
from tqdm import tqdm

from perenne.serving.log import Entry, Log
from perenne.serving.log.database import Database
from tests.project import Project

CALLERS = (1, 4, 64)
SECONDS = 3.0
EXPORTED = 1_000_000
FEATURES = (
    '{"employee":%d,"date":"2021-03-31","age":61.5,"quarters":160,"long_career":false,"hardship":false,'
    '"category":"manual","salary":30000,"part_time":false,"seniority":20.5,"sex":"woman","site":"Lyon"}'
)
PEAK = """
import resource
from pathlib import Path
import pandas as pd
from perenne.common import contract
from perenne.serving.log.export import export
from perenne.serving.log.database import Database
with Database("{url}") as store:
    export(store, contract.load("retirement"), Path("{out}"), pd.Period("2021Q2"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def entry(number: int) -> Entry:
    """A prediction of the retirement case."""
    at = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(seconds=number % EXPORTED)
    return Entry(f"{number:032x}", at, "prod", "v1.0.0", FEATURES % number, 0.1)


async def rate(url: str, callers: int) -> tuple[float, float]:
    """Return predictions a second, and the 99th percentile of their milliseconds."""
    log, latencies = Log(url), []
    until = time.perf_counter() + SECONDS

    async def caller(number: int) -> None:
        while (start := time.perf_counter()) < until:
            number += callers
            await log.append([entry(number)])
            latencies.append(time.perf_counter() - start)

    await asyncio.gather(*(caller(uuid.uuid4().int >> 70) for _ in range(callers)))
    log.close()
    return len(latencies) / SECONDS, float(np.percentile(latencies, 99)) * 1_000


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """SQLite, and PostgreSQL where there is one."""
    found, server = {"SQLite": f"sqlite:///{folder}/log.sqlite"}, os.environ.get("PERENNE_TEST_POSTGRES")
    if not server:
        yield found
        return
    name = f"perenne_bench_{uuid.uuid4().hex[:8]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield found | {
            "PostgreSQL": make_url(server).set(database=name).render_as_string(hide_password=False)
        }
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def synced(folder: Path, count: int = 300) -> float:
    """Return how often a second this disk takes a page and says that it is there."""
    with (folder / "page").open("wb") as file:
        start = time.perf_counter()
        for _ in range(count):
            file.write(b"x" * 4_096)
            file.flush()
            os.fdatasync(file.fileno())
    return count / (time.perf_counter() - start)


def table() -> str:
    """Return both tables."""
    with TemporaryDirectory(prefix="perenne-bench-") as temporary:
        folder = Path(temporary)
        disk = synced(folder)
        lines = [
            f"The log: predictions committed a second; this disk takes {disk:,.0f} single pages a second",
            f"{'':12}{'callers':>8}{'a second':>10}{'of the disk':>13}{'p99, ms':>9}",
        ]
        with databases(folder) as urls:
            for name, url in tqdm(urls.items(), desc="log", unit="database"):
                for callers in CALLERS:
                    found, worst = asyncio.run(rate(url, callers))
                    lines.append(f"{name:12}{callers:8}{found:10,.0f}{found / disk:13.2f}{worst:9.1f}")
        return "\n".join([*lines, exported(folder)])


def exported(folder: Path) -> str:
    """Return how long it takes, and how much memory, to write a million predictions as batches."""
    url = f"sqlite:///{folder}/many.sqlite"
    with Database(url) as store:
        for first in tqdm(range(0, EXPORTED, 50_000), desc="filling", unit="50,000 rows", leave=False):
            store.write([entry(first + n) for n in range(50_000)])
    start = time.perf_counter()
    said = Project(Path(__file__).parents[1]).out(
        f"{sys.executable} -c '{PEAK.format(url=url, out=folder / 'out')}'"
    )
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in (folder / "out").iterdir()) / 2**20
    return f"export of {EXPORTED:,}: {seconds:.1f} s, {float(said):.0f} MB at most, {size:.1f} MB in files"


if __name__ == "__main__":
    print(table())
