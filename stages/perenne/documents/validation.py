"""What the stage `validate` counted, `data/reports/validation.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Self

from perenne.common.document import UnnumberedDocument
from perenne.common.typed import Model


class ValidationCounts(Model):
    """Rows in, kept and quarantined, and how many rows broke each rule (a row may break several)."""

    rows: int
    kept: int
    quarantined: int
    rules: dict[str, int]

    @classmethod
    def total(cls, counts: Iterable[Self]) -> Self:
        """The counts of several batches together."""
        rules: Counter[str] = Counter()
        rows = kept = quarantined = 0
        for each in counts:
            rows, kept, quarantined = rows + each.rows, kept + each.kept, quarantined + each.quarantined
            rules.update(each.rules)
        return cls(rows=rows, kept=kept, quarantined=quarantined, rules=dict(rules))


class ValidationReport(UnnumberedDocument):
    """The counts of each batch, by period, and of all of them together."""

    batches: dict[str, ValidationCounts]
    total: ValidationCounts
