"""`perenne status`."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def status(
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show where the project is: data, pipeline, model, prod, and the step that comes next."""
    from datetime import UTC, datetime
    from json import dumps

    from perenne.overview import project_status

    found = project_status.status()
    typer.echo(dumps(found.to_json(), indent=2) if json else project_status.text(found, datetime.now(UTC)))
