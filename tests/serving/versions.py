"""Versions to serve, tagged without the gate."""

from __future__ import annotations

import hashlib
from typing import Any

from perenne.common import git, names, strict_yaml
from perenne.registry import publish, tags

NAME = "retirement"


def sha256() -> str:
    """Return the sha256 of the model in the working tree that a release puts to use."""
    return hashlib.sha256(names.RELEASED.read_bytes()).hexdigest()


def register(version: str, changed: dict[str, Any], commit: str = "HEAD") -> None:
    """Tag a commit as a version with the proof of v1.0.0, except for the keys in `changed`."""
    proof = strict_yaml.loads(tags.read(NAME).registered["v1.0.0"].proof_text or "") | changed
    message = f"{version}\n\n---\n{strict_yaml.dumps(proof)}"
    publish.publish([publish.Tag(f"{NAME}@{version}", git.commit(commit), message)], push=False)


def assign(version: str, stage: str = "prod") -> None:
    """Put a version in a stage; a version that does not exist empties it."""
    registry = tags.read(NAME)
    if version in registry.registered:
        tag = publish.assigned(registry, stage, registry.registered[version].commit, "a test")
    else:
        holder = registry.find(stage)
        tag = publish.Tag(f"{NAME}#{stage}!#{next(registry.counters())}", holder.commit, "a test")
    publish.publish([tag], push=False)
