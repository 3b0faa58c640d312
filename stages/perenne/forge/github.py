"""GitHub behind the port. The only module that knows GitHub's addresses, its JSON and its variables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from perenne.common.errors import PerenneError
from perenne.common.typed import parse
from perenne.forge import gh
from perenne.forge.payload import Payload
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

TRUSTED = ("OWNER", "MEMBER", "COLLABORATOR")  # GitHub's words for people with rights in the repository
DESCRIPTION_LIMIT = 140  # characters of a status
PER_PAGE = 100  # items, the most that GitHub returns at once
MOST_FILES = 3_000  # of a pull request that GitHub lists, on all pages together

# The workflow of each check, and whether it has an input for the base.
WORKFLOWS: dict[Check, tuple[str, bool]] = {"review": ("review.yml", True), "tests": ("ci.yml", False)}


class GitHub(Forge):
    """A repository on GitHub. `gh` sends the requests, with the token in GH_TOKEN."""

    bot: ClassVar = Identity("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")
    comment_limit: ClassVar = 65_536
    secrets: ClassVar = ("GH_TOKEN", "GITHUB_TOKEN", "PUSH_KEY")

    def __init__(self, repository: str) -> None:
        self.repository = repository

    @classmethod
    def from_environment(cls) -> Self | None:
        """Return the repository in GITHUB_REPOSITORY, which GitHub's workflows set."""
        repository = os.environ.get("GITHUB_REPOSITORY")
        return cls(repository) if repository else None

    @property
    def starts_checks(self) -> bool:
        """GitHub's own token starts no workflow. STARTS_WORKFLOWS says that another one is used."""
        return os.environ.get("STARTS_WORKFLOWS") == "true"

    def pull_requests(self, repository: str, branch: str) -> list[PullRequest]:
        """GitHub filters by owner and branch only, so the repository is compared here."""
        head = f"{repository.split('/')[0]}:{branch}"
        address = self._path("pulls", state="all", head=head, per_page=PER_PAGE)
        pulls = [_pull(item, address) for item in gh.pages(address)]
        return [pull for pull in pulls if (pull.repository, pull.branch) == (repository, branch)]

    def open_pull_requests(self) -> list[PullRequest]:
        """All pages."""
        address = self._path("pulls", state="open", per_page=PER_PAGE)
        return [_pull(item, address) for item in gh.pages(address)]

    def open_pull_request(self, branch: str, base: str, title: str, body: str) -> int:
        """The token's account is its author."""
        return self._post({"title": title, "head": branch, "base": base, "body": body}, "pulls")

    def close_pull_request(self, number: int) -> None:
        """It can be opened again."""
        gh.send("PATCH", self._path("pulls", number), {"state": "closed"})

    def changed_files(self, number: int) -> ChangedFiles:
        """GitHub lists `MOST_FILES` and does not say that there are more."""
        address = self._path("pulls", number, "files", per_page=PER_PAGE)
        files = [parse(_File, item, address) for item in gh.pages(address)]
        paths = [path for file in files for path in (file.previous_filename, file.filename) if path]
        return ChangedFiles(paths, len(files) < MOST_FILES)

    def comments(self, number: int) -> list[Comment]:
        """To GitHub a pull request is an issue too."""
        address = self._path("issues", number, "comments", per_page=PER_PAGE)
        comments = [parse(_Comment, item, address) for item in gh.pages(address)]
        return [Comment(each.id, each.body or "", _is_bot(each.user)) for each in comments]

    def comment(self, number: int, body: str) -> None:
        """The token's account is its author."""
        gh.send("POST", self._path("issues", number, "comments"), {"body": body})

    def edit_comment(self, comment: int, body: str) -> None:
        """Nobody is notified of it."""
        gh.send("PATCH", self._path("issues", "comments", comment), {"body": body})

    def open_issues(self) -> list[Issue]:
        """GitHub lists pull requests among the issues, and marks them by a key."""
        address = self._path("issues", state="open", per_page=PER_PAGE)
        return [
            _issue(parse(_Issue, item, address)) for item in gh.pages(address) if "pull_request" not in item
        ]

    def open_issue(self, title: str, body: str) -> int:
        """The token's account is its author."""
        return self._post({"title": title, "body": body}, "issues")

    def edit_issue(self, number: int, title: str, body: str) -> None:
        """Nobody is notified of it."""
        gh.send("PATCH", self._path("issues", number), {"title": title, "body": body})

    def close_issue(self, number: int) -> None:
        """It can be opened again."""
        gh.send("PATCH", self._path("issues", number), {"state": "closed"})

    def start_check(self, check: Check, branch: str, base: str) -> None:
        """By a `workflow_dispatch`: the one event that GitHub's own token can send."""
        workflow, has_base = WORKFLOWS[check]
        body = {"ref": branch} | ({"inputs": {"base": base}} if has_base else {})
        gh.send("POST", self._path("actions", "workflows", workflow, "dispatches"), body)

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """What branch protection calls a check is the status's `context`."""
        body = {
            "state": status.state,
            "context": status.check,
            "description": status.description[:DESCRIPTION_LIMIT],
            "target_url": status.url,
        }
        gh.send("POST", self._path("statuses", commit), body)

    def upload(self, run: int, name: str) -> Upload | None:
        """A run that was started again may have several under one name."""
        address = self._path("actions", "runs", run, "artifacts", name=name, per_page=PER_PAGE)
        listed = parse(_Artifacts, gh.get(address), address).artifacts
        uploads = [
            Upload(each.id, each.name, each.size_in_bytes)
            for each in listed
            if each.name == name and not each.expired
        ]
        return max(uploads, key=lambda upload: upload.id, default=None)

    def download(self, upload: Upload, file: Path) -> None:
        """GitHub keeps every artifact as a zip archive."""
        gh.download(self._path("actions", "artifacts", upload.id, "zip"), file)

    def has_release(self, tag: str) -> bool:
        """`gh` has no exit status of its own for a release that is missing, only a message."""
        try:
            gh.run(["release", "view", "--repo", self.repository, "--", tag])
        except PerenneError as error:
            if "not found" not in str(error):
                raise
            return False
        return True

    def release(self, tag: str, title: str, notes: str, files: Sequence[Path]) -> None:
        """`--verify-tag`: `gh` would make a missing tag by itself."""
        options = ["--verify-tag", "--title", title, "--notes-file", "-"]
        gh.run(["release", "create", "--repo", self.repository, *options, "--", tag, *map(str, files)], notes)

    def _path(self, *parts: str | int, **query: str | int) -> str:
        return gh.path(self.repository, *parts, **query)

    def _post(self, body: dict[str, str], kind: str) -> int:
        address = self._path(kind)
        return parse(_Numbered, gh.send("POST", address, body), address).number


