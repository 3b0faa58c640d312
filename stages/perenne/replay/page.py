"""The replay as one page that can be read anywhere: no script, nothing from the network."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from perenne.pages import drift as verdict
from perenne.replay import chart, costs, grid
from perenne.replay.chart import Band, Line
from perenne.replay.grid import Tried
from perenne.replay.plan import Plan
from perenne.replay.policies import ORACLE
from perenne.replay.walk import Walk

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


def render(walks: Sequence[Walk], plans: dict[int, Plan], lines: pd.DataFrame, tried: Sequence[Tried]) -> str:
    """The page."""
    plan = next(iter(plans.values()))
    frame = costs.table(walks, plans, ORACLE).reset_index()
    names = list(frame["policy"])
    told = plan.contract.headline.about if plan.contract.headline else f"mean of {plan.contract.target}"
    histories = f"{len(plans)} simulated histories, means over them" if len(plans) > 1 else "one history"
    title = f"Replay of {plan.case}: what each policy would have cost"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{histories}; {_span(walks)}, by {plan.contract.period}.</p>',
        f'<p class="advice {_tone(frame)}">{escape(_verdict(frame))}</p>',
        verdict.table("Costs", _rows(frame), COSTS),
        _counts(plan),
        "<h2>Loss on the batches to come</h2>",
        _figure("Loss", lines, names, "loss", plan),
        "<h2>Observed / expected</h2>",
        '<p class="note">How many came for each that was expected; within the band a model is right.</p>',
        _figure("Observed / expected", lines, names, "observed_expected", plan, band=Band(*costs.RIGHT)),
        f"<h2>Headline figure: {escape(told)}</h2>",
        _figure(told, lines, names, "headline", plan, seen="headline_observed"),
        "<h2>What was done when</h2>",
        _legend(walks),
        _strip(walks, plans, lines, plan),
        _grid(tried, plan),
        _events(walks),
    ]
    inside = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{verdict.STYLE}{STYLE}{_colours()}</style></head>\n"
        f'<body><main class="perenne">\n{inside}\n</main></body></html>\n'
    )


def _span(walks: Sequence[Walk]) -> str:
    steps = walks[0].steps
    return f"{len(steps)} batches from {steps[0].period} to {steps[-1].period}"


def _verdict(frame: pd.DataFrame) -> str:
    """The table in a sentence."""
    cost = frame.set_index("policy")["cost"]
    if "ours" not in cost or len(cost) < 2:
        return f"Cheapest: {cost.idxmin()}, at {cost.min():.4g}."
    others = cost.drop(labels=["ours", ORACLE], errors="ignore")
    if others.empty:
        return f"Ours would have cost {cost['ours']:.4g}."
    share = cost["ours"] / others.min() - 1
    said = (
        f"Ours would have cost {cost['ours']:.4g}, {abs(share):.1%} {'less' if share < 0 else 'more'} than "
    )
    said += f"the best of the others ({others.idxmin()})"
    return said + (f", and {cost['ours'] / cost[ORACLE]:.3f} times the oracle's." if ORACLE in cost else ".")


def _tone(frame: pd.DataFrame) -> str:
    cost = frame.set_index("policy")["cost"]
    others = cost.drop(labels=["ours", ORACLE], errors="ignore")
    return "none" if "ours" in cost and not others.empty and cost["ours"] <= others.min() else "look"


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(key): _digits(value) for key, value in row.items()} | {"alarm": row["policy"] == "ours"}
        for row in frame.to_dict("records")
    ]


def _digits(value: Any) -> Any:
    """A number as text, with the digits that tell policies apart."""
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else f"{value:.4g}"


def _counts(plan: Plan) -> str:
    """What the table counts."""
    cost = plan.settings.cost
    known = ", or that came before the labels of a break that is known: " * bool(plan.breaks)
    known += escape(", ".join(plan.settings.breaks))
    low, high = costs.RIGHT
    return f"""<p class="note">Loss is the mean over the rows of a batch, summed over the batches. Each
