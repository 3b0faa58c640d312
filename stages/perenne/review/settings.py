"""The section `review` of params.yaml, as it is in a commit that is trusted."""

from __future__ import annotations

from typing import Literal

from perenne.common.sections import section
from perenne.common.typed import Model

Trust = Literal["rerun", "lock"]


class ReviewSettings(Model):
    """`rerun`: every stage is run again. `lock`: what dvc.lock says is believed, and the report says so."""

    trust: Trust = "rerun"


def load(rev: str) -> ReviewSettings:
    """The settings of a commit: a change must not be reviewed as it would like to be."""
    return section("review", ReviewSettings, rev)
