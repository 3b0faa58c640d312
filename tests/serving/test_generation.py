"""What workers say to each other: one leads, the others do as it does, and each knows how all are."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from perenne.serving.channel import Letter
from perenne.serving.generation import Generation
from tests.serving.ends import Worker


@pytest.fixture
def generation(three: list[Worker]) -> Generation:
    """Return three workers that serve."""
    made = Generation("python", {}, 3)
    made.crew = [worker.child for worker in three]
    return made


def got(worker: Worker) -> list[tuple[str, Mapping[str, object]]]:
    """Return what a worker was told."""
    return [(letter.kind, letter.says) for letter in worker.got()]


def test_state_is_heard_once_all_have(generation: Generation, three: list[Worker]) -> None:
    """The first one knows that the others serve what it does, also if one of them has ended meanwhile."""
    first, second, third = three
    generation.do(first.child, Letter("state", {"number": 7}))
    assert got(second) == got(third) == [("state", {"number": 7})]
    generation.do(second.child, Letter("heard", {"number": 6}))  # of an earlier one
    generation.do(second.child, Letter("heard", {"number": 7}))
    assert got(first) == []
    generation.remove(third.child)
    assert got(first) == [("heard", {"number": 7}), ("short", {})]
    generation.do(second.child, Letter("state", {"number": 8}))  # it does not lead
    assert got(first) == []


def test_next_one_leads(generation: Generation, three: list[Worker]) -> None:
    """If the first one ends, the next follows the tag, and reads the registry for who waits for it."""
    first, second, third = three
    generation.do(third.child, Letter("reload", {}))
    assert got(first) == [("reload", {})]
    generation.remove(first.child)
    assert got(second) == [("lead", {}), ("reload", {}), ("short", {})]
    generation.do(second.child, Letter("reloaded", {"version": "v1.1.0"}))
    assert got(third) == [("reloaded", {"version": "v1.1.0"})]


def test_those_that_leave_lead_nothing(generation: Generation, three: list[Worker]) -> None:
    """Once others serve, nobody is replaced, and who waits for the registry need wait no longer."""
    first, second, third = three
    generation.do(third.child, Letter("reload", {}))
    generation.retire()
    generation.remove(first.child)
    assert got(second) == [("leave", {})]
    kinds = [kind for kind, _ in got(third)]
    assert kinds == ["leave", "reloaded"]


def test_worker_that_never_serves_is_not_started_at_once(generation: Generation, three: list[Worker]) -> None:
    """Only when the first one has next looked at the tag: it may fail again."""
    first, _, third = three
    generation.crew.remove(third.child)
    generation.joining.append(third.child)
    generation.remove(third.child)
    assert got(first) == []
    generation.do(first.child, Letter("state", {"number": 1}))
    assert ("short", {}) in got(first)


def test_standing_is_known_to_all(generation: Generation, three: list[Worker]) -> None:
    """Also to one that joins later, and until the worker has ended."""
    first, second, third = three
    generation.crew.remove(third.child)
    generation.joining.append(third.child)
    generation.do(second.child, Letter("standing", {"failing": "the disk is full"}))
    full = ("standing", {"failing": "the disk is full", "pid": 2})
    assert got(first) == [full]
    generation.join(third.child)
    assert got(third) == [full, ("go", {})]
    generation.remove(second.child)
    assert got(third) == [("standing", {"pid": 2})]
