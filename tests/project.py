"""Projects to test on: real copies of this one, with real Git and real DVC."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests import warm

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Project:
    """A Git repository with the project in it, and a shell that knows nothing of the user's own settings."""

    path: Path

    def run(self, command: str, *, status: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository; `status` is the exit status that it must have, None for any."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.path,
            env=environment(self.path) | env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert status is None or done.returncode == status, f"{command}: {done.stdout}\n{done.stderr}"
        return done

    def out(self, command: str, **env: str) -> str:
        """Run a command and return what it prints."""
        return self.run(command, status=0, **env).stdout

    def read(self, file: str) -> str:
        """Return a file's text."""
        return (self.path / file).read_text(encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        """Write a file, and the folders above it."""
        path = self.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, pattern: str, new: str, file: str = "params.yaml") -> None:
        """Replace what a pattern matches, once, as a person with an editor would."""
        text, found = re.subn(pattern, new, self.read(file), count=1, flags=re.MULTILINE)
        assert found, f"{pattern!r} is not in {file}"
        self.write(file, text)

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run(f"git add -A && git commit -q --allow-empty -m '{message}'")

    def repro(self, flags: str = "", **env: str) -> list[str]:
        """Reproduce the pipeline and return the stages that ran."""
        return re.findall(r"Running stage '(\w+)'", self.out(f"dvc repro {flags}", **env))

    def copy(self, to: Path) -> Project:
        """Return another repository in the same state, data and DVC's cache included."""
        shutil.copytree(self.path, to, symlinks=True)
        return Project(to)


def environment(path: Path) -> dict[str, str]:
    """The machine's environment without the user's Git and DVC settings; commands are this venv's."""
    home = path.parent / "home"
    home.mkdir(exist_ok=True)
    private = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "DVC_SITE_CACHE_DIR": str(path.parent / "site-cache"),
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": f"{warm.commands()}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(path / "stages"),  # the `perenne` of the venv then runs this copy's code
    }
    for who in ("AUTHOR", "COMMITTER"):
        private |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": "ada@example.org"}
    return os.environ | private


def clone(to: Path) -> Project:
    """Return this project as a repository of its own: its files as they are now, in one commit."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():  # not one that was removed and is still in the index
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    project = Project(to)
    project.run("git init -q -b main")
    project.commit("the project")
    return project
