"""Batches: requests that wait together are scored and committed together, and fail one by one."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common.contract import Contract
from perenne.common.forest import Array
from perenne.common.project_code import CodeError
from perenne.documents.proof import Proof
from perenne.registry.tags import Version
from perenne.serving import batcher, shadow, slices
from perenne.serving.batcher import Batcher, Busy
from perenne.serving.completion import RequestFeatures
from perenne.serving.log import Entry, LabelResult, Log, LogUnavailable
from perenne.serving.predictions import PredictResult, RowScores, as_json, scored
from perenne.serving.prometheus import ServiceMetrics
from perenne.serving.served import Served
from perenne.serving.shadow import Shadow
from tests import classes, tiny


class Sizes:
    """A model that returns the size of a row, and records how many rows each call had."""

    def __init__(self, *, quick: bool = True) -> None:
        self.quick = quick
        self.calls: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def encode(self, row: Mapping[str, Any]) -> float:
        """Return its size."""
        return float(row["size"])

    def score(self, encoded: Sequence[float]) -> Array:
        """Return the sizes."""
        self.go.wait(10)
        self.calls.append(len(encoded))
        return np.array(encoded)

    def score_frame(self, rows: pd.DataFrame) -> Array:
        """Return the sizes."""
        return rows["size"].to_numpy(dtype=np.float64)


class Paper(Log):
    """A log in memory, which may be broken."""

    def __init__(self) -> None:
        self.groups: list[list[Entry]] = []
        self.broken = False

    def give(self, entries: Sequence[Entry]) -> asyncio.Future[LabelResult]:
        """Record a group, a little later."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[LabelResult] = loop.create_future()
        loop.call_soon(self._record, entries, done)
        return done

    def _record(self, entries: Sequence[Entry], done: asyncio.Future[LabelResult]) -> None:
        if self.broken:
            done.set_exception(LogUnavailable("no disk"))
        else:
            self.groups.append(list(entries))
            done.set_result(LabelResult(0, [], []))

    async def label(self, labels: Sequence[Any]) -> LabelResult:
        """Record nothing."""
        return LabelResult(len(labels), [], [])


def served(scorer: Sizes, version: str = "v1.0.0") -> Served:
    """Return a version with this scorer."""
    contract: Contract = tiny.contract()
    tag: Any = None
    named = Version("tiny", version, "", tag, "", "", None, signed=False, tag=f"tiny@{version}")
    return Served(
        named,
        Proof(),
        "",
        contract,
        scorer,
        {"colour": frozenset(["red", "blue"])},
        RequestFeatures(contract),
    )


class Desk:
    """A batcher with its scorer, log, shadow and metrics."""

    def __init__(self, *, quick: bool = True, shade: Sizes | None = None) -> None:
        self.scorer, self.log = Sizes(quick=quick), Paper()
        self.metrics = ServiceMetrics([0.5, 1.0], list)
        self.live = served(self.scorer)
        beside = served(shade, "v2.0.0") if shade else None
        self.shadow = Shadow(lambda: beside, self.log, self.metrics)
        self.batcher = Batcher(lambda: self.live, self.log, self.shadow, self.metrics)

    async def predict(self, *sizes: float) -> PredictResult:
        """Request predictions for rows of these sizes."""
        return await self.batcher.predict([{"size": size, "colour": "red"} for size in sizes])


