"""Our verdict as a piece of HTML: the advice in one line, the reasons in words, and the figures behind them.

Every text goes through `escape`. The report may come from an older version: what it lacks is left blank.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Literal, TypedDict

Level = Literal["none", "look", "retrain"]

ADVICE = {
    "none": "Nothing to do: there is no sign that the data or the model's results have changed.",
    "look": "Look: something differs from what the model learned. That it predicts worse is not shown.",
    "retrain": "Retrain: labels that have come in show that the model is no longer right.",
}
NO_ADVICE = "No advice was given: take nothing for granted."

ALARM = ' class="alarm"'
LARGE = 1_000  # from here on a number is written out

# What tables show, in this order: the key in the report, and its heading.
BATCHES = {"period": "Period", "rows": "Rows", "matured": "Matured labels", "level": "Advice"}
COVARIATES = {
    "feature": "Feature",
    "alarm": "Alarm",
    "importance": "Importance",
    "test": "Test",
    "effect": "Effect",
    "q": "q",
}
CONCEPT = {
    "stream": "On matured labels",
    "alarm": "Alarm",
    "reference": "Reference",
    "value": "Now",
    "log_e": "Evidence (log e)",
    "threshold": "Needed",
    "since": "Since",
}

STYLE = """
.perenne { --ink: #1d2433; --soft: #5b6475; --paper: #fff; --line: #d9dee7; --shade: #f4f6f9;
  --none: #1b6e3c; --look: #8a5a00; --retrain: #b3261e; color-scheme: light dark;
  font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); padding: 1.5rem 1rem; }