retraining costs {cost:g}, and each false alarm {cost:g} more: a retraining that an alarm asked for, and whose
models the gate rejected{known}. Schedules put to use what they train, ours what its gate lets through. The
oracle knows all losses to come, and chooses among models that the pipeline can make: nobody can be cheaper. A
batch is wrong where observed / expected is outside of {low:g} to {high:g}.</p>"""


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
    lines: pd.DataFrame,
    names: Sequence[str],
    figure: str,
    plan: Plan,
    *,
    band: Band | None = None,
    seen: str | None = None,
) -> str:
    wide = lines.pivot(index="period", columns="policy", values=figure)
    last = [name for name in ("oracle", "ours") if name in names]  # drawn last, so they lie on top
    order = [name for name in names if name not in last] + last
    drawn = [Line(name, _style(name, names), wide[name].tolist()) for name in order]
    if seen:
        drawn.append(Line("observed", "seen", lines.groupby("period")[seen].mean().tolist()))
    return chart.chart(title, wide.index.tolist(), drawn, plan.settings.breaks, band)


def _legend(walks: Sequence[Walk]) -> str:
    present = {event.kind for walk in walks for event in walk.events if walk.policy != ORACLE}
    told = [f"{chart.mark(kind)} {text}" for kind, text in KINDS.items() if kind in present]
    return f'<p class="note">{"".join(told)}. What was done after a batch counts from the next one on.</p>'


def _strip(walks: Sequence[Walk], plans: Mapping[int, Plan], lines: pd.DataFrame, plan: Plan) -> str:
    counts: dict[str, dict[str, Counter[str]]] = {}
    for walk in walks:
        by_period = counts.setdefault(walk.policy, defaultdict(Counter))
        for event in walk.events:
            by_period[event.at][event.kind] += 1
    rows = {
        policy: {at: {kind: n / len(plans) for kind, n in kinds.items()} for at, kinds in by_period.items()}
        for policy, by_period in counts.items()
        if by_period
    }
    periods = sorted(lines["period"].unique())
    return chart.strip("What was done when", periods, rows, plan.settings.breaks)


def _grid(tried: Sequence[Tried], plan: Plan) -> str:
    if not tried:
        return ""
    best, in_use = grid.recommended(tried, plan), grid.in_use(tried, plan)
    rows = [
        grid.told(each.settings)
        | {key: _digits(value) for key, value in each.costs._asdict().items()}
        | {"saved": _digits(each.saved), "error": _digits(each.error), "alarm": each is best}
        for each in tried
        if each in tried[:MOST_TRIED] or each in (best, in_use)
    ]
    # Named as the sentence above does, but without the section, and in words, which wrap.
    keys = {key: key.rpartition(".")[2].replace("_", " ") for key in grid.told(best.settings)}
    columns = keys | {k: COSTS[k] for k in ("cost", "loss", "retrainings", "false_alarms")}
    columns |= {"saved": "Saves", "error": "Standard error"}
    values = ", ".join(f"{key}: {value}" for key, value in grid.told(best.settings).items())
    said = (
        f"{values}: would have saved {best.saved:.3g} against the params in use"
        + ", on one history, which may be chance" * math.isnan(best.error)
        if best is not in_use
        else f"Keep the params in use ({values}): nothing that was tried is cheaper by more than chance"
    )
    said += "" if len(tried) <= MOST_TRIED else f". Of {len(tried)} that were tried; all are in grid.csv"
    table = verdict.table("Params tried, the cheapest first", rows, columns)
    return f"<h2>Recommended params</h2><p>{escape(said)}.</p>{table}"


def _events(walks: Sequence[Walk]) -> str:
    rows = [
        {"seed": walk.seed} | event._asdict()
        for walk in walks
        if walk.policy == "ours"
        for event in walk.events
    ]
    shown = verdict.table("What ours did, and why", rows[:MOST_EVENTS], EVENTS)
    more = (
        f'<p class="note">{len(rows) - MOST_EVENTS} more in events.csv.</p>'
        if len(rows) > MOST_EVENTS
        else ""
    )
    return f"<details><summary>What ours did, and why</summary>{shown}{more}</details>" if rows else ""
