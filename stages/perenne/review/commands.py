"""`perenne review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer()


@app.command()
def review(
    *,
    base: Annotated[str, typer.Option(metavar="REV", help="The commit to merge into, such as origin/main.")],
    out: Annotated[Path, typer.Option(help="The folder for review.md and review.json.")] = Path("review"),
    trust: Annotated[
        Literal["rerun", "lock"] | None, typer.Option(help="Overrides the base's review.trust.")
    ] = None,
    push: Annotated[
        bool, typer.Option("--push", help="Push the look in any case; without it, if there is a remote.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Do without the remote: the look counts in this clone only."),
    ] = False,
) -> None:
    """Review what this commit does to the model: rerun, judge by the base's policy, write a page.

    Exit status: 0 eligible, or the model is unchanged; 20 rejected; 21 undecided; 22 not reproducible; 1
    could not judge.
    """
    from perenne.common.names import REVIEW_PAGE
    from perenne.common.status import BY_ANSWER
    from perenne.pages import review as page
    from perenne.review import review as reviewing

    review = reviewing.review(base, trust=trust, push=push, offline=offline)
    reviewing.write(review, out)
    typer.echo(f"{page.headline(review)}\n{out / REVIEW_PAGE}")
    raise typer.Exit(BY_ANSWER[review.answer])