def running(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in its own event loop."""

    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@running
async def test_waiting_requests_share_a_call_and_a_commit() -> None:
    """Each request gets its own rows back, in order, with unique ids."""
    desk = Desk()
    answers = await asyncio.gather(desk.predict(1, 2), desk.predict(3), desk.predict(4, 5, 6))
    assert [answer.scores for answer in answers] == [[1, 2], [3], [4, 5, 6]]
    assert desk.scorer.calls == [6]
    (group,) = desk.log.groups
    assert [entry.id for entry in group] == [name for answer in answers for name in answer.ids]
    assert len({entry.id for entry in group}) == 6
    assert json.loads(group[3].features) == {"size": 4, "colour": "red"}


@running
async def test_single_caller_waits_for_no_other() -> None:
    """A request is scored in the next iteration of the event loop."""
    desk = Desk()
    for size in range(3):
        await desk.predict(size)
    assert desk.scorer.calls == [1, 1, 1]


@running
async def test_slow_model_runs_in_a_thread() -> None:
    """One batch after the other; requests that arrive meanwhile are in the next batch."""
    desk = Desk(quick=False)
    desk.scorer.go.clear()
    first = asyncio.create_task(desk.predict(1))
    await asyncio.sleep(0.05)
    later = [asyncio.create_task(desk.predict(size)) for size in (2, 3)]
    await asyncio.sleep(0.05)
    assert not first.done()
    desk.scorer.go.set()
    assert [answer.scores for answer in await asyncio.gather(first, *later)] == [[1], [2], [3]]
    assert desk.scorer.calls == [1, 2]


@running
async def test_swap_happens_between_two_batches() -> None:
    """A result names the version that scored it, even if another is served when it is committed."""
    desk = Desk()
    first = asyncio.create_task(desk.predict(1))
    while not desk.scorer.calls:
        await asyncio.sleep(0)
    assert not desk.log.groups
    desk.live = served(desk.scorer, "v1.1.0")
    assert (await first).version == "v1.0.0"
    assert (await desk.predict(1)).version == "v1.1.0"


@running
async def test_uncommitted_prediction_is_not_returned() -> None:
    """Every request of the batch raises the error; the next batch is tried again."""
    desk = Desk()
    desk.log.broken = True
    errors = await asyncio.gather(desk.predict(1), desk.predict(2), return_exceptions=True)
    assert [type(error) for error in errors] == [LogUnavailable, LogUnavailable]
    desk.log.broken = False
    assert (await desk.predict(3)).scores == [3]


class Picky(Sizes):
    """Fails for a row of size -1, and ends its process for one of size -2."""

    def score(self, encoded: Sequence[float]) -> Array:
        """Return the sizes, if it likes them."""
        if -1 in encoded:
            raise ValueError("no such size")
        if -2 in encoded:
            raise SystemExit(3)
        return super().score(encoded)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(("size", "raised"), [(-1.0, ValueError), (-2.0, CodeError)])
def test_request_does_not_fail_for_what_another_one_sent(
    size: float,
    raised: type[Exception],
    quick: bool,  # noqa: FBT001 -- pytest gives it
) -> None:
    """Those that waited beside it are scored without it, each by itself, and once."""

    async def together() -> None:
        desk = Desk()
        desk.live = served(Picky(quick=quick))
        asking = (desk.predict(1), desk.predict(2, size), desk.predict(3))
        first, bad, last = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(bad, raised)
        assert isinstance(first, PredictResult)
        assert isinstance(last, PredictResult)
        assert (first.scores, last.scores) == ([1], [3])
        assert [len(group) for group in desk.log.groups] == [1, 1]
        assert (await desk.predict(4)).scores == [4]

    asyncio.run(together())


def test_failing_shadow_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Its rows are counted, the answers go on, and the log has a line for the first of such failures."""

    async def shaded() -> str:
        desk = Desk(shade=Picky())
        for size in (1, -1, -1, 2):
            assert (await desk.predict(size)).scores == [size]
        await desk.shadow.finish(5)
        return desk.metrics.text().decode()

    text = asyncio.run(shaded())
    assert "perenne_shadow_failed_rows_total 2.0" in text
    assert "perenne_shadow_rows_total 2.0" in text
    (record,) = caplog.records
    assert record.getMessage().startswith("shadow tiny@v2.0.0: ValueError at test_batcher.py:")


MANY = [float(size) for size in range(1_000)]
AT_ONCE = 40


@pytest.mark.parametrize("quick", [True, False])
def test_small_requests_go_between_the_slices_of_a_large_one(quick: bool) -> None:  # noqa: FBT001 -- pytest gives it
    """Each waits for a slice at most; the large one has its rows in order, and all of them in one write."""

    async def together() -> None:
        desk = Desk(quick=quick)
        large = asyncio.create_task(desk.predict(*MANY))
        small = []
        while not large.done():
            small.append(await desk.predict(-1))
        assert (await large).scores == MANY
        assert max(desk.scorer.calls) <= AT_ONCE
        ones = [place for place, rows in enumerate(desk.scorer.calls) if rows == 1]
        assert len(ones) > 3
        # The event loop needs some iterations for an answer, and has a slice in each.
        assert all(after - before <= 5 for before, after in pairwise([-1, *ones]))
        assert [answer.scores for answer in small] == [[-1]] * len(small)
        assert sorted(map(len, desk.log.groups)) == [1] * len(small) + [len(MANY)]
        (group,) = (group for group in desk.log.groups if len(group) > 1)
        assert [entry.id for entry in group] == (await large).ids
        assert [entry.score for entry in group] == MANY

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batcher, "MAX_IN_THREAD", AT_ONCE)
        patch.setattr(slices, "VALUES", AT_ONCE * len(tiny.contract().columns))
        asyncio.run(together())


