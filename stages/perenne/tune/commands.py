"""`perenne tune`."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def tune(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Search, but change nothing.")] = False,
    take_best: Annotated[
        bool,
        typer.Option("--take-best", help="Commit the best even if it is not clearly better."),
    ] = False,
) -> None:
    """Search the space `tune` of params.yaml on validation, and commit settings that are clearly better.

    A search that was interrupted goes on where it was. The holdout is not read. Exit status: 0 also if
    nothing is better; 1 error.
    """
    from perenne.tune import chosen, listing, ready, search

    if not dry_run:
        chosen.undo()
        ready.must_be_clean()
    searched = search.search()
    best = chosen.best(searched)
    typer.echo(f"{listing.table(searched)}\n\n{listing.conclusion(searched, best)}")
    if not (best.clear or take_best):
        typer.echo("params.yaml stays as it is; --take-best would commit the best one")
    elif dry_run:
        typer.echo(f"would be committed:\n\n{chosen.message(searched, best)}")
    else:
        ready.must_be_clean()
        commit = chosen.commit(chosen.edited(searched, best), chosen.message(searched, best))
        typer.echo(f"{commit[:7]}: params.yaml; dvc repro makes the model")
