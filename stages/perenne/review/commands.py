"""`perenne review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from perenne.common.options import Push

app = typer.Typer()

COULD_NOT_REVIEW = 2


@app.command()
def review(
    *,
    base: Annotated[str, typer.Option(metavar="REV", help="The commit to be merged into: origin/main.")],
    out: Annotated[Path, typer.Option(help="The folder for review.md and review.json.")] = Path("review"),
    trust: Annotated[
        Literal["rerun", "lock"] | None, typer.Option(help="Instead of the base's review.trust.")
    ] = None,
    push: Push = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the remote for tags and looks.")
    ] = False,
) -> None:
    """Say what this commit does to the model: reproduced, judged by the base's policy, as a page.

    Exit status: 0 eligible, or the model is unchanged; 1 rejected, or not reproducible; 3 undecided; 2 could
    not judge.
    """
    from perenne.common.errors import PerenneError
    from perenne.review import page, review

    try:
        found = review.review(base, trust=trust, push=push, offline=offline)
        page.write(found, out)
    except PerenneError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(COULD_NOT_REVIEW) from error
    typer.echo(f"{page.headline(found)}\n{out / page.MARKDOWN}")
    raise typer.Exit(review.STATUS[found["answer"]])
