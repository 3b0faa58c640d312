"""A company with a running service, and databases for its log.

These are SQLite, and PostgreSQL if PERENNE_TEST_POSTGRES names a server.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from tests.project import Project
from tests.serving.ends import Worker
from tests.serving.running import Running, serving

SERVER = os.environ.get("PERENNE_TEST_POSTGRES")


@pytest.fixture(scope="module")
def served(founded: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return the released company with its service. A module shares it: tests leave its state unchanged."""
    to = tmp_path_factory.mktemp("served") / "company"
    shutil.copytree(founded.path.parent, to, symlinks=True)
    with serving(Project(to / "ada")) as running:
        yield running


@pytest.fixture
def three() -> Iterator[list[Worker]]:
    """Return three workers without processes."""
    workers = [Worker(1), Worker(2), Worker(3)]
    yield workers
    for worker in workers:
        worker.close()


@pytest.fixture
def postgres() -> Iterator[str]:
    """Return the URL of an empty PostgreSQL database; drop it afterwards."""
    if not SERVER:
        pytest.skip("set PERENNE_TEST_POSTGRES, for example to postgresql+psycopg://postgres@127.0.0.1/test")
    name = f"perenne_{uuid.uuid4().hex[:12]}"
    engine = create_engine(SERVER, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(SERVER).set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """Return the URL of a SQLite file that does not exist yet, nor does its folder."""
    return f"sqlite:///{tmp_path}/data/predictions.sqlite"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of one database, then of the other."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def shared(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database on the server; without one, of a file."""
    return str(request.getfixturevalue("postgres" if SERVER else "sqlite"))
