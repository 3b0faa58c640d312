"""Is it right to retrain as we do: replayed on twenty companies, and on a year of real flights."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from perenne.replay import costs, grid, plan, policies, report, run
from perenne.replay.grid import compared
from perenne.replay.plan import Plan
from perenne.replay.walk import TRAINED, Walk
from tests.bench_drift import share
from tests.project import Project, clone

CALM = 8  # quarters before the law
SOON = 2  # quarters after a release
SETTLED = 3  # the quarter after the law by which a model is to be right
TRIED = 4  # histories, for the grid
JOBS = 2

# One policy on a history of its own, in a process of its own: seconds, without imports, and peak MB.
ALONE = """
import json, resource, sys, time
from pathlib import Path
from threadpoolctl import threadpool_limits
from perenne.replay import plan, policies
from perenne.replay.walk import walk
from perenne.replay.world import World
case, name, folder = sys.argv[1:]
found = plan.load(case, 0)
world = World(found, Path(folder))
start = time.perf_counter()
with threadpool_limits(1):
    done = walk(world, policies.make(name)(world))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([len(done.steps), time.perf_counter() - start, peak]))
"""


def fresh(seeds: Sequence[int] = range(20, 40), jobs: int = JOBS) -> str:
    """Return what ours costs beside the oracle on companies that no param was chosen by."""
    plans = {seed: plan.load("retirement", seed) for seed in seeds}
    walks = run.walks("retirement", list(plans), ["ours", policies.ORACLE], jobs)
    ours, least = ([w for w in walks if w.policy == name] for name in ("ours", policies.ORACLE))
    cost = [np.array([costs.costs(w, plans[w.seed]).cost for w in each]) for each in (ours, least)]
    calm = sum(not early(w, plans[w.seed]) for w in ours)
    kept = [np.array([share_right(w, plans[w.seed]) for w in each]) for each in (ours, least)]
    retrained = [sum(event.kind in TRAINED for event in w.events) for w in ours]
    return "\n".join(
        [
            f"retirement, {len(seeds)} histories from {seeds[0]} on",
            f"cost of ours / the oracle's   {interval(cost[0] / cost[1])}, "
            f"most {max(cost[0] / cost[1]):.3f}   (goal: 1.03 or less)",
            f"observed / expected in {costs.RIGHT[0]} to {costs.RIGHT[1]} from the {SETTLED}rd quarter after "
            f"the law   ours {interval(kept[0])}, the oracle {interval(kept[1])}   (goal: 90 % or more)",
            f"no retraining in {CALM} quarters before the law   {share(calm, len(seeds))}   "
            "(goal: 95 % or more)",
            f"retrainings   {interval(retrained)}",
            f"first release   {released(ours)}",
        ]
    )


def companies(seeds: Sequence[int] = range(20)) -> str:
    """Return what each policy costs on companies whose law changes, and what was promised of ours."""
    plans = {seed: plan.load("retirement", seed) for seed in seeds}
    names = policies.names(plans[seeds[0]])
    walks = run.walks("retirement", list(plans), names, JOBS)
    some = list(plans)[:TRIED]
    tried = compared(plans[some[0]], run.grids("retirement", some, JOBS))
    by = {name: [walk for walk in walks if walk.policy == name] for name in names}
    cost = {name: np.array([costs.costs(w, plans[w.seed]).cost for w in by[name]]) for name in names}
    least = cost[policies.ORACLE]
    lines = [
        f"retirement, {len(seeds)} histories from {seeds[0]} on; params tried on {len(some)}",
        report.text(walks, plans, tried),
        "",
    ]
    calm = sum(not early(walk, plans[walk.seed]) for walk in by["ours"])
    lines += [
        f"no retraining in {CALM} quarters before the law   {share(calm, len(seeds))}   (goal: 95 % or more)",
        f"cost of ours / the oracle's   {interval(cost['ours'] / least)}, "
        f"most {max(cost['ours'] / least):.3f}   (goal: 1.25 or less)",
        f"above the oracle's: ours   {interval(cost['ours'] - least)}",
    ]
    for name in names:
        if name not in ("ours", policies.ORACLE):
            gap = cost[name] - cost["ours"]
            cheaper = share(int((gap > 0).sum()), len(seeds))
            lines.append(f"{name} costs more than ours by   {interval(gap)}, in {cheaper}   (goal: above 0)")
    back = [soon(walk) for walk in by["ours"]]
    lines.append(
        f"observed / expected in {costs.RIGHT[0]} to {costs.RIGHT[1]} within {SOON} quarters of the "
        f"first release   {share(sum(back), len(seeds))}   (goal: all)"
    )
    lines.append(f"first release   {released(by['ours'])}")
    return "\n".join(lines)


def flights() -> str:
    """Return the same table on real flights, day by day; `flights_grid` tries params on them.

    It is without the oracle, which would try a model of each day on each later one: hours.
    """
    plans = {0: plan.load("flights")}
    names = [name for name in policies.names(plans[0]) if name != policies.ORACLE]
    walks = run.walks("flights", [0], names, JOBS)
    cost = {walk.policy: costs.costs(walk, plans[0]).cost for walk in walks}
    fixed = {name: value for name, value in cost.items() if name.startswith("every")}
    best = min(fixed, key=lambda name: fixed[name])
    lines = ["flights, 2013, day by day", report.text(walks, plans), ""]
    lines.append(
        f"ours / {best}, the best fixed period   {cost['ours'] / cost[best]:.4f}   (goal: 1.05 or less)"
    )
    lines.append(days_apart(walks, "ours", best))
    return "\n".join(lines)


def flights_grid() -> str:
    """Return what the settings of the grid cost on the same flights: eighteen walks, one after another."""
    flown = plan.load("flights")
    tried = compared(flown, run.grids("flights", [0], JOBS))
    rows = [f"{each.costs.cost:9.4g}  {grid.by_key(each.settings)}" for each in tried]
    return "\n".join(["flights, 2013, by the settings of the loop", *rows])


def days_apart(walks: Sequence[Walk], one: str, other: str) -> str:
    """Return by how much two policies differ in loss a day, over blocks of weeks."""
    loss = {
        walk.policy: pd.Series({step.period: step.figures.loss for step in walk.steps})
        for walk in walks
        if walk.policy in (one, other)
    }
    gap = loss[one] - loss[other]
    weeks = gap.groupby(np.arange(len(gap)) // 7).mean().to_numpy()
    return f"loss a day, {one} less {other}   {interval(weeks)} (over {len(weeks)} weeks)"


def speed() -> str:
    """Return the seconds and the peak memory of each policy by itself, and of one on longer histories."""
    lines = [
        "retirement, each policy by itself, nothing kept from before",
        f"{'':12}{'batches':>9}{'s':>8}{'MB':>8}",
    ]
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        project = clone(Path(folder) / "project")
        lines += [alone(project, name, name) for name in policies.names(plan.load("retirement"))[:-1]]
        project.edit(r"^  scale: .*", "  scale: 0.1")
        for through in ("2019Q4", "2024Q4", "2036Q4"):
            project.edit(r"^through: \w+", f"through: {through}", "data/cases/retirement/replay.yaml")
            lines.append(alone(project, "every 4", f"to {through}"))
    return "\n".join([*lines, "the last three: every 4 on a tenth of the company"])


def alone(project: Project, name: str, label: str) -> str:
    """Return the line of one policy."""
    said = project.out(f"python -c '{ALONE}' retirement '{name}' $(mktemp -d -p ..); true")
    batches, seconds, peak = json.loads(said.splitlines()[-1])
    return f"{label:12}{batches:9}{seconds:8.1f}{peak:8.0f}"


def early(walk: Walk, known: Plan) -> bool:
    """Whether there was a retraining in the calm quarters before the law."""
    law = known.breaks[0] + known.contract.label_delay
    calm = {str(law - quarter) for quarter in range(1, CALM + 1)}
    return any(event.kind in TRAINED and event.at in calm for event in walk.events)


def share_right(walk: Walk, known: Plan) -> float:
    """Return in which share of the quarters from the third after the law the model was right in the large."""
    settled = str(known.breaks[0] + SETTLED)
    return float(np.mean([costs.right(step) for step in walk.steps if step.period >= settled]))


def soon(walk: Walk) -> bool:
    """Whether the first model that was released was right within two quarters."""
    first = next((event.at for event in walk.events if event.kind == "released"), None)
    after = [step for step in walk.steps if first is not None and step.period > first]
    return any(map(costs.right, after[:SOON]))


def released(walks: Sequence[Walk]) -> str:
    """Return when the first models were released, and since when the world was dated to be new."""
    firsts = [next((e for e in walk.events if e.kind == "released"), None) for walk in walks]
    told = [f"after {e.at}, the change dated to {e.since}" if e else "never" for e in firsts]
    return "; ".join(f"{count} {what}" for what, count in pd.Series(told).value_counts().sort_index().items())


def interval(values: npt.ArrayLike) -> str:
    """Return the mean with its 95 % interval, by Student's t."""
    values = np.asarray(values, dtype=np.float64)
    n, middle = len(values), float(np.mean(values))
    half = (
        float(stats.t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    )
    return f"{middle:.4g} [{middle - half:.4g}, {middle + half:.4g}]"


if __name__ == "__main__":
    print(companies())
    print(flights())
    print(speed())
