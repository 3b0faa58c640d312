"""`perenne replay`."""

from __future__ import annotations

from typing import Annotated

import typer

from perenne.common.options import Case

app = typer.Typer()


@app.command()
def replay(
    *,
    case: Case = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many histories, where they are simulated.")] = 1,
    policies: Annotated[
        str | None, typer.Option(help="Some of them, as in 'never,every 4,always,ours,oracle'.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes.")] = 2,
) -> None:
    """Say what a policy of retraining would have done on a case's history, and what it would have cost.

    Stopped and started again, it goes on where it was.
    """
    from perenne.common.errors import warn
    from perenne.common.options import current_case
    from perenne.replay import grid, plan, report, run
    from perenne.replay import policies as known

    name = case or current_case()
    plans = {seed: plan.load(name, seed) for seed in range(seeds)}
    chosen = [part.strip() for part in policies.split(",")] if policies else known.names(plans[0])
    walks = run.walks(name, list(plans), chosen, jobs)
    tried = grid.compared(plans[0], run.grids(name, list(plans), jobs)) if "ours" in chosen else []
    estimated = run.estimated(name, list(plans), jobs)
    folder = report.write(walks, plans, tried, estimated)
    typer.echo(f"{report.text(walks, plans, tried)}\n{folder / 'index.html'}")
    said = report.warning(walks, plans[0], plan.held(name))
    if said:
        warn(said)
