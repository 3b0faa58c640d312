"""`perenne serve`, `perenne deploy`, `perenne export-log`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from perenne.common import extras
from perenne.common.errors import PerenneError
from perenne.common.names import PROD
from perenne.common.options import Case, Push, current_case

app = typer.Typer()


@contextmanager
def needs_serve_extra() -> Iterator[None]:
    """Turn a missing package of the extra `serve` into an error that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise PerenneError(f"{error.name} is not installed; {extras.install('serve')}") from error


LogURL = Annotated[
    str | None,
    typer.Option(
        "--log-url",
        envvar="PERENNE_LOG_URL",
        help="The prediction log, such as sqlite:///FILE. Default: serve.log_url.",
    ),
]


@app.command()
def serve(
    *,
    stage: Annotated[
        str, typer.Option(metavar="STAGE|VERSION", help="The stage to follow, or one version.")
    ] = PROD,
    case: Case = None,
    host: Annotated[str | None, typer.Option(help="Default: serve.host of params.yaml.")] = None,
    port: Annotated[int | None, typer.Option(help="Default: serve.port. 0: any free port.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: serve.workers.")] = None,
    log_url: LogURL = None,
    token_sha256: Annotated[
        str | None, typer.Option(envvar="PERENNE_TOKEN_SHA256", help="Default: serve.token_sha256.")
    ] = None,
    require_signed: Annotated[
        bool, typer.Option("--require-signed", help="Serve only versions whose tag has a good signature.")
    ] = False,
) -> None:
    """Serve the released model over HTTP. The next version in the stage replaces it without a restart."""
    with needs_serve_extra():
        from perenne.serving import server, settings
    chosen = settings.load(host=host, port=port, workers=workers, log_url=log_url, token_sha256=token_sha256)
    server.run(case or current_case(), stage, chosen, require_signed=require_signed)


@app.command()
def deploy(
    version: Annotated[
        str | None, typer.Argument(help="Default: the version that was released last.")
    ] = None,
    *,
    stage: Annotated[str, typer.Option(help="Where to put the version if it passes.")] = PROD,
    case: Case = None,
    push: Push = False,
) -> None:
    """Smoke-test a version in the real server (golden rows, latency), then put it in a stage.

    If a version fails that is in the stage already, the version before it takes its place.
    """
    from perenne.serving import rollout, settings

    budget = settings.load().budget_ms
    typer.echo(rollout.deploy(case or current_case(), version, stage=stage, budget_ms=budget, push=push))


@app.command("export-log")
def export_log(
    *,
    case: Case = None,
    log_url: LogURL = None,
    through: Annotated[
        str | None,
        typer.Option(metavar="PERIOD", help="The last period to write. Default: the last one that is over."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write to. Default: the case's in data/incoming.")
    ] = None,
) -> None:
    """Write logged predictions with their outcomes as files that `ingest.source: files` reads."""
    from datetime import UTC, datetime

    from perenne.common import periods
    from perenne.common.contract import read_contract
    from perenne.common.names import INCOMING
    from perenne.serving import settings

    with needs_serve_extra():
        from perenne.serving.log import export
        from perenne.serving.log.database import Database

    name = case or current_case()
    contract = read_contract(name)
    now = datetime.now(UTC)
    last = periods.parse(through, contract.period, "--through") if through else export.over(contract, now)
    with Database(settings.load(log_url=log_url).log_url) as database:
        typer.echo(export.export(database, contract, out or INCOMING / name, last))