@running
async def test_large_requests_take_turns() -> None:
    """One after the other: beside two of them, nobody waits longer than beside one."""
    desk = Desk()
    first, second = (asyncio.create_task(desk.predict(*MANY)) for _ in range(2))
    await asyncio.sleep(0)
    await first
    assert sum(desk.scorer.calls) < 2 * len(MANY)
    assert (await second).scores == MANY


@pytest.mark.parametrize("quick", [True, False])
def test_swap_in_the_middle_of_a_large_request(quick: bool) -> None:  # noqa: FBT001 -- pytest gives it
    """Its version answers for all of its rows; the next request has the other one."""

    async def swapped() -> None:
        desk = Desk(quick=quick)
        large = asyncio.create_task(desk.predict(*MANY))
        while not desk.scorer.calls:
            await asyncio.sleep(0)
        assert sum(desk.scorer.calls) < len(MANY)
        other = Sizes(quick=quick)
        desk.live = served(other, "v1.1.0")
        result = await large
        assert result.version == "v1.0.0"
        assert not other.calls
        (group,) = desk.log.groups
        assert {entry.version for entry in group} == {"v1.0.0"}
        assert len({entry.at for entry in group}) == 1
        assert (await desk.predict(*MANY)).version == "v1.1.0"

    asyncio.run(swapped())


@pytest.mark.parametrize("quick", [True, False])
def test_large_request_fails_as_a_whole(quick: bool) -> None:  # noqa: FBT001 -- pytest gives it
    """Nothing of it is in the log, and its rows no longer count."""

    async def failed() -> None:
        desk = Desk()
        desk.live = served(Picky(quick=quick))
        with pytest.raises(ValueError, match="no such size"):
            await desk.predict(*MANY, -1)
        with pytest.raises(CodeError):
            await desk.predict(*MANY, -2)
        assert desk.log.groups == []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batcher, "MAX_WAITING", len(MANY))
            assert (await desk.predict(*MANY)).scores == MANY
            with pytest.raises(Busy):
                await desk.predict(*MANY, 1)

    asyncio.run(failed())


@running
async def test_failing_row_of_a_large_request_is_counted_from_its_begin() -> None:
    """Not from that of the slice."""
    desk = Desk()
    desk.live = served(Located())
    with pytest.raises(CodeError) as raised:
        await desk.predict(*MANY)
    assert raised.value.row == 700


class Located(Sizes):
    """Fails for a row of size 700, and knows which of those it was given that is."""

    def score(self, encoded: Sequence[float]) -> Array:
        """Return the sizes, if it likes them."""
        if 700 in encoded:
            error = CodeError("no such size", "no such size")
            error.row = encoded.index(700)
            raise error
        return super().score(encoded)


@running
async def test_too_many_waiting_rows_are_rejected() -> None:
    """The limit counts rows, and answered rows no longer count."""
    desk = Desk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batcher, "MAX_WAITING", 3)
        results = await asyncio.gather(desk.predict(1, 2), desk.predict(3, 4), return_exceptions=True)
        assert isinstance(results[1], Busy)
        assert (await desk.predict(1, 2, 3)).scores == [1, 2, 3]


@running
async def test_cancelled_request_does_not_affect_others() -> None:
    """If a caller disconnects, the other requests of its batch are answered."""
    desk = Desk()
    gone, stays = asyncio.create_task(desk.predict(1)), asyncio.create_task(desk.predict(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).scores == [2]


@running
async def test_answer_that_cannot_be_sent_is_its_own_matter() -> None:
    """Those of the same batch are answered, and its rows no longer count."""

    def broken(_: object) -> None:
        raise RuntimeError("the connection is closed")

    desk = Desk()
    desk.batcher.give([{"size": 1, "colour": "red"}], broken)
    assert (await desk.predict(2)).scores == [2]
    assert desk.scorer.calls == [2]
    assert desk.batcher._rows == 0


@running
async def test_slow_shadow_drops_rows() -> None:
    """Answers do not wait for it. Dropped rows are counted; scored rows have the ids of the answers."""
    shade = Sizes()
    desk = Desk(shade=shade)
    shade.go.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shadow, "MAX_WAITING", 2)
        answers = [await asyncio.wait_for(desk.predict(size), 5) for size in range(4)]
    shade.go.set()
    while desk.shadow._work:
        await asyncio.sleep(0.01)
    shaded = [entry for group in desk.log.groups for entry in group if entry.stage == "shadow"]
    assert [entry.id for entry in shaded] == [answer.ids[0] for answer in answers[:2]]
    assert {entry.version for entry in shaded} == {"v2.0.0"}
    text = desk.metrics.text().decode()
    assert "perenne_shadow_dropped_rows_total 2.0" in text
    assert "perenne_shadow_rows_total 2.0" in text


