"""`perenne predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perenne.common.errors import PerenneError, warn
from perenne.common.names import PROD
from perenne.common.options import Case, current_case
from perenne.serving.commands import LogURL, needs_serve_extra

app = typer.Typer()


@app.command()
def predict(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...", help="CSV, Parquet, JSON or Excel. Default: the newest batch of data/clean."
        ),
    ] = None,
    *,
    out: Annotated[
        Path, typer.Option(help="The scores, .parquet or .csv; rows set aside go beside it: NAME.rejected.*.")
    ],
    stage: Annotated[str | None, typer.Option(help="Score with the version in it. Default: prod.")] = None,
    version: Annotated[str | None, typer.Option(help="Score with this one, such as v1.2.0.")] = None,
    case: Case = None,
    require_signed: Annotated[
        bool, typer.Option("--require-signed", help="Refuse a tag without a good signature.")
    ] = False,
    log: Annotated[
        bool, typer.Option("--log", help="Write into the prediction log as well; needs the extra serve.")
    ] = False,
    log_url: LogURL = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail if more than validate.max_quarantined_share was set aside."),
    ] = False,
) -> None:
    """Score the rows of files with the released model, as the service would.

    Without `--strict` too many bad rows are a warning; the files are written either way.
    """
    from contextlib import nullcontext
    from datetime import UTC, datetime

    from perenne.common.params import Validate
    from perenne.common.sections import section
    from perenne.predict import predict
    from perenne.serving import settings

    if stage and version:
        raise PerenneError(f"--stage {stage} and --version {version}: use one of them")
    source = context.get_parameter_source("log_url")
    if not log and source is not None and source.name == "COMMANDLINE":  # not the environment
        raise PerenneError("--log-url: says where to log, but nothing is logged without --log; add --log")
    name = case or current_case()
    most = section("validate", Validate).max_quarantined_share
    chosen = settings.load(host="127.0.0.1", log_url=log_url)  # nothing listens, so no address needs a token
    released = predict.find(name, version or stage or PROD)
    if log:
        with needs_serve_extra():
            from perenne.predict.batch_log import BatchLog
    with BatchLog(chosen.log_url) if log else nullcontext() as opened:
        summary = predict.predict(
            *(name, released, files or [], out),
            at=datetime.now(UTC),
            threshold=chosen.threshold,
            require_signed=require_signed,
            log=opened,
        )
    typer.echo(summary)
    problem = summary.too_many(most)
    if problem and strict:
        raise PerenneError(problem)
    if problem:
        warn(problem)
