"""All walks of a replay, in parallel, each kept on disk once it is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from stages.common import batches
from stages.loop.replay import plan, policies, store
from stages.loop.replay.oracle import oracle
from stages.loop.replay.policies import ORACLE
from stages.loop.replay.walk import Walk, from_json, to_json, walk
from stages.loop.replay.world import World

Task = tuple[str, int, str]  # case, seed, policy


def walks(case: str, seeds: Sequence[int], names: Sequence[str], jobs: int) -> list[Walk]:
    """Walk every history under every policy, or take what an earlier run has left."""
    for name in names:
        if name != ORACLE:
            policies.make(name)  # a name that is none must not be found out an hour later
    others = [name for name in names if name != ORACLE]
    found = _all(_walked, [(case, seed, name) for seed in seeds for name in others], jobs)
    if ORACLE in names:
        found += _all(_foreseen, [(case, seed, ",".join(others)) for seed in seeds], jobs)
    order = list(names)
    return sorted(found, key=lambda done: (done.seed, order.index(done.policy)))


def _all(work: Callable[..., Walk], tasks: list[Task], jobs: int) -> list[Walk]:
    with (
        parallel_config(backend="loky", inner_max_num_threads=1),
        Parallel(jobs, return_as="generator") as pool,
    ):
        done: Iterator[Walk] = pool(delayed(work)(*task) for task in tasks)
        return list(tqdm(done, total=len(tasks), desc="replay", unit="walk", disable=None))


@lru_cache(maxsize=1)
def _world(case: str, seed: int) -> World:
    """The history of a seed: a process walks it under one policy after another."""
    return World(plan.load(case, seed))


def _walked(case: str, seed: int, name: str) -> Walk:
    world = _world(case, seed)
    return _kept(world, name, lambda: walk(world, policies.make(name)(world)))


def _foreseen(case: str, seed: int, others: str) -> Walk:
    world = _world(case, seed)
    known = [_walked(case, seed, name) for name in others.split(",") if name]
    return _kept(world, f"{ORACLE} after {others}", lambda: oracle(world, known))


def _kept(world: World, name: str, make: Callable[[], Walk]) -> Walk:
    """The walk of a name: what it rests on is the history, the params, and all of our code."""
    p = world.plan
    made_of = [p.params.model_dump(), p.settings.model_dump(), p.debounce.model_dump(), repr(p.what)]
    path: Path = world.folder / "walks" / f"{store.key('walk', name, made_of, store.code('**/*.py'))}.json"
    with store.alone(path):
        if not path.exists():
            with threadpool_limits(1):
                done = to_json(make())
            with batches.replacing(path) as temporary:
                temporary.write_text(json.dumps(done), encoding="utf-8")
    return from_json(json.loads(path.read_text(encoding="utf-8")), world.first.freqstr)
