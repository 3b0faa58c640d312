"""The remote on a real S3 server: what goes right, and what can go wrong with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.common.names import MODEL
from perenne.registry import storage
from tests.conftest import Enter
from tests.project import Project
from tests.registry.visits import least_reproduced
from tests.seaweed import BUCKET, KEY, SECRET, Server, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that the tests of this file share, each in a folder of its own."""
    with served(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def inside(tmp_path: Path, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return the least project as the current folder."""
    project = least_reproduced(tmp_path / "project")
    enter(project)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return project


def connect(project: Project, server: Server, *, bucket: str = BUCKET, secret: str = SECRET) -> None:
    """Make a folder of the server the project's remote, as its user would."""
    folder = f"{project.path.parent.name}-{project.path.name}"
    project.run(
        f"dvc remote add -q -f --local -d s3 s3://{bucket}/{folder} && "
        f"dvc remote modify -q --local s3 endpointurl {server.url} && "
        f"dvc remote modify -q --local s3 access_key_id {KEY} && "
        f"dvc remote modify -q --local s3 secret_access_key {secret}"
    )


def test_pushed_and_obtained_elsewhere(inside: Project, server: Server, enter: Enter) -> None:
    """What was pushed comes back in a clone that has nothing but the remote's name and key."""
    connect(inside, server)
    data = (inside.path / MODEL).read_bytes()
    assert storage.push() == 3
    assert storage.push() == 0
    inside.run("git clone -q . ../service")
    service = Project(inside.path.parent / "service")
    service.run("cp ../project/.dvc/config.local .dvc/")
    enter(service)
    assert storage.obtain("HEAD", MODEL) == data


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"secret": "wrong"}, "SignatureDoesNotMatch|signature|Forbidden|AccessDenied"),
        ({"bucket": "missing"}, "[Bb]ucket"),
    ],
    ids=["key", "bucket"],
)
def test_wrong_settings_are_told(inside: Project, server: Server, wrong: dict[str, str], reason: str) -> None:
    """The line names the remote and the server's reason, and no secret."""
    connect(inside, server, **wrong)
    with pytest.raises(PerenneError, match=rf"^the remote 's3' \(s3: .*\): .*({reason})") as caught:
        storage.push()
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_push_that_is_interrupted_is_told_and_can_be_repeated(
    inside: Project, enter: Enter, tmp_path: Path
) -> None:
    """The server dies between two files: an error, nothing lost, and the next push completes it."""
    for name in "abc":
        inside.write(f"data/incoming/{name}.csv", name * 4_000_000)
    inside.run("dvc add -q data/incoming/*.csv && git add . && git commit -qm more")
    with served(tmp_path / "weed") as server:
        connect(inside, server)
        inside.run("dvc remote modify -q --local s3 jobs 1")
        enter(inside)

        def kill_after_the_first() -> None:
            while not server.files():
                pass
            server.kill()

        killer = threading.Thread(target=kill_after_the_first)
        killer.start()
        with pytest.raises(PerenneError, match=r"^the remote 's3' \(s3: .*\): .*onnect"):
            storage.push()
        killer.join()
        server.start()
        arrived = len(server.files())
        assert 1 <= arrived < 6
        assert storage.push() >= 6 - arrived
        assert len(server.files()) == 6
