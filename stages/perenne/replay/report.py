"""What a replay writes: CSV files for `dvc plots` and for people, its page, and the table on the terminal."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from perenne.common import disk
from perenne.common.cut import Cut
from perenne.documents.replay import (
    Costs,
    Done,
    EstimateErrors,
    Point,
    PolicyCosts,
    ReplayReport,
    Step,
    TriedParams,
)
from perenne.pages import replay as page
from perenne.replay import costs, grid, policies
from perenne.replay.batch_figures import about, ratio
from perenne.replay.grid import Tried
from perenne.replay.plan import Plan
from perenne.replay.walk import Walk
from perenne.replay.world import FOLDER

HEAD = {
    "cost": "cost",
    "of_best": "x oracle",
    "loss": "loss",
    "retrainings": "retrainings",
    "false_alarms": "false alarms",
    "wrong": "batches wrong",
    "delay": "delay",
}


def timeline(walks: Sequence[Walk]) -> pd.DataFrame:
    """One row per policy and batch, with means over the seeds.

    Returns
    -------
    Columns `policy`, `period`, `loss`, `observed_expected` (of several classes, that of the farthest off),
    `headline` and `headline_observed`.

    """
    steps = pd.DataFrame(
        {"policy": walk.policy, "period": step.period} | _figures(step)
        for walk in walks
        for step in walk.steps
    )
    order = {policy: i for i, policy in enumerate(dict.fromkeys(walk.policy for walk in walks))}
    means = steps.groupby(["policy", "period"], as_index=False).mean()
    return means.sort_values(["policy", "period"], key=lambda c: c.map(order) if c.name == "policy" else c)


def _figures(step: Step) -> dict[str, float]:
    figures = step.figures
    return {
        "loss": figures.loss,
        "observed_expected": ratio(figures),
        "headline": figures.headline_predicted,
        "headline_observed": figures.headline_observed,
    }


def events(walks: Sequence[Walk]) -> pd.DataFrame:
    """All events, one row each.

    Returns
    -------
    Columns `policy`, `seed`, `at`, `kind`, `learned`, `why` and `since`.

    """
    rows = [
        {"policy": walk.policy, "seed": walk.seed} | event._asdict()
        for walk in walks
        for event in walk.events
    ]
    return pd.DataFrame(rows, columns=["policy", "seed", "at", "kind", "learned", "why", "since"])


def write(
    walks: Sequence[Walk],
    plans: dict[int, Plan],
    tried: Sequence[Tried] = (),
    estimated: Sequence[EstimateErrors] = (),
) -> Path:
    """Write all files into the folder of the case, and return the folder.

    Parameters
    ----------
    walks
        Of all policies over all histories.
    plans
        The plan of each history, by its seed.
    tried
        The params that were tried, the cheapest first; none if the grid was not walked.
    estimated
        How right estimates without labels were.

    """
    folder = FOLDER / next(iter(plans.values())).case
    lines = timeline(walks)
    frames = {
        "costs": costs.table(walks, plans, policies.ORACLE).reset_index(),
        "timeline": lines,
        "events": events(walks),
    }
    if tried:
        frames["grid"] = grid_table(tried, next(iter(plans.values())))
    for name, frame in frames.items():
        with disk.replacing(folder / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
    with disk.replacing(folder / "index.html") as temporary:
        temporary.write_text(page.render(report(walks, plans, tried, estimated)), encoding="utf-8")
    return folder


def report(
    walks: Sequence[Walk],
    plans: dict[int, Plan],
    tried: Sequence[Tried] = (),
    estimated: Sequence[EstimateErrors] = (),
) -> ReplayReport:
    """The report that the page shows, in plain values; arguments as for `write`."""
    plan = next(iter(plans.values()))
    contract = plan.contract
    table = costs.table(walks, plans, policies.ORACLE).reset_index()
    best, in_use = (grid.recommended(tried, plan), grid.in_use(tried, plan)) if tried else (None, None)
    return ReplayReport(
        case=plan.case,
        unit=contract.period,
        about=about(contract),
        histories=len(plans),
        cost=plan.settings.cost,
        breaks=plan.settings.breaks,
        right=costs.RIGHT,
        costs=tuple(_costs(row) for row in table.to_dict("records")),
        timeline=tuple(
            Point(**{str(key): value for key, value in row.items()})
            for row in timeline(walks).to_dict("records")
        ),
        events=tuple(
            Done(policy=walk.policy, seed=walk.seed, event=event) for walk in walks for event in walk.events
        ),
        tried=tuple(
            TriedParams(
                params=grid.by_key(each.settings),
                costs=each.costs,
                saved=each.saved,
                error=each.error,
                recommended=each is best,
                in_use=each is in_use,
            )
            for each in tried
        ),
        estimates=tuple(estimated),
    )


def _costs(row: Mapping[Hashable, Any]) -> PolicyCosts:
    """A row of the table of costs."""
    figures = Costs(**{name: float(row[name]) for name in Costs._fields})
    return PolicyCosts(
        policy=row["policy"], costs=figures, of_best=row["of_best"], above_best=row["above_best"]
    )


def grid_table(tried: Sequence[Tried], plan: Plan) -> pd.DataFrame:
    """One row per setting that was tried, the cheapest first.

    Returns
    -------
    One column per key of params.yaml, the columns of `Costs`, `saved`, `standard_error` and `recommended`.

    """
    best = grid.recommended(tried, plan)
    return pd.DataFrame(
        grid.by_key(each.settings)
        | each.costs._asdict()
        | {"saved": each.saved, "standard_error": each.error, "recommended": each is best}
        for each in tried
    )


def text(walks: Sequence[Walk], plans: dict[int, Plan], tried: Sequence[Tried] = ()) -> str:
    """The table of costs, and the params that are recommended."""
    frame = costs.table(walks, plans, policies.ORACLE)
    rows = [[policy, *(_shown(row[key]) for key in HEAD)] for policy, row in frame.iterrows()]
    shown = tabulate(rows, ["policy", *HEAD.values()], tablefmt="plain", disable_numparse=True)
    if not tried:
        return shown
    best = grid.recommended(tried, next(iter(plans.values())))
    params = ", ".join(f"{key}: {value}" for key, value in grid.by_key(best.settings).items())
    return f"{shown}\nrecommended: {params}; cost {best.costs.cost:.4g}, saves {best.saved:.2g}"


def warning(walks: Sequence[Walk], plan: Plan, held: Cut) -> str:
    """What has to be said where figures are of batches that the gate's holdout holds too; empty if none is.

    Parameters
    ----------
    walks
        Of all policies.
    plan
        Of any history; its batches may be shorter than those of the case.
    held
        Where the case cuts history.

    """
    begin, end = (held.known + 1).start_time, held.as_of.end_time
    at = {plan.period("period", step.period) for walk in walks for step in walk.steps}
    if not any(begin <= each.start_time <= end for each in at):
        return ""
    return (
        f"some of these figures are of the holdout ({held.known + 1} to {held.as_of}), and no look "
        "counts them: what is chosen by them is not proven there; move split.as_of before perenne gate"
    )


def _shown(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.4g}"
