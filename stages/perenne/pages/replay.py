"""The page of a replay: it can be read anywhere, without a script, and loads nothing from the network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from perenne.documents.replay import PolicyCosts, ReplayReport, TriedParams
from perenne.pages import drift as verdict
from perenne.pages import svg
from perenne.pages.svg import Band, Line

STYLE = """
body { margin: 0; background: #fff; } @media (prefers-color-scheme: dark) { body { background: #14181f; } }
.perenne { --ours: #c8102e; --oracle: #1d2433; --never: #8d96a5; --every0: #0072b2; --every1: #3b9bd6;
  --every2: #00866a; --every3: #7a5cc0; --always: #b8860b; --band: #e3f1e7; }
@media (prefers-color-scheme: dark) { .perenne { --ours: #ff6b78; --oracle: #e7eaf0; --never: #7f8999;
  --every0: #5ab4f0; --every1: #9fd2f5; --every2: #4fd1b0; --every3: #b9a3f0; --always: #e0b84c;
  --band: #1c2f25; } }
.perenne h1 { font-size: 1.6rem; color: var(--ink); margin-bottom: .25rem; }
.perenne .chart { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif;
  overflow: visible; }
.perenne .chart text { fill: var(--soft); } .perenne .rule { stroke: var(--line); }
.perenne .band { fill: var(--band); } .perenne .break { stroke: var(--ink); stroke-dasharray: 3 3; }
.perenne .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.perenne .line.ours { stroke-width: 3; } .perenne .line.oracle { stroke-width: 2; stroke-dasharray: 6 4; }
.perenne .line.seen { stroke: var(--ink); stroke-width: 1.6; stroke-dasharray: 1 4; stroke-linecap: round; }
.perenne .chart text.name { font-weight: 600; }
.perenne .key { width: 1em; height: 1em; vertical-align: -.12em; overflow: visible; margin-left: .75em; }
.perenne .scheduled, .perenne .chosen { fill: var(--soft); }
.perenne .released { fill: var(--none); } .perenne .undecided { fill: var(--look); }
.perenne .rejected { stroke: var(--retrain); stroke-width: 2.2; fill: none; }
.perenne .waiting { fill: none; stroke: var(--look); stroke-width: 1.8; }
.perenne tbody th, .perenne td { white-space: nowrap; }
.perenne details td:last-child { white-space: normal; min-width: 24rem; }
"""
OURS, ORACLE = "ours", "oracle"  # the policies that the page speaks of
COLOURED = ("ours", "oracle", "never", "always", "every0", "every1", "every2", "every3")

COSTS = {
    "policy": "Policy",
    "cost": "Cost",
    "of_best": "Times the oracle's",
    "above_best": "Above the oracle's",
    "loss": "Loss",
    "retrainings": "Retrainings",
    "false_alarms": "False alarms",
    "wrong": "Batches wrong",
    "delay": "Batches until right again",
}
ESTIMATES = {
    "metric": "Metric",
    "when": "Batches",
    "batches": "Number",
    "error": "Estimated",
    "of_validation": "Validation",
    "covered": "Covered",
}
EVENTS = {"seed": "History", "at": "After", "kind": "What", "learned": "Learned from", "why": "Why"}
KINDS = {
    "scheduled": "retrained on schedule, put to use",
    "released": "alarm, eligible, released",
    "undecided": "alarm, the gate undecided",
    "rejected": "alarm, rejected by the gate",
    "waiting": "alarm, too early to learn from",
}
MOST_TRIED = 8  # of the grid
MOST_EVENTS = 60  # in the page's list; events.csv has all


def render(report: ReplayReport) -> str:
    """The page as HTML: the same text for the same report."""
    names = [line.policy for line in report.costs]
    many = f"{report.histories} simulated histories, means over them"
    histories = many if report.histories > 1 else "one history"
    title = f"Replay of {report.case}: what each policy would have cost"
    periods = _periods(report)
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{histories}; {len(periods)} batches from {periods[0]} to {periods[-1]}, '
        f"by {report.unit}.</p>",
        f'<p class="advice {_tone(report)}">{escape(_verdict(report))}</p>',
        verdict.table("Costs", [_cells(line) for line in report.costs], COSTS),
        _counts(report),
        "<h2>Loss on later batches</h2>",
        _figure("Loss", report, names, "loss"),
        "<h2>Observed / expected</h2>",
        '<p class="note">Events observed for each that was expected; inside the band a model is right.</p>',
        _figure("Observed / expected", report, names, "observed_expected", band=Band(*report.right)),
        f"<h2>Headline figure: {escape(report.about)}</h2>",
        _figure(report.about, report, names, "headline", seen=True),
        "<h2>What was done when</h2>",
        _legend(report),
        _strip(report),
        _grid(report),
        _estimates(report),
        _events(report),
    ]
    inside = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{verdict.STYLE}{STYLE}{_colours()}</style></head>\n"
        f'<body><main class="perenne">\n{inside}\n</main></body></html>\n'
    )


def _periods(report: ReplayReport) -> list[str]:
    return sorted({point.period for point in report.timeline})


def _compared(report: ReplayReport) -> tuple[dict[str, float], dict[str, float]]:
    """The cost of every policy, and of those that ours competes with."""
    cost = {line.policy: line.costs.cost for line in report.costs}
    return cost, {name: value for name, value in cost.items() if name not in (OURS, ORACLE)}


def _verdict(report: ReplayReport) -> str:
    """The table in a sentence."""
    cost, others = _compared(report)
    if OURS not in cost or len(cost) < 2:
        cheapest = min(cost, key=cost.__getitem__)
        return f"Cheapest: {cheapest}, at {cost[cheapest]:.4g}."
    if not others:
        return f"Ours would have cost {cost[OURS]:.4g}."
    best = min(others, key=others.__getitem__)
    share = cost[OURS] / others[best] - 1
    sentence = (
        f"Ours would have cost {cost[OURS]:.4g}, {abs(share):.1%} {'less' if share < 0 else 'more'} than "
    )
    sentence += f"the best of the others ({best})"
    return sentence + (
        f", and {cost[OURS] / cost[ORACLE]:.3f} times the oracle's." if ORACLE in cost else "."
    )


def _tone(report: ReplayReport) -> str:
    cost, others = _compared(report)
    return "none" if OURS in cost and others and cost[OURS] <= min(others.values()) else "look"


def _cells(line: PolicyCosts) -> dict[str, object]:
    figures = line.costs._asdict() | {"of_best": line.of_best, "above_best": line.above_best}
    cells = {key: _digits(value) for key, value in figures.items()}
    return {"policy": line.policy, "alarm": line.policy == OURS} | cells


def _digits(value: float) -> str | None:
    """A number as text, with the digits that tell policies apart."""
    return None if math.isnan(value) else f"{value:.4g}"


def _counts(report: ReplayReport) -> str:
    """What the table counts."""
    known = ", or that was before the labels of a known break: " * bool(report.breaks)
    known += escape(", ".join(report.breaks))
    low, high = report.right
    return f"""<p class="note">Loss is the mean over the rows of a batch, summed over the batches. Each
retraining costs {report.cost:g}, and each false alarm {report.cost:g} more: a retraining that an alarm
started, and whose models the gate rejected{known}. Schedules put to use what they train, ours what its gate
lets through. The oracle knows all later losses, and chooses among models that the pipeline can make: no
policy can cost less. A batch is wrong where observed / expected is outside of {low:g} to {high:g}.</p>"""


def _style(name: str, names: Sequence[str]) -> str:
    """The CSS class of a policy."""
    every = [n for n in names if n.startswith("every")]
    return f"every{every.index(name) % 4}" if name in every else name


def _colours() -> str:
    return "".join(
        f".perenne .line.{name} {{ stroke: var(--{name}); }} "
        f".perenne .chart text.{name} {{ fill: var(--{name}); }}\n"
        for name in COLOURED
    )


def _figure(
    title: str,
    report: ReplayReport,
    names: Sequence[str],
    figure: str,
    *,
    band: Band | None = None,
    seen: bool = False,
) -> str:
    """A line for each policy; with `seen` also what was observed."""
    periods = _periods(report)
    values: dict[str, dict[str, float]] = {name: {} for name in names}
    observed: dict[str, list[float]] = {}
    for point in report.timeline:
        values[point.policy][point.period] = getattr(point, figure)
        observed.setdefault(point.period, []).append(point.headline_observed)
    last = [name for name in (ORACLE, OURS) if name in names]  # drawn last, so they lie on top
    order = [name for name in names if name not in last] + last
    drawn = [
        Line(name, _style(name, names), [values[name].get(period, math.nan) for period in periods])
        for name in order
    ]
    if seen:
        drawn.append(Line("observed", "seen", [_mean(observed[period]) for period in periods]))
    return svg.chart(title, periods, drawn, report.breaks, band)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _legend(report: ReplayReport) -> str:
    present = {done.event.kind for done in report.events if done.policy != ORACLE}
    marks = [f"{svg.mark(kind)} {text}" for kind, text in KINDS.items() if kind in present]
    return f'<p class="note">{"".join(marks)}. What was done after a batch counts from the next one on.</p>'


def _strip(report: ReplayReport) -> str:
    counts: dict[str, dict[str, Counter[str]]] = {}
    for done in report.events:
        by_period = counts.setdefault(done.policy, {})
        by_period.setdefault(done.event.at, Counter())[done.event.kind] += 1
    rows = {
        line.policy: {
            at: {kind: n / report.histories for kind, n in kinds.items()}
            for at, kinds in counts[line.policy].items()
        }
        for line in report.costs
        if line.policy in counts
    }
    return svg.strip("What was done when", _periods(report), rows, report.breaks)


def _grid(report: ReplayReport) -> str:
    if not report.tried:
        return ""
    best = next(each for each in report.tried if each.recommended)
    shown = [
        each
        for place, each in enumerate(report.tried)
        if place < MOST_TRIED or each.recommended or each.in_use
    ]
    # Named as in the sentence above, but without the section and with spaces, so that they wrap.
    keys = {key: key.rpartition(".")[2].replace("_", " ") for key in best.params}
    columns = keys | {k: COSTS[k] for k in ("cost", "loss", "retrainings", "false_alarms")}
    columns |= {"saved": "Saves", "error": "Standard error"}
    sentence = _recommended(best)
    sentence += (
        "" if len(report.tried) <= MOST_TRIED else f". Of {len(report.tried)} tried; all are in grid.csv"
    )
    table = verdict.table("Params tried, the cheapest first", [_tried(each) for each in shown], columns)
    return f"<h2>Recommended params</h2><p>{escape(sentence)}.</p>{table}"


def _recommended(best: TriedParams) -> str:
    values = ", ".join(f"{key}: {value}" for key, value in best.params.items())
    if best.in_use:
        return f"Keep the params in use ({values}): nothing that was tried is cheaper by more than chance"
    chance = ", on one history, which may be chance" * math.isnan(best.error)
    return f"{values}: would have saved {best.saved:.3g} against the params in use{chance}"


def _tried(each: TriedParams) -> dict[str, object]:
    figures = each.costs._asdict() | {"saved": each.saved, "error": each.error}
    cells = {key: _digits(value) for key, value in figures.items()}
    return {**each.params, **cells, "alarm": each.recommended}


def _estimates(report: ReplayReport) -> str:
    """How right the estimates without labels were."""
    when = {"before": "before the break", "after": "after the break"} if report.breaks else {}
    rows = [
        {
            "metric": verdict.METRIC_NAMES.get(each.metric, each.metric),
            "when": when.get(each.when, "all"),
            "batches": each.batches,
            "error": each.error,
            "of_validation": each.of_validation,
            "covered": f"{each.covered:.0%}",
        }
        for each in report.estimates
    ]
    if not rows:
        return ""
    note = (
        '<p class="note">Of the first model, never retrained: how far the estimates were from what the '
        "labels then gave, beside the value on validation, and how many were covered by 95 % intervals. "
        "No estimate can see that outcomes depend on features in a new way.</p>"
    )
    table = verdict.table("Mean absolute error of the estimates", rows, ESTIMATES)
    return f"<h2>Estimated without labels: how right it was</h2>{note}{table}"


def _events(report: ReplayReport) -> str:
    rows = [{"seed": done.seed} | done.event._asdict() for done in report.events if done.policy == OURS]
    if not rows:
        return ""
    more = len(rows) - MOST_EVENTS
    note = f'<p class="note">{more} more in events.csv.</p>' if more > 0 else ""
    shown = verdict.table("What ours did, and why", rows[:MOST_EVENTS], EVENTS)
    return f"<details><summary>What ours did, and why</summary>{shown}{note}</details>"
