"""The section `loop` of params.yaml: how patient the monitor is, and what becomes of an eligible model."""

from __future__ import annotations

from typing import Literal

from perenne.common import git, strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.params import PARAMS
from perenne.common.typed import Model, parse
from perenne.loop.decide import Debounce

OnEligible = Literal["pull-request", "release"]


class Settings(Debounce):
    """`pull-request`: people merge what the gate found eligible. `release`: it is in prod at once."""

    on_eligible: OnEligible = "pull-request"


class _Section(Model):
    loop: Settings = Settings()


def load(rev: str | None = None) -> Settings:
    """The settings of a commit, or of the working tree (None)."""
    text = git.show(rev, PARAMS).decode() if rev else PARAMS.read_text(encoding="utf-8")
    name = f"{PARAMS} of {rev}" if rev else str(PARAMS)
    found = strict_yaml.loads(text, name)
    if not isinstance(found, dict):
        raise PerenneError(f"{name}: expected a mapping, found {found!r:.60}")
    return parse(_Section, {"loop": found.get("loop") or {}}, name).loop
