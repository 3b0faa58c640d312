"""The drift report as a piece of HTML: the advice in one line, the reasons, and the figures behind them.

Every text goes through `escape`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Literal

from perenne.documents.drift import (
    CovariateTest,
    DriftBatch,
    DriftLevel,
    DriftReport,
    EstimatedMetric,
    ReferenceSpan,
    StreamState,
)

ADVICE: dict[DriftLevel, str] = {
    "none": "Nothing to do: no drift was detected, neither in the data nor in the model's results.",
    "look": "Look: the data differ from what the model was trained on. It is not shown to predict worse.",
    "retrain": "Retrain: the labels since then show that the model is no longer right.",
}

ALARM = ' class="alarm"'
LARGE = 1_000  # numbers from here on are written without an exponent

# The columns of the tables, in this order: the key in the report, and its heading.
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
    "value": "Now",
    "reference": "On validation",
    "bound": "Still right",
    "limit": "Alarm by itself",
    "evidence": "Evidence of 100 %",
    "since": "Since",
}
ESTIMATED = (
    "From features and scores, by validation rows weighted to look like the batch. It holds only while "
    "outcomes depend on features as they did on validation: a change of that cannot be seen without labels. "
    "By labels: what it was, once they had matured."
)
METRIC_NAMES = {
    "log_loss": "Log loss",
    "roc_auc": "AUC",
    "observed_expected": "Observed / expected",
    "mae": "Mean absolute error",
    "bias": "Bias",
}
STREAM_NAMES = {"above": "more than predicted", "below": "less than predicted"}
OF_CLASS = STREAM_NAMES | {"below": "fewer than predicted"}  # rows, which are counted
FEW = "too few to tell"
MOST_STREAMS = 60  # of a batch; two for each of several classes, and alarms in slices
MOST_BATCHES = 500  # the latest ones: thousands would make a page of many MB; drift.json has all
NBSP = "\N{NO-BREAK SPACE}"

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


def render(report: DriftReport) -> str:
    """The report in HTML: a fragment with its own style, for the top of a page."""
    advice, batches = report.advice, report.batches[-MOST_BATCHES:]
    left = len(report.batches) - len(batches)
    parts = [
        "<h1>Drift: does the model still fit the world?</h1>",
        f'<p class="advice {advice.level}">{ADVICE[advice.level]}</p>',
        listed(advice.reasons, "ol"),
        compared(report.reference, batches),
        f'<p class="note">{shown(report.calendar)}.</p>' if report.calendar else "",
        f'<p class="note">{shown(left)} earlier batches are in drift.json.</p>' if left else "",
        table("Batches, oldest first", [batch.model_dump() for batch in batches], BATCHES),
        estimates(batches),
        *(details(batch, is_open=batch is batches[-1]) for batch in reversed(batches)),
    ]
    inside = "\n".join(part for part in parts if part)
    return f'<style>{STYLE}</style>\n<section class="perenne" aria-label="Verdict">\n{inside}\n</section>\n'


def compared(reference: ReferenceSpan, batches: Sequence[DriftBatch]) -> str:
    """One sentence about what was compared with what."""
    if not batches:
        return '<p class="note">There is no batch after the reference yet: nothing to compare.</p>'
    span = f"{shown(reference.first)} to {shown(reference.last)}, {shown(reference.rows)} rows"
    return (
        f'<p class="note">Each batch is compared with the reference: {span}, which the model was trained on '
        "and measured on.</p>"
    )


def estimates(batches: Iterable[DriftBatch]) -> str:
    """What was estimated without labels, beside what the labels then gave; empty where nothing was."""
    rows: list[dict[str, object]] = []
    columns, missing = {"period": "Period"}, []
    for batch in batches:
        if batch.estimated is None:
            continue
        if not batch.estimated.metrics:
            unlike = f"{batch.estimated.outside:.0%} of its rows are unlike any of validation"
            missing.append(f"No estimate for {batch.period}: {unlike}.")
            continue
        rows.append({"period": batch.period})
        for each in batch.estimated.metrics:
            key = in_words(each.of_class, each.metric)
            columns |= {key: in_words(each.of_class, METRIC_NAMES.get(each.metric, each.metric))}
            columns |= {f"{key} realised": "By labels"}
            rows[-1] |= {key: ranged(each), f"{key} realised": each.realised}
    notes = [*missing, ESTIMATED] if rows else missing
    return table("Estimated without labels, with 95 % intervals", rows, columns) + "".join(
        f'<p class="note">{shown(note)}</p>' for note in notes
    )


def ranged(each: EstimatedMetric) -> str:
    """An estimate with its interval, which is kept on one line."""
    return f"{shown(each.estimate)} ({shown(each.low)}{NBSP}to{NBSP}{shown(each.high)})"


def in_words(*parts: str | None) -> str:
    """What something is about, then what it is: `soil=sand: wheat: fewer than predicted`."""
    return ": ".join(part for part in parts if part)


def details(batch: DriftBatch, *, is_open: bool) -> str:
    """One batch: its reasons, its features by importance, its streams, and its other figures."""
    features = [test.model_dump() for test in sorted(batch.covariates, key=rank)]
    parts = [
        f"<summary>{shown(batch.period)}: {shown(batch.level)}</summary>",
        listed(batch.reasons, "ol"),
        table("Features, the most important to the model first", features, COVARIATES),
        table("Concept: do the outcomes still match?", [stream_row(s) for s in told(batch.concept)], CONCEPT),
        facts("Predictions", batch.predictions),
        facts("Volume", batch.volume),
    ]
    return f"<details{' open' if is_open else ''}>{''.join(parts)}</details>"


def told(states: Sequence[StreamState]) -> Sequence[StreamState]:
    """The streams to list: all; of very many those with the most evidence, in their order."""
    by_evidence = sorted(states, key=lambda state: (not state.alarm, state.threshold - state.log_e))
    kept = {id(state) for state in by_evidence[:MOST_STREAMS]}
    return [state for state in states if id(state) in kept]


def stream_row(state: StreamState) -> dict[str, object]:
    """A stream as a row of its table."""
    names = STREAM_NAMES if state.of_class is None else OF_CLASS
    name = names.get(state.stream, state.stream)
    said = {
        "stream": in_words(state.slice, state.of_class, name),
        "value": FEW if state.value is None else state.value,
        "evidence": f"{max(state.log_e, 0.0) / state.threshold:.0%}",
    }
    return state.model_dump() | said


def rank(test: CovariateTest) -> tuple[float, str]:
    """The sort key that puts the most important feature first; without importance it counts as zero."""
    return -(test.importance or 0.0), test.feature


def listed(items: Iterable[object], tag: Literal["ol", "ul"] = "ul") -> str:
    """A list in HTML, ordered or not; empty without items."""
    inside = "".join(f"<li>{shown(item)}</li>" for item in items)
    return f"<{tag}>{inside}</{tag}>" if inside else ""


def facts(caption: str, values: Mapping[str, object]) -> str:
    """Keys and values as they are, in a table of two columns."""
    rows = [{"figure": key.replace("_", " "), "value": value} for key, value in values.items()]
    return table(caption, rows, {"figure": "Figure", "value": "Value"}) if rows else ""


def table(caption: str, rows: Iterable[Mapping[str, object]], columns: Mapping[str, str]) -> str:
    """A table in HTML, in a box that scrolls sideways if it has to; empty without rows.

    Parameters
    ----------
    caption
        Stands above the table.
    rows
        Values by key; a row whose key `alarm` is true is emphasized.
    columns
        The keys to show, in this order, with their headings.

    """
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
    """A value as text, safe in HTML.

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
