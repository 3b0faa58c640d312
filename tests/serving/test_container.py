"""The image: its user, its contents and its start."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.serving import container
from perenne.serving.container import REPO, command
from tests.conftest import Enter
from tests.project import ROOT, Project

DOCKERFILE = ROOT / "stages/perenne/serving/Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, in order."""
    lines = DOCKERFILE.read_text(encoding="utf-8").splitlines()
    parts = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in parts]


def test_it_is_not_root_and_has_a_health_check() -> None:
    """The user is a number, so that Kubernetes can check it; of several the last one counts."""
    last = dict(instructions())
    assert last["USER"] == "10001"
    assert last["HEALTHCHECK"].endswith('CMD ["python", "-m", "perenne.serving.container", "healthy"]')
    assert last["ENTRYPOINT"] == '["python", "-m", "perenne.serving.container"]'
    assert last["VOLUME"] == last["WORKDIR"] == "/data"


def test_base_is_pinned_by_its_digest() -> None:
    """A tag moves; a digest does not. Its Python is one that the package supports."""
    (base,) = [rest for name, rest in instructions() if name == "FROM"]
    assert re.fullmatch(r"python:3\.1[123]-slim@sha256:[0-9a-f]{64}", base)


def test_installed_packages_are_locked() -> None:
    """With hashes. The copied files exist, and do not include data, tests or secrets."""
    runs = [rest for name, rest in instructions() if name == "RUN" and "pip" in rest]
    locked, own = runs
    assert "--no-deps --require-hashes --requirement requirements.txt" in locked
    assert {"--no-deps", "--no-build-isolation", "."} <= set(own.split()), (
        "the library itself, and nothing else"
    )
    copied = [source for name, rest in instructions() if name == "COPY" for source in rest.split()[:-1]]
    assert all((ROOT / source).exists() for source in copied)
    assert not {".", ".git", "data", "tests"} & set(copied)


def test_lock_of_the_image_is_that_of_the_tests() -> None:
    """Every package of the image has the version that the tests use."""

    def pins(lock: str) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==([^ \\;]+)", (ROOT / lock).read_text("utf-8"), re.MULTILINE))

    image, tested, pipeline = map(
        pins, ("stages/perenne/serving/requirements.txt", "tests/requirements.txt", "requirements.txt")
    )
    assert {name: tested.get(name) for name in image} == image
    assert set(pipeline) <= set(image)


def test_it_clones_once_and_serves_from_there(
    company: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It listens on all addresses, so a token is required; options of the container come last and win."""
    enter(company)
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.chdir(data)
    with pytest.raises(PerenneError, match="PERENNE_REPO: not set"):
        command([])
    monkeypatch.setenv("PERENNE_REPO", f"file://{company.path.parent}/origin.git")
    for _ in range(2):
        monkeypatch.chdir(data)
        serve = command(["--require-signed"])
        assert Path.cwd() == data / REPO
        assert serve[:6] == [sys.executable, "-P", "-m", "perenne.cli", "serve", "--host"]
        assert serve[-3:] == ["--log-url", f"sqlite:///{data}/predictions.sqlite", "--require-signed"]
    monkeypatch.setenv("PERENNE_LOG_URL", "postgresql+psycopg://log@db/log")
    monkeypatch.chdir(data)
    assert "postgresql+psycopg://log@db/log" in command([])


def test_health_check_fails_without_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens on the port."""
    monkeypatch.setattr(container, "PORT", 9)
    with pytest.raises(OSError, match="refused"):
        container.healthy()
