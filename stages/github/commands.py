"""`perenne github`: what the workflows call. Hidden: nobody else has a use for it."""

from __future__ import annotations

import typer

app = typer.Typer()
group = typer.Typer(no_args_is_help=True)
app.add_typer(group, name="github", hidden=True, help="What GitHub's workflows call.")


@group.command()
def fetch() -> None:
    """Bring the origin's tags and looks, with the token in GH_TOKEN."""
    from stages.github import review

    typer.echo(review.fetch())


@group.command()
def review() -> None:
    """Review the pull request of the event: the summary, the files to keep, and whether the check passes."""
    from stages.github import review

    typer.echo(review.review_pull_request())


@group.command()
def comment() -> None:
    """Write or edit the comment of the review whose run has ended."""
    from stages.github import comment

    typer.echo(comment.comment())


@group.command()
def monitor() -> None:
    """Watch what has come, and retrain if that calls for it."""
    from stages.github import monitor

    typer.echo(monitor.monitor())
