"""The events that start the workflows, as far as the commands of this room read them."""

from __future__ import annotations

from perenne.common.errors import PerenneError
from perenne.documents.verdict import Asker
from perenne.forge.payload import Payload


class Repository(Payload):
    """A repository: this one, or a fork."""

    full_name: str


class Here(Repository):
    """The repository that the workflow runs in."""

    default_branch: str


class Run(Payload):
    """A run of the review that has ended. GitHub wrote this, not the change that was reviewed."""

    id: int
    conclusion: str | None
    head_sha: str
    head_branch: str | None
    head_repository: Repository | None  # None: a fork that was deleted
    html_url: str

    @property
    def commit(self) -> str:
        """The commit that was reviewed, abbreviated."""
        return self.head_sha[:7]


class RunEnded(Payload):
    """`workflow_run`: a review has ended."""

    workflow_run: Run
    repository: Here

    @property
    def run(self) -> Run:
        """The run that has ended."""
        return self.workflow_run

    @property
    def asker(self) -> Asker:
        """Whose code has run: the repository's, or a fork's."""
        return _asker(self.run.head_repository, self.repository)


class Base(Payload):
    """The branch that a pull request is to be merged into."""

    ref: str


class Head(Payload):
    """The branch of a pull request."""

    repo: Repository | None  # None: a fork that was deleted


class Pull(Payload):
    """A pull request."""

    base: Base
    head: Head


class Inputs(Payload):
    """What a workflow that was started by name was given."""

    base: str


class ReviewRequested(Payload):
    """`pull_request`; or `workflow_dispatch`, for that of a retraining, whose own event starts nothing."""

    inputs: Inputs | None = None
    pull_request: Pull | None = None
    repository: Repository

    @property
    def asker(self) -> Asker:
        """Whose code runs: the repository's, or a fork's."""
        return _asker(self.pull_request.head.repo, self.repository) if self.pull_request else "own"

    @property
    def base(self) -> str:
        """The branch that the change is to be merged into.

        Raises
        ------
        PerenneError
            If the event names no branch.

        """
        if self.inputs is not None:
            return self.inputs.base
        if self.pull_request is not None:
            return self.pull_request.base.ref
        raise PerenneError("the event of the workflow has neither inputs nor a pull_request")


class Pushed(Payload):
    """`push`; or `workflow_dispatch`, which has no commit before it."""

    before: str | None = None


def _asker(head: Repository | None, here: Repository) -> Asker:
    return "own" if head is not None and head.full_name == here.full_name else "fork"
