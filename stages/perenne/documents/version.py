"""A released version as `models --json` lists it."""

from __future__ import annotations

from perenne.common.typed import Model
from perenne.documents.proof import ProvenMetric


class VersionRow(Model):
    """A version that is registered; None where its tag holds no proof of it.

    `released` is the time of the tag in ISO format; `verdict` and `change` are one word each.
    """

    version: str
    stages: tuple[str, ...]
    commit: str
    released: str
    who: str
    signed: bool
    as_of: str | None
    metrics: dict[str, ProvenMetric] | None
    sha256: str | None
    champion: str | None
    intent: str | None
    verdict: str | None
    change: str | None
