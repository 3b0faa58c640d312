"""The section `review` of params.yaml, as it is in a commit that is trusted."""

from __future__ import annotations

from typing import Literal

from perenne.common import git, strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.params import PARAMS
from perenne.common.typed import Model, parse

Trust = Literal["rerun", "lock"]


class Settings(Model):
    """`rerun`: every stage is run again. `lock`: what dvc.lock says is believed, and the report says so."""

    trust: Trust = "rerun"


class _Section(Model):
    review: Settings = Settings()


def load(rev: str) -> Settings:
    """The settings of a commit: a change must not be reviewed as it would like to be."""
    name = f"{PARAMS} of {rev}"
    found = strict_yaml.loads(git.show(rev, PARAMS).decode(), name)
    if not isinstance(found, dict):
        raise PerenneError(f"{name}: expected a mapping, found {found!r:.60}")
    return parse(_Section, {"review": found.get("review") or {}}, name).review
