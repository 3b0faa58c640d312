"""`perenne monitor` and `perenne retrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perenne.common.options import Push

app = typer.Typer()

DECISION = "decision.json"

Through = Annotated[
    str | None,
    typer.Option(metavar="PERIOD", help="The last period to read. For files it is found by itself."),
]
Out = Annotated[Path, typer.Option(help="The folder for decision.json.")]
Offline = Annotated[bool, typer.Option("--offline", help="Do not fetch tags and notes from the remote.")]


@app.command()
def monitor(*, through: Through = None, out: Out = Path("loop"), offline: Offline = False) -> None:
    """Check whether later batches still match the model in prod, in features and in outcomes.

    Exit status: 0 nothing to do, 10 look, 11 retrain, 1 error.
    """
    from datetime import UTC, datetime

    from perenne.common.status import BY_ANSWER
    from perenne.loop import monitor, show

    decision = monitor.monitor(datetime.now(UTC).replace(tzinfo=None), through, offline=offline)
    decision.write(out / DECISION)
    typer.echo(f"{show.headline(decision)}\n{out / DECISION}")
    raise typer.Exit(BY_ANSWER[decision.answer])


@app.command()
def retrain(*, through: Through = None, push: Push = False) -> None:
    """Retrain if the monitor decides so; judge the candidates, and offer or release an eligible one.

    Exit status: 0 offered, released, or nothing to do; 10 look; 20 rejected, so experiments are needed; 21
    undecided; 1 error.
    """
    from datetime import UTC, datetime

    from perenne.common.status import BY_ANSWER
    from perenne.loop import retrain

    outcome = retrain.retrain(datetime.now(UTC).replace(tzinfo=None), through, push=push)
    typer.echo("\n".join(outcome.lines))
    raise typer.Exit(BY_ANSWER[outcome.answer])
