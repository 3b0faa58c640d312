"""A GitHub of our own: a bare origin, pull requests in files, and act to run the real workflow files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

from tests import warm
from tests.project import Project

HERE = Path(__file__).parent
VENV = Path(sys.prefix)
TOKEN = "token-of-the-tests-that-may-be-seen-nowhere"  # noqa: S105 -- it opens nothing
REPOSITORY = "ada/perenne"
ZERO = "0" * 40

Event = dict[str, Any]


class Run(NamedTuple):
    """A run of a workflow: whether all its jobs succeeded, and what act has printed."""

    passed: bool
    log: str


class Pull(NamedTuple):
    """A pull request."""

    number: int
    owner: str
    branch: str
    title: str
    head: str


@dataclass(frozen=True)
class Hub:
    """What GitHub is to the workflows. `work` is a clone in which people change things."""

    work: Project

    @property
    def state(self) -> Path:
        """The folder of what `gh` answers from."""
        return self.work.path.parent / "hub"

    def open(self, branch: str, *, title: str = "A change", owner: str = "ada") -> Pull:
        """Push what `work` has committed, as a branch, and open a pull request; a fork has another owner."""
        self.state.mkdir(exist_ok=True)
        number = len(self.read("pulls")) + 7
        self.work.run('git checkout -q -B "$BRANCH"', BRANCH=branch)
        if owner == "ada":
            self.work.run('git push -q -f origin "HEAD:refs/heads/$BRANCH"', BRANCH=branch)
        pull = Pull(number, owner, branch, title, self.work.out("git rev-parse HEAD").strip())
        return self._publish(pull)

    def push(self, pull: Pull) -> Pull:
        """Bring a pull request to what `work` has committed."""
        if pull.owner == "ada":
            self.work.run('git push -q -f origin "HEAD:refs/heads/$BRANCH"', BRANCH=pull.branch)
        return self._publish(pull._replace(head=self.work.out("git rev-parse HEAD").strip()))

    def review(self, pull: Pull) -> Run:
        """Run review.yml, as it is in the pull request."""
        shutil.rmtree(self.state / "artifacts", ignore_errors=True)
        return self.act("review", "pull_request", {"pull_request": self._described(pull)}, at=pull.head)

    def comment(self, pull: Pull, review: Run) -> Run:
        """Run comment.yml, as it is on the main branch, on the end of a review."""
        told = self._described(pull)["head"]
        run = {
            "id": 1000 + pull.number,
            "event": "pull_request",
            "conclusion": "success" if review.passed else "failure",
            "head_sha": pull.head,
            "head_branch": pull.branch,
            "head_repository": told["repo"],
            "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{1000 + pull.number}",
            "pull_requests": [],
        }
        return self.act("comment", "workflow_run", {"action": "completed", "workflow_run": run}, at="main")

    def merge(self) -> tuple[str, str]:
        """Push what `work` has committed to the main branch; return the commits before and after."""
        before = self.work.out("git rev-parse origin/main").strip()
        self.work.run("git push -q origin HEAD:main")
        return before, self.work.out("git rev-parse HEAD").strip()

    def release(self, before: str, after: str) -> Run:
        """Run release.yml on a push to the main branch."""
        event = {"ref": "refs/heads/main", "before": before, "after": after}
        return self.act("release", "push", event, at=after)

    def act(self, workflow: str, name: str, event: Event, *, at: str) -> Run:
        """Run a workflow file as it is in a commit of the origin."""
        folder = Path(mkdtemp(prefix="act-", dir=self.work.path.parent))
        self.work.run(f"git fetch -q origin && git clone -q . {folder}/project")
        folder = folder / "project"
        there = Project(folder)
        there.run('git fetch -q "$ORIGIN" "$AT" && git checkout -q FETCH_HEAD', ORIGIN=self.origin, AT=at)
        there.run(f"git remote set-url origin https://github.com/{REPOSITORY}.git")
        event_file = folder.parent / "event.json"
        event_file.write_text(
            json.dumps(event | {"repository": {"full_name": REPOSITORY, "default_branch": "main"}})
        )
        done = subprocess.run(
            [
                *(str(VENV / "bin" / "act"), name, "--eventpath", str(event_file)),
                *("--workflows", f".github/workflows/{workflow}.yml"),
                *("--platform", "ubuntu-latest=-self-hosted", "--action-offline-mode"),
                *("--no-skip-checkout", "--no-cache-server"),
                # A review's artifacts are where `comment` looks for them, under another number.
                *(() if workflow == "review" else ("--env", f"GITHUB_RUN_ID={folder.stat().st_ino}")),
                *("--secret", f"GITHUB_TOKEN={TOKEN}", "--secret", f"DVC_CONFIG={self.remote}"),
                *(word for pin in self._pins(folder) for word in ("--local-repository", pin)),
            ],
            cwd=folder,
            env=self._environment(folder.parent),
            capture_output=True,
            text=True,
            check=False,
        )
        return Run(done.returncode == 0, _told(done.stdout + done.stderr))

    @property
    def origin(self) -> str:
        """The bare repository."""
        return f"file://{self.work.path.parent / 'origin.git'}"

    @property
    def remote(self) -> str:
        """The settings of DVC's remote, as the secret holds them."""
        return f"['remote \"storage\"']\n    url = {self.work.path.parent / 'home' / 'perenne-storage'}\n"

    def read(self, name: str) -> list[Any]:
        """A list of the state."""
        file = self.state / f"{name}.json"
        found: list[Any] = json.loads(file.read_text()) if file.exists() else []
        return found

    def calls(self) -> list[dict[str, Any]]:
        """What `gh` was asked, in order: `argv` and `stdin`."""
        file = self.state / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def _publish(self, pull: Pull) -> Pull:
        """GitHub keeps the head of every pull request, a fork's too, and knows what it changes."""
        self.work.run(f"git push -q -f origin HEAD:refs/pull/{pull.number}/head")
        others = [one for one in self.read("pulls") if one["number"] != pull.number]
        self._save("pulls", [*others, self._described(pull)])
        changed = self.work.out("git diff --name-only origin/main...HEAD").splitlines()
        self._save(f"files-{pull.number}", [{"filename": name} for name in changed])
        return pull

    def _described(self, pull: Pull) -> Event:
        repo = {"full_name": f"{pull.owner}/perenne", "owner": {"login": pull.owner}}
        head = {"ref": pull.branch, "sha": pull.head, "repo": repo, "user": repo["owner"]}
        base = {"ref": "main", "sha": self.work.out("git rev-parse origin/main").strip()}
        return {"number": pull.number, "title": pull.title, "head": head, "base": base}

    def _save(self, name: str, value: list[Any]) -> None:
        (self.state / f"{name}.json").write_text(json.dumps(value, indent=1))

    def _pins(self, folder: Path) -> list[str]:
        """Each action that the workflows use, at its pin, is one of ours."""
        text = "\n".join(file.read_text() for file in sorted(folder.glob(".github/**/*.yml")))
        pins = sorted(
            set(re.findall(r"uses: ((?:actions|docker)/([\w-]+))(?:/[\w-]+)?@([0-9a-f]{40})", text))
        )
        return [f"{action}@{pin}={HERE / 'actions' / name}" for action, name, pin in pins]

    def _environment(self, runner: Path) -> dict[str, str]:
        top = self.work.path.parent
        home, commands = runner / "home", runner / "commands"
        for path in (home, commands, self.state):
            path.mkdir(exist_ok=True)
        (commands / "gh").symlink_to(HERE / "gh.py")
        env = {
            "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(home / "site-cache"),
            # For what stands in for GitHub's actions and for gh.
            "HUB": str(self.state),
            "ORIGIN": self.origin,
            "TESTS": str(HERE),
            "CACHES": str(top / "caches"),
        }
        if os.environ.get(warm.VARIABLE):
            env |= warm.ONE_THREAD
        return env | {"VENV": str(self.venv(warm.environment(env)))}

    def venv(self, environment: Path) -> Path:
        """Return the `.venv` of a checkout, as the cache holds it."""
        return environment


def _told(log: str) -> str:
    """What the steps have printed and how they have ended, without what act says of its own work."""
    noise = ("LocalRepositoryCache", " Run Pre ", " Run Post ", "Success - Pre ", "Success - Post ")
    return "\n".join(line for line in log.splitlines() if not any(word in line for word in noise))
