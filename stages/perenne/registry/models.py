"""The released models, for people and for programs: which is where, how good, how old, by whom."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from perenne.registry import tags
from perenne.registry.tags import Registry, Version

MAIN = ("log_loss", "roc_auc", "mae", "rmse")  # what the table has room for; the rows have every metric

Row = dict[str, Any]


def models(name: str) -> list[Row]:
    """One row per version that is registered, the newest first; null where its tag has no proof of it."""
    registry = tags.read(name)
    newest = sorted(registry.versions, key=lambda version: version.at, reverse=True)
    return [_row(version, registry) for version in newest]


def table(rows: list[Row], now: datetime) -> str:
    """The rows as text in columns, each version's age as of `now`."""
    if not rows:
        return "no version is released"
    metrics = [name for name in MAIN if any(name in (row["metrics"] or {}) for row in rows)]
    header = ["version", "stage", "as_of", *metrics, "released", "age", "by"]
    lines = [header, *(_cells(row, metrics, now) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def age(passed: timedelta) -> str:
    """How long ago, in the largest unit that there is one of.

    >>> age(timedelta(days=3, hours=7)), age(timedelta(hours=1)), age(timedelta(seconds=-20))
    ('3 days', '1 hour', '0 minutes')
    """
    minutes = max(int(passed.total_seconds()) // 60, 0)  # not before it was made, by a clock that is late
    for unit, length in (("day", 24 * 60), ("hour", 60)):
        if minutes >= length:
            return _count(minutes // length, unit)
    return _count(minutes, "minute")


def _row(version: Version, registry: Registry) -> Row:
    proof = version.proof
    return {
        "version": version.version,
        "stages": registry.stages(version),
        "commit": version.commit,
        "released": version.at.isoformat(),
        "who": version.who,
        "signed": version.signed,
        "as_of": _in(proof, "as_of"),
        "metrics": _metrics(proof),
        "sha256": _in(proof, "model", "sha256"),
        "champion": _in(proof, "champion"),
        "intent": _in(proof, "intent"),
        "verdict": _in(proof, "verdict", "answer"),
        "change": _in(proof, "change", "kind"),
    }


def _in(tree: Any, *keys: str) -> Any:
    """What is at a place in the proof, None where there is no such place."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _metrics(proof: Row | None) -> dict[str, dict[str, Any]] | None:
    found = _in(proof, "metrics")
    if not isinstance(found, dict):
        return None
    return {
        name: {key: _in(metric, key) for key in ("value", "low", "high")} for name, metric in found.items()
    }


def _cells(row: Row, metrics: list[str], now: datetime) -> list[str]:
    released = datetime.fromisoformat(row["released"])
    return [
        row["version"],
        ", ".join(row["stages"]) or "-",
        str(row["as_of"] or "-"),
        *(_interval(_in(row["metrics"], name)) for name in metrics),
        f"{released:%Y-%m-%d}",
        age(now - released),
        row["who"].partition(" <")[0],
    ]


def _interval(metric: dict[str, Any] | None) -> str:
    """A metric with its bounds, as far as they are known.

    >>> _interval({"value": 0.23426, "low": 0.221, "high": None}), _interval(None)
    ('0.2343 (0.221 to -)', '-')
    """
    if metric is None:
        return "-"
    value, low, high = (_number(metric[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"
