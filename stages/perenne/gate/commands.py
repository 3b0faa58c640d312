"""`perenne gate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perenne.common.options import PolicyFrom

app = typer.Typer()


@app.command()
def gate(
    *,
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="A commit whose model must be beaten as well.")
    ] = None,
    policy_from: PolicyFrom = None,
    json: Annotated[Path | None, typer.Option(help="Write the verdict to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write it as Markdown to this file.")] = None,
    push: Annotated[
        bool, typer.Option("--push", help="Push the look in any case; without it, if there is a remote.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Do without the remote: the look counts in this clone only."),
    ] = False,
    open_: Annotated[
        bool,
        typer.Option(
            "--open", help="Show all figures, and close the holdout: no other model can be proven on it."
        ),
    ] = False,
) -> None:
    """Judge this commit's model against the one in prod.

    The labels of the holdout stay sealed: the verdict says whether all rules pass.

    Exit status: 0 eligible, or in prod already; 20 rejected; 21 undecided; 1 could not judge.
    """
    from perenne.common.disk import replacing
    from perenne.common.status import BY_ANSWER
    from perenne.gate import gate as judge
    from perenne.pages import verdict as page

    share = True if push else None
    verdict = judge.gate(base=base, policy_from=policy_from, share=share, offline=offline, opening=open_)
    if json:
        verdict.write(json)
    if markdown:
        with replacing(markdown) as temporary:
            temporary.write_text(page.markdown(verdict), encoding="utf-8")
    typer.echo(page.text(verdict))
    raise typer.Exit(BY_ANSWER[verdict.answer])
