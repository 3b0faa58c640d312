"""All walks of a replay, in parallel, each kept on disk once it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from perenne.common import disk, kept
from perenne.compute import engine, settings
from perenne.documents.replay import Costs, EstimateErrors, EstimatesRecord, GridRecord, Kept, WalkRecord
from perenne.replay import estimates, grid, plan, policies
from perenne.replay.oracle import oracle
from perenne.replay.policies import ORACLE
from perenne.replay.walk import Walk, recorded, restored, walk
from perenne.replay.world import World

T = TypeVar("T")
K = TypeVar("K", bound=Kept)


def walks(case: str, seeds: Sequence[int], names: Sequence[str], jobs: int) -> list[Walk]:
    """Walk every history under every policy, or take what an earlier run has kept.

    Parameters
    ----------
    case
        A folder under `data/cases/`.
    seeds
        One per history.
    names
        The policies, as `policies.names` lists them.
    jobs
        How many processes.

    Returns
    -------
    Ordered by seed, then as in `names`.

    Raises
    ------
    PerenneError
        If a policy is unknown.

    """
    for name in names:
        if name != ORACLE:
            policies.make(name)  # an unknown name must fail now, not an hour later
    others = [name for name in names if name != ORACLE]
    done = _all(_walked, [(case, seed, name) for seed in seeds for name in others], jobs, "replay")
    if ORACLE in names:
        done += _all(_foreseen, [(case, seed, ",".join(others)) for seed in seeds], jobs, ORACLE)
    order = list(names)
    return sorted(done, key=lambda walk: (walk.seed, order.index(walk.policy)))


def _all(work: Callable[..., T], tasks: list[tuple[Any, ...]], jobs: int, title: str) -> list[T]:
    """Do all tasks, in their order, and show how far they are."""
    asked = settings.load()
    # On one machine the command says how many processes there are: a replay runs beside other work.
    where = asked if asked.engine != settings.LOCAL else asked.model_copy(update={"workers": jobs})
    unit = "history" if title in ("grid", "estimates") else "walk"
    with engine.opened(where) as workers:
        return list(workers.map(partial(_called, work), tasks, title=title, unit=unit))


def _called(work: Callable[..., T], task: tuple[Any, ...]) -> T:
    return work(*task)


@lru_cache(maxsize=1)
def _world(case: str, seed: int) -> World:
    """The history of a seed: a process walks it under one policy after another."""
    return World(plan.load(case, seed))


def _walked(case: str, seed: int, name: str) -> Walk:
    world = _world(case, seed)
    record = _kept(world, name, WalkRecord, lambda: recorded(walk(world, policies.make(name)(world))))
    return restored(record, world.first.freqstr)


def _foreseen(case: str, seed: int, others: str) -> Walk:
    world = _world(case, seed)
    known = [_walked(case, seed, name) for name in others.split(",") if name]
    name = f"{ORACLE} after {others}"
    record = _kept(world, name, WalkRecord, lambda: recorded(oracle(world, known)))
    return restored(record, world.first.freqstr)


def grids(case: str, seeds: Sequence[int], jobs: int) -> dict[int, list[Costs]]:
    """What each of the settings of the grid costs, by seed.

    Returns
    -------
    For each seed the costs, in the order of `grid.settings`.

    """
    tried = _all(_tried, [(case, seed) for seed in seeds], jobs, "grid")
    return dict(zip(seeds, tried, strict=True))


def _tried(case: str, seed: int) -> list[Costs]:
    world = _world(case, seed)
    record = _kept(world, "grid", GridRecord, lambda: GridRecord(costs=tuple(grid.walked(world))))
    return list(record.costs)


def estimated(case: str, seeds: Sequence[int], jobs: int) -> tuple[EstimateErrors, ...]:
    """How right estimates without labels were, over all histories."""
    return estimates.pooled(_all(_estimated, [(case, seed) for seed in seeds], jobs, "estimates"))


def _estimated(case: str, seed: int) -> tuple[EstimateErrors, ...]:
    world = _world(case, seed)
    record = _kept(
        world, "estimates", EstimatesRecord, lambda: EstimatesRecord(errors=estimates.errors(world))
    )
    return record.errors


def _kept(world: World, name: str, kind: type[K], make: Callable[[], K]) -> K:
    """The record of a history by its name, made if it is missing.

    It depends on the history, the params and all of our code.
    """
    p = world.plan
    made_of = [p.params.model_dump(), p.settings.model_dump(), p.debounce.model_dump(), repr(p.contract)]
    path: Path = world.folder / "walks" / f"{kept.key('walk', name, made_of, kept.code('**/*.py'))}.json"
    with kept.alone(path):
        if not path.exists():
            with threadpool_limits(1):
                done = make()
            with disk.replacing(path) as temporary:
                temporary.write_text(done.model_dump_json(), encoding="utf-8")
    return kind.model_validate_json(path.read_bytes())
