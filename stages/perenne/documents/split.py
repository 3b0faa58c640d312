"""What the stage `split` wrote, `data/reports/split.json`."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from perenne.common.document import UnnumberedDocument
from perenne.common.typed import Model


class SplitPart(Model):
    """One part: its periods, its labelled rows, and the rows left out without a label.

    Nothing here is about what the labels are: those of the holdout are sealed.
    """

    model_config = ConfigDict(populate_by_name=True)

    first: str = Field(alias="from")
    last: str = Field(alias="to")
    batches: int
    rows: int
    unlabelled: int


class SplitReport(UnnumberedDocument):
    """The rows that the model learns from, those that the gate judges it on, and those that a refit takes.

    Without `split.refit` the last are the first. Reports of earlier versions do not have them.
    """

    SCHEMA = 2

    train: SplitPart
    holdout: SplitPart
    refit: SplitPart | None = None