class Crops(Sizes):
    """A model of three classes, whose probabilities say the size of a row."""

    def score(self, encoded: Sequence[float]) -> Array:
        """Return (size, 0.5, 0.5 - size) of each row."""
        size = super().score(encoded)
        return np.column_stack([size, np.full(len(size), 0.5), 0.5 - size])


class Turned(Crops):
    """Another one, for the shadow."""

    def score(self, encoded: Sequence[float]) -> Array:
        """Return (0.5 - size, 0.5, size) of each row."""
        return super().score(encoded)[:, ::-1]


@pytest.mark.parametrize("quick", [True, False])
def test_classes_of_each_request(quick: bool) -> None:  # noqa: FBT001 -- pytest gives it
    """Each has the distributions of its rows, in the answer, the log and the metrics; so has the shadow."""

    async def work() -> Desk:
        desk = Desk(quick=quick)
        beside = served(Turned(), "v2.0.0")._replace(contract=classes.contract())
        desk.metrics = ServiceMetrics([0.5, 1.0], list, classes.CROPS)
        desk.shadow = Shadow(lambda: beside, desk.log, desk.metrics)
        desk.live = served(Crops(quick=quick))._replace(contract=classes.contract())
        desk.batcher = Batcher(lambda: desk.live, desk.log, desk.shadow, desk.metrics)
        one, two = await asyncio.gather(desk.predict(0.125, 0.5), desk.predict(0.75))
        assert [(d.chosen, d.scores["wheat"]) for d in one.distributions] == [
            ("maize", 0.125),
            ("wheat", 0.5),
        ]
        assert (one.scores, two.scores) == ([0.5, 0.5], [0.75])
        assert json.loads(as_json(two, None))["predictions"] == [
            {
                "id": two.ids[0],
                "class": "wheat",
                "score": 0.75,
                "scores": {"wheat": 0.75, "maize": 0.5, "rye": -0.25},
            }
        ]
        while desk.shadow._work:
            await asyncio.sleep(0.01)
        return desk

    desk = asyncio.run(work())
    logged = [entry for group in desk.log.groups for entry in group]
    for stage, crop in (("prod", "wheat"), ("shadow", "rye")):
        entries = [entry for entry in logged if entry.stage == stage]
        assert [entry.score for entry in entries] == [0.5, 0.5, 0.75]
        assert [json.loads(entry.scores or "")[crop] for entry in entries] == [0.125, 0.5, 0.75]
    text = desk.metrics.text().decode()
    assert 'perenne_predicted_total{class="wheat"} 2.0' in text
    assert 'perenne_predicted_total{class="maize"} 1.0' in text
    assert 'perenne_predicted_total{class="rye"} 0.0' in text
    assert 'perenne_score_bucket{le="0.5"} 2.0' in text


def test_integer_classes_stay_integers() -> None:
    """In the answer; as keys of JSON they are texts. One number of a row means that there are no classes."""
    contract = classes.contract(
        "category, role: target, values: [wheat, maize, rye]", "integer, role: target, values: [3, 1, 2]"
    )
    found = scored(np.array([[0.2, 0.4, 0.4]]), contract)
    (prediction,) = json.loads(
        as_json(PredictResult("v1", ["a"], found.scores, [["soil"]], found.distributions), None)
    )["predictions"]
    assert prediction == {
        "id": "a",
        "class": 1,
        "score": 0.4,
        "scores": {"3": 0.2, "1": 0.4, "2": 0.4},
        "unseen": ["soil"],
    }
    assert scored(np.array([0.5]), tiny.contract()) == RowScores([0.5], ())


def test_class_needs_a_threshold() -> None:
    """The class is 1 from the threshold on; unseen columns are listed."""
    result = PredictResult("v1.0.0", ["a", "b"], [0.5, 0.4], [[], ["colour"]])
    predictions = json.loads(as_json(result, 0.5))["predictions"]
    assert predictions == [
        {"id": "a", "score": 0.5, "class": 1},
        {"id": "b", "score": 0.4, "class": 0, "unseen": ["colour"]},
    ]
    assert "class" not in json.loads(as_json(result, None))["predictions"][0]
