"""`perenne release`."""

from __future__ import annotations

from typing import Annotated

import typer

from perenne.common.names import PROD
from perenne.common.options import PolicyFrom, Push, current_case

app = typer.Typer()


@app.command()
def release(
    *,
    stage: Annotated[str, typer.Option(help="Where the version is put to use.")] = PROD,
    policy_from: PolicyFrom = None,
    attempt: Annotated[
        bool,
        typer.Option("--try", help="Test it in the real server first, and abort the release if it fails."),
    ] = False,
    push: Push = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the tags without making them.")] = False,
) -> None:
    """Tag this commit's model as a version, if it is eligible, and assign it to a stage."""
    from perenne.release import release as releasing

    trial = None
    if attempt:
        from perenne.serving import smoke

        trial = smoke.smoke_tester(current_case())
    typer.echo(
        releasing.release(stage=stage, policy_from=policy_from, push=push, dry_run=dry_run, trial=trial)
    )
