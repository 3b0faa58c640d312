"""A small company whose model is in prod, and which a law is about to change."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stages.common import git
from stages.registry import publish, tags
from stages.registry.publish import Tag
from tests.conftest import Enter
from tests.project import Project


def release(project: Project, version: str = "v1.0.0") -> None:
    """Put the model of the last commit into prod as a release does, whatever a gate would say of it."""
    sha256 = hashlib.sha256((project.path / "data/model/model.skops").read_bytes()).hexdigest()
    head = git.commit("HEAD")
    message = f"by hand\n\n---\nmodel: {{sha256: '{sha256}'}}\n"
    assigned = publish.assigned(tags.read("retirement"), "prod", head, "released")
    publish.publish([Tag(f"retirement@{version}", head, message), assigned], push=False)


@pytest.fixture
def watched(small: Project, tmp_path: Path, enter: Enter) -> Project:
    """Return the small project, all stages in it and its model in prod, as the current folder."""
    project = small.copy(tmp_path / "project")
    enter(project)
    release(project)
    return project
