"""What the code says in one place is said in no other, or a test here fails where the two differ."""

from __future__ import annotations

import re
from typing import Any, get_args

from perenne import cli
from perenne.common import strict_yaml
from perenne.common.names import DRIFT_TIMELINE
from perenne.common.params import OUTSIDE, Params
from perenne.documents.replay import Kind
from perenne.pages import replay as page
from perenne.pages import svg
from perenne.replay import policies
from perenne.replay.walk import TRAINED
from perenne.watch.streams import STREAMS
from tests.project import ROOT
from tests.test_pipeline import DAG

LIBRARY = ROOT / "stages" / "perenne"
SECTIONS = {field.alias or name for name, field in Params.model_fields.items()} - {"case"}


def test_every_room_with_commands_is_in_the_cli() -> None:
    """A `commands.py` that the CLI does not add would be commands that nobody can run."""
    rooms = {path.parent.name for path in LIBRARY.glob("*/commands.py")}
    assert rooms == {folder.__name__.split(".")[1] for folder in cli.FOLDERS}


def test_every_section_is_read_by_a_stage_or_outside_the_dag() -> None:
    """Not by both, and none by nobody: a section that no stage declares may be left out."""
    declared = {name for stage in DAG["stages"].values() for name in stage["params"]} - {"case"}
    assert declared | set(OUTSIDE) == SECTIONS
    assert declared & set(OUTSIDE) == set()


def test_every_section_stands_in_the_params() -> None:
    """What may be set can be seen."""
    assert set(strict_yaml.load(ROOT / "params.yaml")) == SECTIONS | {"case"}


def test_every_kind_of_event_has_a_mark_and_a_sentence() -> None:
    """In the replay's page; only the oracle chooses, and its events are not explained."""
    assert set(svg.MARKS) == set(get_args(Kind))
    assert set(page.KINDS) == set(get_args(Kind)) - {"chosen"}
    assert set(TRAINED) == set(get_args(Kind)) - {"waiting"}


def test_every_policy_has_a_colour() -> None:
    """On light and on dark ground."""
    named = {*policies.FIXED, policies.ORACLE}
    assert named <= set(page.COLOURED)
    assert (page.OURS in named, page.ORACLE) == (True, policies.ORACLE)
    for name in page.COLOURED:
        assert len(re.findall(rf"--{name}: #", page.STYLE)) == 2, name


def test_every_plot_of_the_dag_is_written() -> None:
    """`dvc plots` shows nothing, and says nothing, where a file is missing."""
    shown = {path for plot in DAG["plots"] for y in _of(plot) for path in y}
    outs = [out for stage in DAG["stages"].values() for out in stage["outs"]]
    assert all(any(path.startswith(out) for out in outs) for path in shown)


def test_every_stream_is_in_the_plot_of_the_evidence() -> None:
    """`drift.csv` has a column for each; the plot names those that it draws."""
    file = str(DRIFT_TIMELINE)
    (drawn,) = (y[file] for plot in DAG["plots"] for y in _of(plot) if file in y)
    assert set(drawn) == {"alarm", *STREAMS}


def _of(plot: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["y"] for one in plot.values()]
