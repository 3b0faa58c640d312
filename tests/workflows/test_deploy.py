"""After a release, and on the way back: the real deploy.yml and rollback.yml, run by act."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT, Project
from tests.serving.running import SHA256
from tests.workflows.hub import Hub, Run
from tests.workflows.scenes import GOOD, ended, notes, rounds


def deploy(hub: Hub, conclusion: str = "success", event: str = "push", owner: str = "ada") -> Run:
    """Run deploy.yml on the end of a release."""
    run = {
        "event": event,
        "conclusion": conclusion,
        "head_branch": "main",
        "head_repository": {"full_name": f"{owner}/perenne"},
    }
    return hub.act("deploy", "workflow_run", {"action": "completed", "workflow_run": run}, at="main")


def by_hand(hub: Hub, workflow: str, **inputs: str) -> Run:
    """Run a workflow as somebody who presses its button."""
    return hub.act(workflow, "workflow_dispatch", {"inputs": inputs, "ref": "refs/heads/main"}, at="main")


def in_prod(hub: Hub) -> str:
    """Return the version in prod, as the origin has it."""
    hub.work.run("git fetch -q --tags origin")
    models = json.loads(hub.work.out("perenne models --json"))
    return next(str(model["version"]) for model in models if "prod" in model["stages"])


def images(hub: Hub) -> list[str]:
    """Return the images that were pushed."""
    file = hub.state / "images"
    return file.read_text().split() if file.exists() else []


def test_release_is_tried_and_its_image_pushed_and_there_is_a_way_back(hub: Hub) -> None:
    """The version that was released last has answered in the real server; a rollback is another tag."""
    rounds(hub.work, GOOD)
    ended(hub.release(*hub.merge()))
    run = ended(deploy(hub))
    assert re.search(r"retirement@v1\.1\.0: 36 golden rows as released, p99 .* it is in prod", run.log)
    assert images(hub) == ["ghcr.io/ada/perenne:v1.1.0"]
    back = ended(by_hand(hub, "rollback", reason="$(touch /tmp/owned) to see how"))
    assert "retirement@v1.0.0 is in prod instead of v1.1.0" in back.log
    assert in_prod(hub) == "v1.0.0"
    notes(hub.work)
    ended(hub.release(*hub.merge()))
    ended(deploy(hub))
    assert in_prod(hub) == "v1.0.0", "what was gone back from comes back by itself"
    assert images(hub)[-1] == "ghcr.io/ada/perenne:v1.0.0"
    message = hub.work.out("git for-each-ref --sort=-taggerdate --count=1 --format='%(contents)' refs/tags")
    assert "$(touch /tmp/owned) to see how" in message
    ended(by_hand(hub, "deploy", version="v1.1.0"))
    assert in_prod(hub) == "v1.1.0"


@pytest.mark.parametrize(
    "run",
    [
        {"conclusion": "failure"},
        {"event": "pull_request", "owner": "eve"},
        {"event": "pull_request"},
        {"owner": "eve"},
    ],
)
def test_nothing_is_deployed_unless_a_release_of_this_repository_succeeded(
    hub: Hub, run: dict[str, str]
) -> None:
    """Nor is an image built: a fork may call its branch main, and a workflow of its own Release."""
    done = ended(deploy(hub, **run))
    assert "Deploy" not in done.log
    assert images(hub) == []
    assert in_prod(hub) == "v1.0.0"


def _copy(source: Path, to: Path) -> None:
    """Copy a file or a folder, but for bytecode: other tests write some at the same time."""
    if source.is_dir():
        shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, to)


@pytest.mark.minutes
def test_image_can_be_built_and_serves(hub: Hub, tmp_path: Path) -> None:
    """Its steps, replayed in a clean environment where no container engine is, and what it starts."""
    image, data = tmp_path / "srv", tmp_path / "data"
    image.mkdir()
    data.mkdir()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    env = {"PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}", "HOME": str(data)}
    for line in (ROOT / "stages/perenne/serving/Dockerfile").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(" ")
        if name == "COPY":
            *sources, target = rest.split()
            (image / target).parent.mkdir(parents=True, exist_ok=True)
            for source in sources:
                _copy(ROOT / source, image / target)
        elif name == "RUN" and rest.startswith(("pip", "python")):
            subprocess.run(["bash", "-c", rest], cwd=image, env=env, check=True)
    shutil.copytree(hub.work.path.parent / "home" / "perenne-storage", data / "perenne-storage")
    told = subprocess.Popen(
        ["python", "-m", "perenne.serving.container", "--port", "0"],
        cwd=data,
        env=env
        | {
            "PERENNE_REPO": hub.origin,
            "PERENNE_TOKEN_SHA256": SHA256,
            "DVC_SITE_CACHE_DIR": str(data / "site-cache"),
            "GIT_CONFIG_NOSYSTEM": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert told.stdout
    try:
        line = told.stdout.readline()
        assert re.fullmatch(r"retirement@v1\.0\.0 is served on http://0\.0\.0\.0:\d+\n", line)
    finally:
        told.terminate()
        told.communicate()
    assert Project(data / "repo").path.is_dir()
