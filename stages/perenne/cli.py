"""The `perenne` command: thin, and quick to start, because heavy imports wait until they are used."""

from __future__ import annotations

from typing import Annotated

import typer

from perenne.actions import commands as actions
from perenne.adopt import commands as adopt
from perenne.gate import commands as gate
from perenne.loop import commands as loop
from perenne.new import commands as new
from perenne.overview import commands as overview
from perenne.predict import commands as predict
from perenne.registry import commands as registry
from perenne.release import commands as release
from perenne.replay import commands as replay
from perenne.review import commands as review
from perenne.serving import commands as serving
from perenne.tune import commands as tune

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # subcommands inherit them
    help="A Git-native machine-learning pipeline that keeps a released model true.",
)


def show_version(wanted: bool) -> None:  # noqa: FBT001 -- typer calls it with the option's value
    """Print the installed version and exit, if `--version` was given."""
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        typer.echo(f"perenne {version('perenne')}")
    except PackageNotFoundError:
        typer.echo("perenne (version unknown: this is a source folder, and the package is not installed)")
    raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Read the options that stand before a command."""


@app.command()
def use(
    case: Annotated[str, typer.Argument(help="A folder under data/cases/.")],
) -> None:
    """Make a case current: its params go to the root, those of the case before to its own folder."""
    from perenne.common import current

    typer.echo(current.use(case))


# Each folder brings its own commands, in the order in which a model meets them.
FOLDERS = (
    overview,
    new,
    adopt,
    tune,
    gate,
    review,
    release,
    registry,
    serving,
    predict,
    loop,
    replay,
    actions,
)
for folder in FOLDERS:
    app.add_typer(folder.app)


def main() -> None:
    """Run the command: bad input ends in one line, and `perenne.common.status` lists the exit statuses."""
    from perenne.common.errors import run

    run(app)


if __name__ == "__main__":
    main()
