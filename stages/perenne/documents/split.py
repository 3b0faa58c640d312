"""What the stage `split` wrote, `data/reports/split.json`."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from perenne.common.document import Rounded, UnnumberedDocument
from perenne.common.typed import Model


class SplitPart(Model):
    """One part: its periods, its labelled rows, the rows left out without a label, the target's mean."""

    model_config = ConfigDict(populate_by_name=True)

    first: str = Field(alias="from")
    last: str = Field(alias="to")
    batches: int
    rows: int
    unlabelled: int
    mean_target: Rounded


class SplitReport(UnnumberedDocument):
    """The rows that the model learns from, and those that measure it."""

    train: SplitPart
    holdout: SplitPart
