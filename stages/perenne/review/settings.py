"""The section `review` of params.yaml, as a trusted commit has it."""

from __future__ import annotations

from perenne.common.sections import section
from perenne.common.typed import Model
from perenne.documents.review import Trust


class ReviewSettings(Model):
    """`trust: rerun` reruns every stage; `lock` trusts dvc.lock without a rerun, and the page warns of it."""

    trust: Trust = "rerun"


def load(rev: str) -> ReviewSettings:
    """Return the settings of a commit: a change must not choose how it is reviewed.

    Raises
    ------
    PerenneError
        If the commit has no params.yaml, or the section `review` is wrong.

    """
    return section("review", ReviewSettings, rev)
