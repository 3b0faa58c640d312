"""The image: its user, its contents and its start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.serving import container
from perenne.serving.container import REPO, command
from tests.conftest import Enter
from tests.project import ROOT, Project, environment

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


def test_clone_that_was_killed_is_made_again(company: Project, tmp_path: Path) -> None:
    """Whatever is left of the first one."""
    data, started = tmp_path / "data", tmp_path / "started"
    data.mkdir()
    origin = f"file://{company.path.parent}/origin.git"
    slow = environment(company.path) | {
        "PERENNE_REPO": "ssh://nowhere/repo.git",
        "GIT_SSH_COMMAND": f"touch {started}; sleep 600; echo",
        "GIT_SSH_VARIANT": "simple",
    }
    module = [sys.executable, "-m", "perenne.serving.container"]
    first = subprocess.Popen(module, cwd=data, env=slow, start_new_session=True)
    while not started.exists():
        assert first.poll() is None
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert [*data.iterdir()]
    # `--help` ends at once, in place of a service.
    again = [*module, "--help"]
    subprocess.run(again, cwd=data, env=slow | {"PERENNE_REPO": origin}, check=True, capture_output=True)
    assert [path.name for path in data.iterdir()] == [str(REPO)]
    assert git_in(data / REPO, "rev-parse", "HEAD") == git_in(company.path, "rev-parse", "origin/main")


def test_what_a_killed_process_left_is_cleared(
    company: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A clone of an older image without a commit, and the locks of a fetch."""
    enter(company)
    monkeypatch.setenv("PERENNE_REPO", f"file://{company.path.parent}/origin.git")
    git_in(tmp_path, "init", "-q", str(REPO))
    monkeypatch.chdir(tmp_path)
    command([])
    locks = [Path(".git") / name for name in ("packed-refs.lock", "refs/tags/x.lock", "index.lock")]
    for lock in locks:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    monkeypatch.chdir(tmp_path)
    command([])
    assert not any(lock.exists() for lock in locks)
    assert git_in(Path(), "rev-parse", "HEAD") == git_in(company.path, "rev-parse", "HEAD")


def test_folder_of_somebody_else_is_not_removed(
    company: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only what a clone left is."""
    enter(company)
    monkeypatch.setenv("PERENNE_REPO", f"file://{company.path.parent}/origin.git")
    (tmp_path / REPO).mkdir()
    (tmp_path / REPO / "mine").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PerenneError, match="it is not a repository; remove it"):
        command([])
    assert (tmp_path / REPO / "mine").exists()


def git_in(folder: Path, *arguments: str) -> str:
    """Return what git prints in a folder."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_health_check_fails_without_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens on the port."""
    monkeypatch.setattr(container, "PORT", 9)
    with pytest.raises(OSError, match="refused"):
        container.healthy()