@media (prefers-color-scheme: dark) { .perenne { --ink: #e7eaf0; --soft: #a5adbb; --paper: #14181f;
  --line: #343c4a; --shade: #1d232d; --none: #6fd598; --look: #f0b64d; --retrain: #ff8a80; } }
.perenne + .perenne { padding-top: 0; }
.perenne > * { max-width: 72rem; margin-inline: auto; }
.perenne h1 { font-size: 1.1rem; margin: 0 auto .5rem; color: var(--soft); font-weight: 600; }
.perenne h2 { font-size: 1.15rem; margin: 1.75rem auto .5rem; }
.perenne p { margin-block: .5rem; }
.perenne .advice { font-size: 1.35rem; line-height: 1.35; font-weight: 600; margin: 0 auto .75rem;
  padding: .75rem 1rem; border-left: .4rem solid currentColor; background: var(--shade); }
.perenne .none { color: var(--none); } .perenne .look { color: var(--look); }
.perenne .retrain { color: var(--retrain); }
.perenne .note { color: var(--soft); }
.perenne .scroll { overflow-x: auto; margin-block: .5rem 1rem; }
.perenne table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 50%; }
.perenne caption { text-align: left; font-weight: 600; padding: .25rem 0; }
.perenne th, .perenne td { text-align: left; padding: .3rem .9rem .3rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); }
.perenne tbody th { font-weight: 400; }
.perenne .alarm th, .perenne .alarm td { font-weight: 600; background: var(--shade); }
.perenne details { border-top: 1px solid var(--line); padding: .5rem 0; }
.perenne summary { cursor: pointer; font-weight: 600; }
.perenne :focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
"""


class Advice(TypedDict, total=False):
    """What to do, and why: the reasons in words, the weightiest first."""

    level: Level
    reasons: list[str]


# What batches are compared with: the periods that this model learned from and was measured on.
Reference = TypedDict("Reference", {"from": str, "to": str, "rows": int}, total=False)


class Covariate(TypedDict, total=False):
    """One test of one feature: its effect size, p value, and q value after correction for all tests."""

    feature: str
    importance: float
    test: str
    effect: float
    p: float
    q: float
    alarm: bool


class Concept(TypedDict, total=False):
    """One figure on matured labels, watched over the batches: it alarms when `log_e` reaches `threshold`."""

    stream: str
    reference: float
    value: float
    log_e: float
    threshold: float
    alarm: bool
    since: str | None


class Batch(TypedDict, total=False):
    """One period after the reference; `predictions` and `volume` are shown as they are, key by key."""

    period: str
    rows: int
    matured: int
    level: Level
    reasons: list[str]
    covariates: list[Covariate]
    predictions: dict[str, Any]
    volume: dict[str, Any]
    concept: list[Concept]


class Report(TypedDict, total=False):
    """The drift report, `data/reports/drift.json`, as far as people are shown it."""

    schema: int
    advice: Advice
    reference: Reference
    batches: list[Batch]


def render(report: Mapping[str, Any]) -> str:
    """The verdict on a `Report`: a fragment with its own style, for the top of a page."""
    advice, batches = report.get("advice") or {}, report.get("batches") or []
    parts = [
        "<h1>Drift: does the model still fit the world?</h1>",
        f'<p class="advice {level(advice)}">{ADVICE.get(level(advice), NO_ADVICE)}</p>',
        listed(advice.get("reasons") or [], "ol"),
        compared(report.get("reference") or {}, batches),
        table("Batches, oldest first", batches, BATCHES),
        *(details(batch, is_open=batch is batches[-1]) for batch in reversed(batches)),
    ]
    inside = "\n".join(part for part in parts if part)
    return f'<style>{STYLE}</style>\n<section class="perenne" aria-label="Verdict">\n{inside}\n</section>\n'


def level(advice: Mapping[str, Any]) -> str:
    """The level of an advice or of a batch, and `unknown` for what is none."""
    found = str(advice.get("level"))
    return found if found in ADVICE else "unknown"


def compared(reference: Mapping[str, Any], batches: list[Mapping[str, Any]]) -> str:
    """What was compared with what, in a sentence."""
    if not batches:
        return '<p class="note">There is no batch after the reference yet: nothing to compare.</p>'
    since = f"{shown(reference.get('from'))} to {shown(reference.get('to'))}"
    return (
        f'<p class="note">Each batch is compared with the reference: {since}, '
        f"{shown(reference.get('rows'))} rows, which the model learned from and was measured on.</p>"
    )


def details(batch: Mapping[str, Any], *, is_open: bool) -> str:
    """One batch: its reasons, its features ranked by importance, its streams, and what else it says."""
    features = sorted(batch.get("covariates") or [], key=rank)
    parts = [
        f"<summary>{shown(batch.get('period'))}: {shown(batch.get('level'))}</summary>",
        listed(batch.get("reasons") or [], "ol"),
        table("Features, the most important to the model first", features, COVARIATES),
        table("Concept: is what the model learned still so?", batch.get("concept") or [], CONCEPT),
        facts("Predictions", batch.get("predictions") or {}),
        facts("Volume", batch.get("volume") or {}),
    ]
    return f"<details{' open' if is_open else ''}>{''.join(parts)}</details>"


def rank(covariate: Mapping[str, Any]) -> tuple[float, str]:
    """Sorts the most important feature first; one without importance comes last."""
    return -(covariate.get("importance") or 0.0), str(covariate.get("feature"))


def listed(items: Iterable[object], tag: Literal["ol", "ul"] = "ul") -> str:
    """A list, ordered or not; nothing where there is no item."""
    inside = "".join(f"<li>{shown(item)}</li>" for item in items)
    return f"<{tag}>{inside}</{tag}>" if inside else ""


def facts(caption: str, values: Mapping[str, Any]) -> str:
    """Keys and values as they are, in a table of two columns."""
    rows = [{"what": key.replace("_", " "), "value": value} for key, value in values.items()]
    return table(caption, rows, {"what": "Figure", "value": "Value"}) if rows else ""


def table(caption: str, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Some keys of each row under their headings, in a box that scrolls sideways where it must."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns.values())
    body = "".join(line([row.get(key) for key in columns], is_alarm=row.get("alarm") is True) for row in rows)
    if not body:
        return ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def line(values: list[object], *, is_alarm: bool) -> str:
    """One row of a table; the first cell is its heading."""
    first, *others = (shown(value) for value in values)
    cells = "".join(f"<td>{value}</td>" for value in others)
    return f'<tr{ALARM if is_alarm else ""}><th scope="row">{first}</th>{cells}</tr>'


def shown(value: object) -> str:
    """A value for people, safe in HTML.

    >>> [shown(value) for value in (None, True, 9_500, 0.012345, 3e-14, "<b>")]
    ['-', 'yes', '9,500', '0.0123', '3e-14', '&lt;b&gt;']
    """
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.3g}" if abs(value) < LARGE else f"{value:,.0f}"
        case _:
            return escape(str(value))
