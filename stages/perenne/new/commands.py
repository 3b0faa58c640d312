"""`perenne new` and `perenne upgrade`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from perenne.new.template import Template

app = typer.Typer()

Wheel = Annotated[Path | None, typer.Option(help="Of perenne, for the project. Default: of this very one.")]


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="A new one; or . in a repository that lacks something.")],
    *,
    files: Annotated[
        list[Path] | None, typer.Option("--from", help="A file to adopt; may be repeated.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict. Default: the last.")] = None,
    time: Annotated[str | None, typer.Option(help="The column that says when a row was.")] = None,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Run dvc repro on what is adopted.")] = True,
    wheel: Wheel = None,
) -> None:
    """Make a project of your own: pipeline, environment, tests and workflows, in a repository of its own.

    With --from it has a case as well: see perenne adopt. In a repository that is there, only what is missing
    is added.
    """
    from perenne.new import adopted, begin

    folder = folder.resolve()
    case = adopted.case(files or [], target, time)
    own = begin.free(folder)
    with _template(wheel) as made:
        done = (begin.create if own else begin.add)(folder, made, case)
    for word, names in (("added", done.added), ("left as it is", done.left)):
        for name in names if not own else ():
            typer.echo(f"{word}: {name}")
    if done.left:
        typer.echo(f"what the template has instead: git show {done.generated[:7]}:FILE")
    if done.exposed:
        typer.echo(f".gitignore lacks what must not be committed: {' '.join(done.exposed)}")

    def say_next(*, ran: bool) -> None:
        with chdir(folder):
            ignoring = begin.ignoring()
        typer.echo(begin.next_step(folder, case=done.case, ran=ran, own=own, ignoring=ignoring))

    if case and run:
        try:
            with chdir(folder):
                typer.echo(adopted.reproduce())
                if own:
                    begin.keep_results()
        except BaseException:  # such as Ctrl-C: the project is whole, only its results are missing
            say_next(ran=False)
            raise
    say_next(ran=run)


@app.command()
def upgrade(*, wheel: Wheel = None) -> None:
    """Take in what a later version changed in the files of perenne new, by a merge that keeps your edits."""
    from perenne.new import upgrade as steps

    with _template(wheel) as made:
        typer.echo(steps.upgrade(made))


@contextmanager
def _template(wheel: Path | None) -> Iterator[Template]:
    """Give the template of a wheel; without one, that of the library that is running."""
    from tempfile import TemporaryDirectory

    from perenne.new import template
    from perenne.new.wheel import of_library

    with TemporaryDirectory() as folder:
        yield template.of_wheel(wheel or of_library(Path(folder)))
