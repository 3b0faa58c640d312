"""`perenne serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from stages.common.options import Case, current_case

app = typer.Typer()


@app.command()
def serve(
    *,
    stage: Annotated[str, typer.Option(help="The stage whose version is served, and followed.")] = "prod",
    case: Case = None,
    host: Annotated[str | None, typer.Option(help="By default serve.host of params.yaml.")] = None,
    port: Annotated[int | None, typer.Option(help="By default serve.port; 0 is any that is free.")] = None,
    log_url: Annotated[
        str | None,
        typer.Option(
            "--log-url", envvar="PERENNE_LOG_URL", help="The prediction log, such as sqlite:///FILE."
        ),
    ] = None,
    require_signed: Annotated[
        bool, typer.Option("--require-signed", help="Only versions whose tag's signature is good.")
    ] = False,
) -> None:
    """Serve the released model over HTTP, and follow its stage: what is released next takes its place."""
    from stages.serving import server, settings

    chosen = settings.load(host=host, port=port, log_url=log_url)
    server.run(case or current_case(), stage, chosen, require_signed=require_signed)
