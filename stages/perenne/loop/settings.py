"""The section `loop` of params.yaml: when the monitor acts, and what happens to an eligible model."""

from __future__ import annotations

from typing import Literal

from perenne.common.sections import section
from perenne.loop.decide import Debounce

OnEligible = Literal["pull-request", "release"]


class LoopSettings(Debounce):
    """`pull-request`: people merge an eligible model. `release`: it is released to prod at once."""

    on_eligible: OnEligible = "pull-request"


def load(rev: str | None = None) -> LoopSettings:
    """The settings of a commit, or of the working tree (None)."""
    return section("loop", LoopSettings, rev)
