"""`perenne monitor` and `perenne retrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perenne.common.options import Push

app = typer.Typer()

COULD_NOT = 2
DECISION = "decision.json"

Through = Annotated[
    str | None,
    typer.Option(metavar="PERIOD", help="The last batch to bring in; files say by themselves what has come."),
]
Out = Annotated[Path, typer.Option(help="The folder for what is found.")]
Offline = Annotated[bool, typer.Option("--offline", help="Do not ask the remote for tags and notes.")]


@app.command()
def monitor(*, through: Through = None, out: Out = Path("loop"), offline: Offline = False) -> None:
    """Bring in the batches that have come, and say whether the model in prod is still right.

    Exit status: 0 nothing to do, 10 look, 11 retrain, 2 could not say.
    """
    from datetime import UTC, datetime

    from perenne.common import batches
    from perenne.common.errors import PerenneError
    from perenne.loop import monitor, show

    try:
        found = monitor.monitor(datetime.now(UTC).replace(tzinfo=None), through, offline=offline)
        batches.write_json(out / DECISION, found)
    except PerenneError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(COULD_NOT) from error
    typer.echo(f"{show.headline(found)}\n{out / DECISION}")
    raise typer.Exit(monitor.STATUS[found["answer"]])


@app.command()
def retrain(*, through: Through = None, push: Push = False) -> None:
    """Retrain if the monitor calls for it, judge what comes of it, and offer or release it.

    Exit status: 0 offered, released, or nothing to do; 1 rejected, so experiments are needed; 3 undecided; 2
    it failed.
    """
    from datetime import UTC, datetime

    from perenne.common.errors import PerenneError
    from perenne.loop import retrain

    try:
        found = retrain.retrain(datetime.now(UTC).replace(tzinfo=None), through, push=push)
    except PerenneError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(COULD_NOT) from error
    typer.echo("\n".join(found.told))
    raise typer.Exit(retrain.STATUS[found.answer])
