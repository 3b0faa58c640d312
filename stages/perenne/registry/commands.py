"""The commands of the registry: `perenne models`, `rollback`, `fetch`, `restore`, `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perenne.common.names import PROD
from perenne.common.options import Case, Push, current_case

app = typer.Typer()


@app.command()
def models(
    *,
    case: Case = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the released versions: stage, metrics, as_of, age."""
    from datetime import UTC, datetime
    from json import dumps

    from perenne.registry import models

    rows = models.models(case or current_case())
    as_json = [row.model_dump(mode="json") for row in rows]
    typer.echo(dumps(as_json, indent=2) if json else models.table(rows, datetime.now(UTC)))


@app.command()
def rollback(
    version: Annotated[
        str | None, typer.Argument(help="By default the one that was in the stage before.")
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; the tag records it.")],
    stage: Annotated[str, typer.Option(help="The stage to roll back.")] = PROD,
    case: Case = None,
    push: Push = False,
) -> None:
    """Assign an earlier version to the stage again; no history is rewritten."""
    from perenne.registry import rollback

    typer.echo(rollback.rollback(case or current_case(), to=version, stage=stage, reason=reason, push=push))


@app.command()
def fetch(
    version: Annotated[str, typer.Argument(metavar="VERSION|STAGE", help="Such as v1.2.0, or prod.")],
    *,
    out: Annotated[Path, typer.Option(help="The folder to write it to.")] = Path(),
    require_signed: Annotated[
        bool, typer.Option("--require-signed", help="Refuse a tag without a good signature.")
    ] = False,
    case: Case = None,
) -> None:
    """Fetch the model file of a version, checked against its tag."""
    from perenne.registry import fetch

    typer.echo(fetch.fetch(case or current_case(), version, out=out, require_signed=require_signed))


@app.command()
def restore(
    version: Annotated[str, typer.Argument(help="Such as v1.2.0, or prod.")],
    *,
    case: Case = None,
    push: Push = False,
) -> None:
    """Rebuild a lost model from its tag, and prove that it is the same."""
    from perenne.registry import restore

    typer.echo(restore.restore(case or current_case(), version, push=push))


@app.command()
def verify(rev: Annotated[str, typer.Argument(help="The commit to verify.")] = "HEAD") -> None:
    """Rerun a commit in a clean clone and prove that its results are reproducible."""
    from perenne.registry import verify

    typer.echo(verify.verify(rev))
