"""`perenne replay`: what it prints and leaves, and that a kill costs only what was under way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.project import Project, environment

SHORT = "start: 2013Q1\nas_of: 2018Q4\nthrough: 2021Q4\nbreaks: [2020Q4]\nevery: [4]\n"
FOLDER = "data/reports/replay"


@pytest.fixture
def short(project: Project) -> Project:
    """Return a small company with a history of three years to walk."""
    project.write("data/cases/retirement/replay.yaml", SHORT)
    project.edit(r"max_iter: .*", "max_iter: 3")
    return project


def made(project: Project) -> dict[str, str]:
    """Return the text of each file that a replay has left for people."""
    folder = project.path / FOLDER / "retirement"
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_replay_leaves_a_table_a_page_and_what_dvc_plots(short: Project) -> None:
    """Every policy has a line in the table and a line in the plots; Git and DVC see nothing of it."""
    short.commit("a short history")
    before = short.out("dvc status")
    done = short.run("perenne replay --jobs 2")
    said = done.stdout
    assert (
        "some of these figures are of the holdout (2019Q1 to 2019Q4), and no look counts them" in done.stderr
    )
    rows = {line.split("  ")[0] for line in said.splitlines()}
    assert {"never", "every 4", "always", "ours", "oracle"} <= rows
    assert "recommended: drift.periods_per_false_alarm: " in said
    lines = pd.read_csv(short.path / FOLDER / "retirement" / "timeline.csv")
    quarters = [str(q) for q in pd.period_range("2019Q1", "2021Q4", freq="Q-DEC")]
    for policy in ("never", "every 4", "always", "ours", "oracle"):
        assert lines["period"][lines["policy"] == policy].tolist() == quarters
    plotted = f"dvc plots show {FOLDER}/retirement/timeline.csv -t policies -x period -y loss --json"
    assert '"policy": "oracle"' in short.out(plotted)
    page = made(short)["index.html"]
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert short.out("git status --short") == ""
    assert short.out("dvc status") == before


def test_killed_and_run_again_it_goes_on(short: Project) -> None:
    """What was done is not done again, and the result is that of a run nobody disturbed."""
    command = "perenne replay --policies never,always,oracle --jobs 1"
    running = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=short.path,
        env=environment(short.path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    first = waited(short.path / FOLDER / "cache", "*/models/*.json")
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not (short.path / FOLDER / "retirement").exists()
    when = first.stat().st_mtime_ns
    short.run(command)
    assert first.stat().st_mtime_ns == when, "a model was trained again"
    found = made(short)
    short.run(f"rm -r {FOLDER}")
    short.run(command)
    assert made(short) == found


def waited(folder: Path, pattern: str) -> Path:
    """Return the first file of a pattern, once it is there."""
    for _ in range(600):
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"no {pattern} in a minute")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("--policies never,evry", "error: --policies: 'evry' is none; "),
        ("--case flights --seeds 2", "error: --seeds: flights has one history"),
        ("--case rain", "error: params.yaml: case: 'rain' has no "),
    ],
)
def test_what_cannot_be_replayed_is_said_in_a_line(short: Project, options: str, error: str) -> None:
    """Before anything is walked."""
    done = short.run(f"perenne replay {options}", status=1)
    assert done.stderr.startswith(error)
    assert len(done.stderr.splitlines()) == 1


def test_settings_that_do_not_fit_name_their_file(short: Project) -> None:
    """As everywhere: the file, the key, the value, and what would do."""
    short.write("data/cases/retirement/replay.yaml", SHORT + "evry: [4]\n")
    done = short.run("perenne replay", status=1)
    assert "data/cases/retirement/replay.yaml: evry: unknown key; did you mean 'every'?" in done.stderr
