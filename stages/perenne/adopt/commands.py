"""`perenne adopt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from perenne.common.periods import Unit

app = typer.Typer()


@app.command()
def adopt(
    files: Annotated[list[Path], typer.Argument(help="Files of one case, or folders of such files.")],
    *,
    target: Annotated[str | None, typer.Option(help="The column to predict. Default: the last.")] = None,
    time: Annotated[str | None, typer.Option(help="The column that says when a row was.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the case. Default: by the file.")] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What the target is: of two values, of several classes, or a number. Default: by it."
        ),
    ] = None,
    period: Annotated[
        str | None, typer.Option(help="Of a batch: hour, day, week, month, quarter or year.")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Whose clocks cut time, such as Europe/Paris.")] = None,
    positive: Annotated[
        str | None, typer.Option(help="Of two values, the one whose chance is given.")
    ] = None,
    dates: Annotated[
        list[str] | None, typer.Option(help="How dates are written, such as %d/%m/%Y; may be repeated.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of text files, such as cp1252.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Of Excel files. Default: the one with a table.")] = None,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Run dvc repro as well.")] = True,
) -> None:
    """Make a case of some files: contract, params, and all that follows from them.

    What is guessed is said, and stands in data/cases/NAME/contract.yaml for you to correct.
    """
    from perenne.adopt import flow
    from perenne.adopt.wishes import Wishes

    given = Wishes(
        name=name,
        target=target,
        time=time,
        task=task,
        period=cast("Unit | None", period),  # not before it is checked
        zone=zone,
        positive=positive,
        dates=tuple(dates or ()),
        encoding=encoding,
        sheet=sheet,
    )
    flow.adopt(files, flow.checked(given), run=run)
