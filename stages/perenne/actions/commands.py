"""`perenne github`: the commands that GitHub's workflows run. People have no use for them: hidden."""

from __future__ import annotations

import typer

app = typer.Typer()
group = typer.Typer(no_args_is_help=True)
app.add_typer(group, name="github", hidden=True, help="Commands that GitHub's workflows run.")


@group.callback()
def start() -> None:
    """Act as the workflow's bot."""
    from perenne.actions import runner

    runner.identify()


@group.command()
def fetch() -> None:
    """Fetch the origin's tags and looks, with the token in GH_TOKEN."""
    from perenne.actions import review_job

    typer.echo(review_job.fetch())


@group.command()
def review() -> None:
    """Review the event's pull request, write the page, and fail if the change must not be merged."""
    from perenne.actions import review_job

    typer.echo(review_job.review_pull_request())


@group.command()
def comment() -> None:
    """Write or edit the comment of the review whose run has ended."""
    from perenne.actions import comment_job

    typer.echo(comment_job.comment())


@group.command()
def look() -> None:
    """Write the look that a review made at a holdout into the ledger."""
    from perenne.actions import look_job

    typer.echo(look_job.look())


@group.command()
def lock() -> None:
    """Push a review's data, commit its dvc.lock, and attach its result to the commit."""
    from perenne.actions import lock_job

    typer.echo(lock_job.lock())


@group.command()
def bring() -> None:
    """Bring the data that the commit's stages start from, unless its model is released already."""
    from perenne.actions import release_job

    typer.echo(release_job.bring())


@group.command()
def prove() -> None:
    """Run all stages of the commit again, and hand over what they made."""
    from perenne.actions import release_job

    typer.echo(release_job.prove())


@group.command()
def release() -> None:
    """Judge the proven model, and release it if it is eligible."""
    from perenne.actions import release_job

    typer.echo(release_job.release())


@group.command()
def publish() -> None:
    """Make the release page of the commit's version."""
    from perenne.actions import publish_job

    typer.echo(publish_job.publish())


@group.command()
def watch() -> None:
    """Bring what a retraining starts from, and say whether there is one to build."""
    from perenne.actions import monitor_job

    typer.echo(monitor_job.watch())


@group.command()
def build() -> None:
    """Build the candidates of a retraining, and hand over what their stages made."""
    from perenne.actions import monitor_job

    typer.echo(monitor_job.build())


@group.command()
def monitor() -> None:
    """Monitor the model in prod on new batches, and offer what was built if the decision says so."""
    from perenne.actions import monitor_job

    typer.echo(monitor_job.monitor())


@group.command()
def deploy() -> None:
    """Test the version in VERSION, by default the one in prod, in the real server, and deploy it."""
    from perenne.actions import deploy_job

    typer.echo(deploy_job.deploy())


@group.command()
def rollback() -> None:
    """Roll back to the version in VERSION, by default the previous one, for the reason in REASON."""
    from perenne.actions import deploy_job

    typer.echo(deploy_job.rollback())


@group.command()
def predict() -> None:
    """Score the files in FILES, by default the newest batch, with the version in prod."""
    from perenne.actions import predict_job

    typer.echo(predict_job.predict())
