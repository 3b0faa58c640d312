"""What people do in the scenarios, and how a run is expected to end."""

from __future__ import annotations

from tests.project import Project
from tests.workflows.hub import TOKEN, Hub, Pull, Run

GOOD, WORSE = 60, 1  # boosting rounds; the champion has 3


SEEN = "SEEN BY A STAGE"

# What a stage may read of the processes above it, up to act, which is GitHub here.
SPY = """
import os, sys
from pathlib import Path

def seen(pid):
    while pid > 1:
        place = Path("/proc", str(pid))
        text = place.joinpath("environ").read_bytes().decode(errors="replace")
        yield from (line for line in text.split(chr(0)) if line)
        pid = int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        if "act" in place.joinpath("comm").read_text():
            return

SECRET = ("TOKEN", "DVC_CONFIG", "SIGNING_KEY", "ACTIONS_ID_TOKEN")
for line in seen(os.getpid()):
    name, _, value = line.partition("=")
    if value and name.startswith(("GH_", "GITHUB_TOKEN", "PUSH_", *SECRET)) or "perenne-storage" in value:
        print("SEEN BY A STAGE:", name, file=sys.stderr)
"""


def spied(project: Project) -> None:
    """Let the stage `train` print the secrets that it can find, and commit that."""
    project.write("stages/train.py", project.read("stages/train.py") + SPY)
    project.commit("a spy")


def rounds(project: Project, number: int, *, repro: bool = True) -> None:
    """Commit another number of rounds."""
    project.edit(r"max_iter: \d+", f"max_iter: {number}")
    if repro:
        project.repro()
    project.commit(f"{number} rounds")


def notes(project: Project) -> None:
    """Commit what the model does not depend on."""
    project.write("NOTES.md", "# Notes\n")
    project.commit("notes")


def ended(run: Run, *, passed: bool = True) -> Run:
    """Return a run that ended as it must; else fail with all that act has printed."""
    assert run.passed is passed, run.log
    assert TOKEN not in run.log
    return run


def reviewed(hub: Hub, pull: Pull, *, passed: bool = True) -> Run:
    """Return the review of a pull request, commented on."""
    review = ended(hub.review(pull), passed=passed)
    ended(hub.comment(pull, review))
    return review


def comment(hub: Hub, pull: Pull) -> str:
    """Return the text of the only comment on a pull request."""
    (found,) = [one for one in hub.read("comments") if one["number"] == pull.number]
    return str(found["body"])