class _Numbered(Payload):
    number: int


class _User(Payload):
    login: str


class _Repository(Payload):
    full_name: str


class _Head(Payload):
    ref: str
    sha: str
    repo: _Repository | None


class _Base(Payload):
    ref: str


class _Pull(_Numbered):
    state: State
    head: _Head
    base: _Base


class _Issue(_Numbered):
    title: str
    body: str | None
    user: _User | None  # None: the account was deleted
    author_association: str


class _Comment(Payload):
    id: int
    body: str | None
    user: _User | None


class _File(Payload):
    filename: str
    previous_filename: str | None = None  # of a file that was renamed


class _Artifact(Payload):
    id: int
    name: str
    size_in_bytes: int
    expired: bool


class _Artifacts(Payload):
    artifacts: list[_Artifact]


def _pull(item: object, address: str) -> PullRequest:
    pull = parse(_Pull, item, address)
    repository = pull.head.repo.full_name if pull.head.repo else None
    return PullRequest(pull.number, pull.state, repository, pull.head.ref, pull.head.sha, pull.base.ref)


def _issue(issue: _Issue) -> Issue:
    trusted = issue.author_association in TRUSTED or _is_bot(issue.user)
    return Issue(issue.number, issue.title, issue.body or "", trusted)


def _is_bot(user: _User | None) -> bool:
    return user is not None and user.login == GitHub.bot.name
