"""The list of released models: version, stage, metrics, age and author."""

from __future__ import annotations

from datetime import datetime, timedelta

from perenne.documents.proof import Proof, ProvenMetric
from perenne.documents.version import VersionRow
from perenne.pages.text import number
from perenne.registry import tags
from perenne.registry.tags import Registry, Version

MAIN = ("log_loss", "roc_auc", "mae", "rmse")  # the table has room for these; the rows have every metric


def models(name: str) -> list[VersionRow]:
    """Return one row for each registered version of a model, the newest first."""
    registry = tags.read(name)
    newest = sorted(registry.versions, key=lambda version: version.at, reverse=True)
    return [_row(version, registry) for version in newest]


def table(rows: list[VersionRow], now: datetime) -> str:
    """Return the rows as text in columns, with the age of each version at `now` (with a time zone)."""
    if not rows:
        return "no version is released"
    metrics = [name for name in MAIN if any(name in (row.metrics or {}) for row in rows)]
    header = ["version", "stage", "as_of", *metrics, "released", "age", "by"]
    lines = [header, *(_cells(row, metrics, now) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def age(passed: timedelta) -> str:
    """Return a time span in days, hours or minutes: the largest unit that fits.

    >>> age(timedelta(days=3, hours=7)), age(timedelta(hours=1)), age(timedelta(seconds=-20))
    ('3 days', '1 hour', '0 minutes')
    """
    minutes = max(int(passed.total_seconds()) // 60, 0)  # never negative, whatever a clock says
    for unit, length in (("day", 24 * 60), ("hour", 60)):
        if minutes >= length:
            return _count(minutes // length, unit)
    return _count(minutes, "minute")


def _row(version: Version, registry: Registry) -> VersionRow:
    proof = version.proof or Proof()
    return VersionRow(
        version=version.version,
        stages=tuple(registry.stages(version)),
        commit=version.commit,
        released=version.at.isoformat(),
        who=version.who,
        signed=version.signed,
        as_of=proof.as_of,
        metrics=proof.metrics,
        sha256=(proof.released or proof.model).sha256,
        champion=proof.champion,
        intent=proof.intent,
        verdict=proof.verdict.answer,
        change=proof.change.kind,
    )


def _cells(row: VersionRow, metrics: list[str], now: datetime) -> list[str]:
    released = datetime.fromisoformat(row.released)
    return [
        row.version,
        ", ".join(row.stages) or "-",
        row.as_of or "-",
        *(_interval((row.metrics or {}).get(name)) for name in metrics),
        f"{released:%Y-%m-%d}",
        age(now - released),
        row.who.partition(" <")[0],
    ]


def _interval(metric: ProvenMetric | None) -> str:
    """A metric with its bounds, as far as they are known.

    >>> _interval(ProvenMetric(value=0.23426, low=0.221)), _interval(None)
    ('0.2343 (0.221 to -)', '-')
    """
    if metric is None:
        return "-"
    return f"{number(metric.value)} ({number(metric.low)} to {number(metric.high)})"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"
