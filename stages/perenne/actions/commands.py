"""`perenne github`: what the workflows call. Hidden: nobody else has a use for it."""

from __future__ import annotations

import typer

app = typer.Typer()
group = typer.Typer(no_args_is_help=True)
app.add_typer(group, name="github", hidden=True, help="What GitHub's workflows call.")


@group.callback()
def start() -> None:
    """Begin as the workflow."""
    from perenne.forge import runner

    runner.identify()


@group.command()
def fetch() -> None:
    """Bring the origin's tags and looks, with the token in GH_TOKEN."""
    from perenne.actions import review

    typer.echo(review.fetch())


@group.command()
def review() -> None:
    """Review the pull request of the event: the summary, the files to keep, and whether the check passes."""
    from perenne.actions import review

    typer.echo(review.review_pull_request())


@group.command()
def comment() -> None:
    """Write or edit the comment of the review whose run has ended."""
    from perenne.actions import comment

    typer.echo(comment.comment())


@group.command()
def look() -> None:
    """Write the look that a review made at a holdout into the ledger."""
    from perenne.actions import look

    typer.echo(look.look())


@group.command()
def lock() -> None:
    """Commit the dvc.lock that a review has reproduced, its data first, and attach the verdict."""
    from perenne.actions import lock

    typer.echo(lock.lock())


@group.command()
def prove() -> None:
    """Run the stages of the commit again, if its model is none that is released."""
    from perenne.actions import release

    typer.echo(release.prove())


@group.command()
def release() -> None:
    """Judge the model that was proven, and release it if it is eligible."""
    from perenne.actions import release

    typer.echo(release.release())


@group.command()
def publish() -> None:
    """Make a GitHub release of the commit's version."""
    from perenne.actions import release

    typer.echo(release.publish())


@group.command()
def monitor() -> None:
    """Watch what has come, and retrain if that calls for it."""
    from perenne.actions import monitor

    typer.echo(monitor.monitor())


@group.command()
def deploy() -> None:
    """Try the newest version, or the one in VERSION, in the real server, and put it to use."""
    from perenne.actions import deploy

    typer.echo(deploy.deploy())


@group.command()
def rollback() -> None:
    """Put the version before, or the one in VERSION, to use again, for the reason in REASON."""
    from perenne.actions import deploy

    typer.echo(deploy.rollback())
