"""How long a review takes, beside the `dvc repro` that its author has run, in one run on the default case."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.project import Project, clone

REVIEW = "perenne review --base main --offline"


def table() -> str:
    """Return the seconds of a review of a model that is unchanged, and of one that is not."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        project = clone(Path(folder) / "project")
        project.repro()
        project.commit("as it is")
        project.run("perenne gate --offline && perenne release")
        project.run("git checkout -q -b words && echo words >> README.md && git commit -qam words")
        words = seconds(project, REVIEW)
        project.run("git checkout -q main && git checkout -q -b leaves")
        project.edit("min_samples_leaf: 100", "min_samples_leaf: 20")
        project.repro()
        project.commit("smaller leaves")
        repro = seconds(project, "dvc repro --force")
        leaves = seconds(project, REVIEW)
        said = project.read("review/review.md").splitlines()[0]
    return "\n".join(
        [
            said,
            f"  model unchanged      {words:6.1f} s   (goal: 5 s or less)",
            f"  dvc repro --force    {repro:6.1f} s",
            f"  smaller leaves      {leaves:6.1f} s   (goal: 1.5 x that + 15 s: {1.5 * repro + 15:.1f} s)",
        ]
    )


def seconds(project: Project, command: str) -> float:
    """Return how long a command takes that must succeed."""
    start = time.perf_counter()
    project.run(command)
    return time.perf_counter() - start
