"""Several processes that learn together: one call each, at the same time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from perenne.common.binned import codes
from perenne.common.binned.codes import Measured, RowPart
from perenne.common.binned.grown import GrowthPlan, Trees, grown
from perenne.common.errors import PerenneError

Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS = 3  # to train together, if a process is lost
SECONDS = 300  # for a member to come, and for an answer of the others


class GangError(PerenneError):
    """A process of a gang was lost, so that the others cannot go on."""


class Gang(Protocol):
    """What runs calls at the same time, each in a process of its own, here or on other machines."""

    @property
    def host(self) -> str:
        """The address of this machine at which those processes reach it."""

    def run_together(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Call a function for each item, all at the same time, each call in a process of its own.

        Returns
        -------
        list
            What it gave for each item, in their order.

        Raises
        ------
        GangError
            If a process is lost, or a call raises it since another's process is; then none goes on. The next
            time all processes are whole.
        Exception
            What a call raised that is not a `GangError`, if one did.

        """


class Measure(NamedTuple):
    """A part to be measured."""

    part: RowPart
    of_classes: bool


class Member(NamedTuple):
    """A part to be learned from, as one of several; `tracker` is how XGBoost's members find each other."""

    part: RowPart
    rows: int
    classes: npt.NDArray[np.generic]
    plan: GrowthPlan
    number: int
    tracker: dict[str, str | int] | None


class Grown(NamedTuple):
    """What a member has grown, of which only the first sends the whole."""

    sha256: str
    trees: Trees | None


def measure(item: Measure) -> Measured:
    """Measure a part, in any process."""
    return codes.measured(item.part, of_classes=item.of_classes)


def learn(member: Member) -> Grown:
    """Learn from a part, together with the others if there are some."""
    if member.tracker is None:
        return _learned(member)
    from xgboost import collective
    from xgboost.core import XGBoostError

    about: dict[str, str | int] = {
        "dmlc_task_id": f"{member.number:06d}",
        "dmlc_timeout": SECONDS,
        "dmlc_retry": 3,
    }
    try:
        with collective.CommunicatorContext(**{**member.tracker, **about}):
            return _learned(member)
    except XGBoostError as error:  # most often, that another member is gone
        raise GangError(" ".join(str(error).split("Stack trace:")[0].split())) from error


def _learned(member: Member) -> Grown:
    plan = member.plan
    trees = grown(codes.table(member.part, plan.bins, member.rows, member.classes), plan)
    return Grown(hashlib.sha256(trees.model).hexdigest(), trees if member.number == 0 else None)


def together(members: Sequence[Member], gang: Gang) -> Trees:
    """Let members learn together; if a process is lost, all begin again.

    Raises
    ------
    GangError
        If processes were lost each time, or the members have not grown the same trees.

    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            found = _once(members, gang)
            break
        except GangError as error:
            if attempt == ATTEMPTS:
                raise GangError(
                    f"train: a process was lost in each of {ATTEMPTS} attempts, last: {error}; give each "
                    "more memory, or the rows to more of them"
                ) from error
    trees = found[0].trees
    if trees is None or len({one.sha256 for one in found}) > 1:
        raise GangError(f"train: {len(found)} processes have grown different trees; they need one lock file")
    return trees


def _once(members: Sequence[Member], gang: Gang) -> list[Grown]:
    if len(members) == 1:
        return gang.run_together(learn, members)
    from xgboost.core import XGBoostError
    from xgboost.tracker import RabitTracker

    tracker = RabitTracker(host_ip=gang.host, n_workers=len(members), sortby="task", timeout=SECONDS)
    tracker.start()
    try:
        args = tracker.worker_args()
        return gang.run_together(learn, [member._replace(tracker=args) for member in members])
    finally:
        with suppress(XGBoostError):  # which it raises if it was still waiting for a member
            tracker.free()
