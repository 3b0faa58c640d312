"""`perenne serve`, `perenne deploy`, `perenne export-log`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from perenne.common.errors import PerenneError
from perenne.common.names import PROD
from perenne.common.options import Case, Push, current_case

app = typer.Typer()


@contextmanager
def installed() -> Iterator[None]:
    """Tell how to bring in what only the service needs, where it is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise PerenneError(
            f"{error.name} is not installed; pip install 'perenne[serve]' brings it"
        ) from error


LogURL = Annotated[
    str | None,
    typer.Option("--log-url", envvar="PERENNE_LOG_URL", help="The prediction log, such as sqlite:///FILE."),
]


@app.command()
def serve(
    *,
    stage: Annotated[
        str, typer.Option(metavar="STAGE|VERSION", help="The stage that is followed, or one version.")
    ] = PROD,
    case: Case = None,
    host: Annotated[str | None, typer.Option(help="By default serve.host of params.yaml.")] = None,
    port: Annotated[int | None, typer.Option(help="By default serve.port; 0 is any that is free.")] = None,
    log_url: LogURL = None,
    token_sha256: Annotated[
        str | None, typer.Option(envvar="PERENNE_TOKEN_SHA256", help="By default serve.token_sha256.")
    ] = None,
    require_signed: Annotated[
        bool, typer.Option("--require-signed", help="Only versions whose tag's signature is good.")
    ] = False,
) -> None:
    """Serve the released model over HTTP, and follow its stage: what is released next takes its place."""
    with installed():
        from perenne.serving import server, settings
    chosen = settings.load(host=host, port=port, log_url=log_url, token_sha256=token_sha256)
    server.run(case or current_case(), stage, chosen, require_signed=require_signed)


@app.command()
def deploy(
    version: Annotated[str | None, typer.Argument(help="By default the one that was released last.")] = None,
    *,
    stage: Annotated[str, typer.Option(help="Where it is put, if it does what it must.")] = PROD,
    case: Case = None,
    push: Push = False,
) -> None:
    """Try a version in the real server, golden rows and latency, and only then put it in a stage.

    One that fails in the stage already makes room for the version that was there before.
    """
    from perenne.serving import deploy, settings

    budget = settings.load().budget_ms
    typer.echo(deploy.deploy(case or current_case(), version, stage=stage, budget_ms=budget, push=push))


@app.command("export-log")
def export_log(
    *,
    case: Case = None,
    log_url: LogURL = None,
    through: Annotated[
        str | None, typer.Option(metavar="PERIOD", help="By default the last that is over.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("data/incoming"),
) -> None:
    """Write what was predicted, with what happened, as files that `ingest.source: files` takes in."""
    from datetime import UTC, datetime

    from perenne.common import periods
    from perenne.common.contract import read_contract
    from perenne.serving import settings

    with installed():
        from perenne.serving.log import export
        from perenne.serving.log.store import Store

    contract = read_contract(case or current_case())
    now = datetime.now(UTC)
    last = periods.parse(through, contract.period, "--through") if through else export.over(contract, now)
    with Store(settings.load(log_url=log_url).log_url) as store:
        typer.echo(export.export(store, contract, out, last))
