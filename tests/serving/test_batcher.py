"""Batches: what waits together is scored and committed together, and whoever fails, fails alone."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from perenne.common.contract import Contract
from perenne.documents.proof import Proof
from perenne.registry.tags import Version
from perenne.serving import batcher, shadow
from perenne.serving.batcher import Answer, Batcher, Busy, as_json
from perenne.serving.log import Entry, LabelResult, Log, LogUnavailable
from perenne.serving.metrics import Metrics
from perenne.serving.scorer import Array
from perenne.serving.served import Served
from perenne.serving.shadow import Shadow
from tests import tiny


class Sizes:
    """A model that says how large a row is, and keeps how many rows it was asked for at once."""

    def __init__(self, *, quick: bool = True) -> None:
        self.quick = quick
        self.asked: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def encode(self, row: Mapping[str, Any]) -> float:
        """Its size."""
        return float(row["size"])

    def score(self, encoded: Sequence[float]) -> Array:
        """The sizes."""
        self.go.wait(10)
        self.asked.append(len(encoded))
        return np.array(encoded)


class Paper(Log):
    """A log that keeps what it is given, or cannot."""

    def __init__(self) -> None:
        self.groups: list[list[Entry]] = []
        self.broken = False

    async def append(self, entries: Sequence[Entry]) -> None:
        """Keep them."""
        await asyncio.sleep(0)
        if self.broken:
            raise LogUnavailable("no disk")
        self.groups.append(list(entries))

    async def label(self, labels: Sequence[Any]) -> LabelResult:
        """Keep none."""
        return LabelResult(len(labels), [])


def served(scorer: Sizes, version: str = "v1.0.0") -> Served:
    """Return a version that scores so."""
    contract: Contract = tiny.contract()
    tag: Any = None
    named = Version("tiny", version, "", tag, "", "", None, signed=False, tag=f"tiny@{version}")
    return Served(named, Proof(), "", contract, scorer, {"colour": frozenset(["red", "blue"])})


class Desk:
    """A batcher with all that it needs."""

    def __init__(self, *, quick: bool = True, shade: Sizes | None = None) -> None:
        self.scorer, self.log = Sizes(quick=quick), Paper()
        self.metrics = Metrics([0.5, 1.0], list)
        self.live = served(self.scorer)
        beside = served(shade, "v2.0.0") if shade else None
        self.shadow = Shadow(lambda: beside, self.log, self.metrics)
        self.batcher = Batcher(lambda: self.live, self.log, self.shadow, self.metrics)

    async def ask(self, *sizes: float) -> Answer:
        """Ask for rows of these sizes."""
        return await self.batcher.predict([{"size": size, "colour": "red"} for size in sizes])


def running(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in a loop of its own."""

    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@running
async def test_what_waits_together_shares_a_call_and_a_commit() -> None:
    """Each gets its own rows back, in order, with ids that no other has."""
    desk = Desk()
    answers = await asyncio.gather(desk.ask(1, 2), desk.ask(3), desk.ask(4, 5, 6))
    assert [answer.scores for answer in answers] == [[1, 2], [3], [4, 5, 6]]
    assert desk.scorer.asked == [6]
    (group,) = desk.log.groups
    assert [entry.id for entry in group] == [name for answer in answers for name in answer.ids]
    assert len({entry.id for entry in group}) == 6
    assert json.loads(group[3].features) == {"size": 4, "colour": "red"}


@running
async def test_who_comes_alone_waits_for_nobody() -> None:
    """A request is scored as soon as the loop comes round."""
    desk = Desk()
    for size in range(3):
        await desk.ask(size)
    assert desk.scorer.asked == [1, 1, 1]


@running
async def test_slow_model_leaves_the_loop_free_and_takes_what_has_come_meanwhile() -> None:
    """It is asked in a thread, one batch after the other."""
    desk = Desk(quick=False)
    desk.scorer.go.clear()
    first = asyncio.create_task(desk.ask(1))
    await asyncio.sleep(0.05)
    later = [asyncio.create_task(desk.ask(size)) for size in (2, 3)]
    await asyncio.sleep(0.05)
    assert not first.done()
    desk.scorer.go.set()
    assert [answer.scores for answer in await asyncio.gather(first, *later)] == [[1], [2], [3]]
    assert desk.scorer.asked == [1, 2]


@running
async def test_swap_falls_between_two_batches() -> None:
    """What was scored by the old model says so, though another one is there when it is committed."""
    desk = Desk()
    first = asyncio.create_task(desk.ask(1))
    while not desk.scorer.asked:
        await asyncio.sleep(0)
    assert not desk.log.groups
    desk.live = served(desk.scorer, "v1.1.0")
    assert (await first).version == "v1.0.0"
    assert (await desk.ask(1)).version == "v1.1.0"


@running
async def test_what_is_not_committed_is_not_answered() -> None:
    """Every request of the batch gets the error, and the next one a new chance."""
    desk = Desk()
    desk.log.broken = True
    found = await asyncio.gather(desk.ask(1), desk.ask(2), return_exceptions=True)
    assert [type(error) for error in found] == [LogUnavailable, LogUnavailable]
    desk.log.broken = False
    assert (await desk.ask(3)).scores == [3]


@running
async def test_too_much_is_turned_away() -> None:
    """What waits is bounded in rows, and room comes back."""
    desk = Desk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batcher, "MOST_WAITING", 3)
        found = await asyncio.gather(desk.ask(1, 2), desk.ask(3, 4), return_exceptions=True)
        assert isinstance(found[1], Busy)
        assert (await desk.ask(1, 2, 3)).scores == [1, 2, 3]


@running
async def test_who_has_gone_is_not_waited_for() -> None:
    """A caller that hangs up takes nobody with it."""
    desk = Desk()
    gone, stays = asyncio.create_task(desk.ask(1)), asyncio.create_task(desk.ask(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).scores == [2]


@running
async def test_shadow_that_is_too_slow_leaves_rows_out() -> None:
    """No answer waits for it; what it left out is counted, what it scored has the ids that were answered."""
    shade = Sizes()
    desk = Desk(shade=shade)
    shade.go.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shadow, "MOST_WAITING", 2)
        answers = [await asyncio.wait_for(desk.ask(size), 5) for size in range(4)]
    shade.go.set()
    while desk.shadow._work:
        await asyncio.sleep(0.01)
    shaded = [entry for group in desk.log.groups for entry in group if entry.stage == "shadow"]
    assert [entry.id for entry in shaded] == [answer.ids[0] for answer in answers[:2]]
    assert {entry.version for entry in shaded} == {"v2.0.0"}
    text = desk.metrics.text().decode()
    assert "perenne_shadow_dropped_rows_total 2.0" in text
    assert "perenne_shadow_rows_total 2.0" in text


def test_answer_has_a_class_only_where_there_are_classes() -> None:
    """From the threshold on it is 1; a regression has a value, and what was never seen is named."""
    answer = Answer("v1.0.0", ["a", "b"], [0.5, 0.4], [[], ["colour"]])
    told = json.loads(as_json(answer, 0.5))["predictions"]
    assert told == [
        {"id": "a", "score": 0.5, "class": 1},
        {"id": "b", "score": 0.4, "class": 0, "unseen": ["colour"]},
    ]
    assert "class" not in json.loads(as_json(answer, None))["predictions"][0]
