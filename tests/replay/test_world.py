"""The replay's history and models are those of the pipeline, and nothing is known before its time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from perenne.common import batches, periods
from perenne.loop import arrivals
from perenne.replay import plan
from perenne.replay.plan import ReplaySettings
from perenne.replay.policies import come, make
from perenne.replay.walk import walk
from perenne.replay.world import World
from tests import tiny
from tests.conftest import Enter
from tests.project import ROOT, Project


def test_batches_and_model_are_those_of_the_pipeline(small: Project, enter: Enter, tmp_path: Path) -> None:
    """On the same params, every clean batch and the model file have the bytes that `dvc repro` made."""
    enter(small)
    here = plan.load()
    here = here._replace(settings=ReplaySettings())
    here = here._replace(params=here.params.model_copy(update={"ingest": plan_ingest()}))
    world = World(here, tmp_path)
    for period, file in batches.listed(Path("data/clean"), here.contract).items():
        assert world.files[period].read_bytes() == file.read_bytes(), period
    cut = here.cut(periods.parse(here.params.split.as_of, here.contract.period, "as_of"))
    world.trained(cut)
    made = world.folder / "models" / f"{world.name(cut)}.skops"
    assert made.read_bytes() == Path("data/model/model.skops").read_bytes()


def plan_ingest() -> object:
    """Return the source in params.yaml, which `replay.yaml` otherwise makes longer."""
    from perenne.common import strict_yaml
    from perenne.common.names import PARAMS
    from perenne.common.params import Params
    from perenne.common.typed import parse

    return parse(Params, strict_yaml.load(PARAMS), "params.yaml").ingest


def test_a_label_is_not_known_before_it_has_matured(world: World) -> None:
    """In a quarter its own labels, which the next one brings, cannot be had; those before can."""
    quarter = pd.Period("2019Q4", freq="Q-DEC")
    world.now = quarter
    try:
        assert len(world.rows(quarter - 1))
        with pytest.raises(RuntimeError, match="the labels of 2019Q4 are not known in 2019Q4"):
            world.rows(quarter)
    finally:
        world.now = None


def test_blocks_that_came_are_counted_once(world: World) -> None:
    """An employee with labels in several quarters is one block; the last quarter has no labels by then."""
    before, now = pd.Period("2018Q4", freq="Q-DEC"), pd.Period("2020Q2", freq="Q-DEC")
    block, delay = world.contract.block, world.contract.label_delay
    known = pd.concat([world.rows(p) for p in world.files if before - delay < p <= now - delay])
    assert block is not None
    assert come(world, before, now) == len(set(known[block])) < len(known)
    assert come(world, now, now) == 0


@pytest.mark.parametrize("through", ["2021-04", "2021-06"])
def test_label_that_cannot_be_there_yet_may_be_missing(
    through: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the last batch, by the contract's `label_delay` alone; replay, stage and monitor agree."""
    monkeypatch.chdir(tmp_path)
    late = [line[:-1] if "2021-04" in line else line for line in tiny.table(*tiny.MONTHS).splitlines()]
    settings = (ROOT / "data/cases/flights/params.yaml").read_text(encoding="utf-8")
    files = {
        "data/cases/tiny/contract.yaml": tiny.CONTRACT.replace("label_delay: 0", "label_delay: 1"),
        "data/cases/tiny/params.yaml": tiny.PARAMS + settings[settings.index("\ngate:") :],
        "params.yaml": tiny.PARAMS + settings[settings.index("\ngate:") :],
        tiny.INPUT: "\n".join([*late, ""]),
    }
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    here = plan.load("tiny")
    ingest = here.params.ingest.model_copy(update={"through": through})
    world = World(
        here._replace(params=here.params.model_copy(update={"ingest": ingest})), tmp_path / "replay"
    )
    kept = {str(period): len(batches.read_parquet(file)) for period, file in world.files.items()}
    assert kept == dict.fromkeys(tiny.MONTHS, 20)
    with arrivals.arrived(here.params, here.contract, pd.Period(through, "M")) as come:
        assert {str(period): len(come.clean(period)) for period in come.files} == kept


def test_history_may_be_walked_in_shorter_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flights come by month, and are replayed day by day; the `as_of` of params.yaml is a month."""
    monkeypatch.chdir(ROOT)
    flights = plan.load("flights")
    day = periods.parse("2013-04-01", flights.contract.period, "as_of")
    assert flights.cut(day)[:3] == (day, 60, 30)


def test_model_in_use_is_the_recipe_on_all_that_is_known(world: World) -> None:
    """It is not what the gate judges, and scores other batches."""
    cut = world.plan.cut(world.first)
    used = world.released(cut)
    known = world.learned(used)
    assert known[-1] + used.label_delay == world.first
    assert known[0] == cut.first
    done = walk(world, make("never")(world))
    assert (
        done.steps[0].figures == world.figures(used, world.first + 1) != world.figures(cut, world.first + 1)
    )


def test_champion_is_the_model_in_use_where_it_has_not_seen_the_labels(world: World) -> None:
    """Else it is the one that was proven."""
    cut = world.plan.cut(world.first)
    assert world.champion(cut, [world.first + 1]) == world.released(cut)
    assert world.champion(cut, [world.first - 1, world.first + 1]) == cut


def test_figures_are_kept_though_the_last_line_was_cut_off(world: World) -> None:
    """A kill in the middle of a line costs that line."""
    cut, quarter = world.plan.cut(world.first), world.first + 1
    found = world.figures(cut, quarter)
    path = world.folder / "figures" / f"{world.name(cut)}.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write('["2018Q')
    assert world.figures(cut, quarter) == found
    assert world.figures(cut, quarter + 1).rows == len(world.rows(quarter + 1))
