"""The port to the Git host: everything that Perenne needs of it, and the typed values that it returns.

A host is a subclass of `Forge`; `perenne.forge.FORGES` lists them. Texts that other people wrote (titles,
branch names, comments) are data here: a host passes them on unchanged and never puts them into a shell or a
path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Self

State = Literal["open", "closed"]

Check = Literal["review", "tests"]
"""What runs on a pull request: the review of its model, and the tests of its code."""


class Identity(NamedTuple):
    """The account under which jobs write: commits, tags, issues and comments."""

    name: str
    email: str


class PullRequest(NamedTuple):
    """A pull request."""

    number: int
    state: State
    repository: str | None  # that holds the branch, as owner/name; None if it was deleted
    branch: str
    head: str  # the commit that the branch is at
    base: str  # the branch that it is to be merged into


class ChangedFiles(NamedTuple):
    """The files that a pull request changes: added, edited, removed, and both names of a renamed one."""

    paths: list[str]
    complete: bool  # False: the host lists no more of them


class Issue(NamedTuple):
    """An issue. It is `trusted` if its author is the bot, or a person with rights in the repository."""

    number: int
    title: str
    body: str
    trusted: bool


class Comment(NamedTuple):
    """A comment on a pull request or an issue. It is `own` if the bot wrote it."""

    id: int
    body: str
    own: bool


class CommitStatus(NamedTuple):
    """A check's result, attached to a commit."""

    check: str  # its name, as branch protection knows it
    state: Literal["success", "failure"]
    description: str  # one line; a host cuts it to the length that it accepts
    url: str


class Upload(NamedTuple):
    """An artifact that a run has uploaded, not downloaded yet."""

    id: int
    name: str
    size: int  # bytes, as the host reports it


class Forge(ABC):
    """A Git host, seen from one of its repositories.

    Every method raises a `PerenneError` if the host refuses the request or cannot be reached.
    """

    bot: ClassVar[Identity]
    comment_limit: ClassVar[int]
    """Characters that a comment, an issue or the text of a pull request may have."""
    secrets: ClassVar[tuple[str, ...]]
    """Variables that hold a token of this host: a process that runs a commit's code does not get them."""

    repository: str
    """owner/name."""

    @classmethod
    @abstractmethod
    def from_environment(cls) -> Self | None:
        """Return the host that this process runs on, by its environment; None if it is not this one."""

    @property
    @abstractmethod
    def starts_checks(self) -> bool:
        """Whether opening a pull request with this token starts its checks."""

    # Pull requests.

    @abstractmethod
    def pull_requests(self, repository: str, branch: str) -> list[PullRequest]:
        """Return all pull requests of a branch, open and closed; its `repository` may be a fork."""

    @abstractmethod
    def open_pull_requests(self) -> list[PullRequest]:
        """Return all open pull requests."""

    @abstractmethod
    def open_pull_request(self, branch: str, base: str, title: str, body: str) -> int:
        """Open a pull request of a branch of this repository; return its number."""

    @abstractmethod
    def close_pull_request(self, number: int) -> None:
        """Close a pull request without merging it."""

    @abstractmethod
    def changed_files(self, number: int) -> ChangedFiles:
        """Return the paths of the files that a pull request changes, and whether they are all."""

    # Comments, on pull requests and on issues.

    @abstractmethod
    def comments(self, number: int) -> list[Comment]:
        """Return all comments on a pull request or an issue, oldest first."""

    @abstractmethod
    def comment(self, number: int, body: str) -> None:
        """Write a comment on a pull request or an issue."""

    @abstractmethod
    def edit_comment(self, comment: int, body: str) -> None:
        """Replace the text of a comment, by the comment's `id`."""

    # Issues.

    @abstractmethod
    def open_issues(self) -> list[Issue]:
        """Return all open issues; pull requests are not issues."""

    @abstractmethod
    def open_issue(self, title: str, body: str) -> int:
        """Open an issue; return its number."""

    @abstractmethod
    def edit_issue(self, number: int, title: str, body: str) -> None:
        """Replace the title and the text of an issue."""

    @abstractmethod
    def close_issue(self, number: int) -> None:
        """Close an issue."""

    # Checks, and what their runs upload.

    @abstractmethod
    def start_check(self, check: Check, branch: str, base: str) -> None:
        """Start a check on a branch of this repository; `base` is the branch that it is to be merged into."""

    @abstractmethod
    def set_status(self, commit: str, status: CommitStatus) -> None:
        """Attach a check's result to a commit."""

    @abstractmethod
    def upload(self, run: int, name: str) -> Upload | None:
        """Return the newest upload of a run under a name that has not expired; None if there is none."""

    @abstractmethod
    def download(self, upload: Upload, file: Path) -> None:
        """Write an upload into a file, as a zip archive."""

    # Releases.

    @abstractmethod
    def has_release(self, tag: str) -> bool:
        """Return whether the tag has a release page."""

    @abstractmethod
    def release(self, tag: str, title: str, notes: str, files: Sequence[Path]) -> None:
        """Make the release page of a tag that exists, with Markdown notes and files."""
