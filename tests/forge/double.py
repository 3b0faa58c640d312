"""A Git host in memory, and what other people do there. `test_contract.py` keeps it like GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from perenne.common.errors import PerenneError
from perenne.forge.port import (
    ChangedFiles,
    Check,
    Comment,
    CommitStatus,
    Forge,
    Identity,
    Issue,
    PullRequest,
    State,
    Upload,
)

DESCRIPTION_LIMIT = 140
MOST_FILES = 3_000


class Text(NamedTuple):
    """The text of a pull request or an issue."""

    title: str
    body: str


class Started(NamedTuple):
    """A check that was started by name."""

    check: Check
    branch: str
    base: str


class Release(NamedTuple):
    """A release page."""

    tag: str
    title: str
    notes: str
    files: tuple[str, ...]


class Stored(NamedTuple):
    """An artifact."""

    upload: Upload
    data: bytes
    expired: bool


class Double(Forge):
    """The repository ada/perenne on a host in memory. Its attributes are what the host knows."""

    bot: ClassVar = Identity("the-bot", "bot@example.org")
    comment_limit: ClassVar = 65_536
    secrets: ClassVar = ("DOUBLE_TOKEN",)

    def __init__(self, repository: str = "ada/perenne") -> None:
        self.repository = repository
        self.pulls: dict[int, PullRequest] = {}
        self.issues: dict[int, Issue] = {}
        self.closed: set[int] = set()  # issues
        self.texts: dict[int, Text] = {}
        self.files: dict[int, list[str]] = {}
        self.said: dict[int, tuple[int, Comment]] = {}  # by the comment's id, with the number that it is on
        self.statuses: list[tuple[str, CommitStatus]] = []
        self.started: list[Started] = []
        self.stored: list[Stored] = []
        self.releases: list[Release] = []
        self.writes = 0
        self.own_token = False

    @classmethod
    def from_environment(cls) -> Self | None:
        """No environment has it."""
        return None

    @property
    def starts_checks(self) -> bool:
        """Only with a token of one's own."""
        return self.own_token

    # What other people do.

    def requested(
        self,
        branch: str,
        head: str = "a" * 40,
        *,
        repository: str | None = "ada/perenne",
        base: str = "main",
        files: Sequence[str] = (),
        state: State = "open",
    ) -> int:
        """Have somebody open a pull request; `repository` None is a deleted fork. Return its number."""
        number = self._number()
        self.pulls[number] = PullRequest(number, state, repository, branch, head, base)
        self.files[number] = list(files)
        return number

    def reported(self, title: str, body: str, *, trusted: bool) -> int:
        """Have somebody open an issue: a maintainer, or a stranger. Return its number."""
        number = self._number()
        self.issues[number] = Issue(number, title, body, trusted)
        return number

    def replied(self, number: int, body: str, *, own: bool = False) -> None:
        """Have somebody comment."""
        comment = len(self.said) + 1
        self.said[comment] = (number, Comment(comment, body, own))

    def uploaded(self, name: str, data: bytes, *, expired: bool = False) -> None:
        """Have a run upload an artifact."""
        self.stored.append(Stored(Upload(len(self.stored) + 1, name, len(data)), data, expired))

    # The port.

    def pull_requests(self, repository: str, branch: str) -> list[PullRequest]:
        """Of a branch."""
        return [
            pull for pull in self.pulls.values() if (pull.repository, pull.branch) == (repository, branch)
        ]

    def open_pull_requests(self) -> list[PullRequest]:
        """All that are open."""
        return [pull for pull in self.pulls.values() if pull.state == "open"]

    def open_pull_request(self, branch: str, base: str, title: str, body: str) -> int:
        """Keep its text as well."""
        self._write(body)
        number = self.requested(branch, base=base)
        self.texts[number] = Text(title, body)
        return number

    def close_pull_request(self, number: int) -> None:
        """Keep it, closed."""
        self._write()
        self.pulls[number] = self.pulls[number]._replace(state="closed")

    def changed_files(self, number: int) -> ChangedFiles:
        """As it was opened with: `old -> new` is a renamed file."""
        files = self.files[number]
        listed = files[:MOST_FILES]
        return ChangedFiles([path for file in listed for path in file.split(" -> ")], len(files) < MOST_FILES)

    def comments(self, number: int) -> list[Comment]:
        """By their ids."""
        return [comment for on, comment in self.said.values() if on == number]

    def comment(self, number: int, body: str) -> None:
        """Write one of our own."""
        self._write(body)
        self.replied(number, body, own=True)

    def edit_comment(self, comment: int, body: str) -> None:
        """Keep its place."""
        self._write(body)
        if comment not in self.said:
            raise PerenneError(f"comment {comment}: does not exist")
        number, before = self.said[comment]
        self.said[comment] = (number, before._replace(body=body))

    def open_issues(self) -> list[Issue]:
        """All that are open."""
        return [issue for issue in self.issues.values() if issue.number not in self.closed]

    def open_issue(self, title: str, body: str) -> int:
        """The bot is trusted."""
        self._write(body)
        return self.reported(title, body, trusted=True)

    def edit_issue(self, number: int, title: str, body: str) -> None:
        """Its author stays."""
        self._write(body)
        self.issues[number] = self.issues[number]._replace(title=title, body=body)

    def close_issue(self, number: int) -> None:
        """Keep it, closed."""
        self._write()
        self.closed.add(number)

    def start_check(self, check: Check, branch: str, base: str) -> None:
        """Take note of it."""
        self._write()
        self.started.append(Started(check, branch, base))

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """Take note of it, cut."""
        self._write()
        cut = status._replace(description=status.description[:DESCRIPTION_LIMIT])
        self.statuses.append((commit, cut))

    def upload(self, run: int, name: str) -> Upload | None:  # noqa: ARG002 -- it has one run
        """The last one."""
        uploads = [each.upload for each in self.stored if each.upload.name == name and not each.expired]
        return max(uploads, key=lambda upload: upload.id, default=None)

    def download(self, upload: Upload, file: Path) -> None:
        """By its id."""
        (data,) = [each.data for each in self.stored if each.upload.id == upload.id]
        file.write_bytes(data)

    def has_release(self, tag: str) -> bool:
        """Whether one was made."""
        return tag in [release.tag for release in self.releases]

    def release(self, tag: str, title: str, notes: str, files: Sequence[Path]) -> None:
        """Keep the names of its files."""
        self._write()
        self.releases.append(Release(tag, title, notes, tuple(file.name for file in files)))

    def _number(self) -> int:
        """Pull requests and issues are numbered together."""
        return len(self.pulls) + len(self.issues) + 1

    def _write(self, text: str = "") -> None:
        self.writes += 1
        if len(text) > self.comment_limit:
            raise PerenneError(f"a text of {len(text):,} characters; at most {self.comment_limit:,}")
