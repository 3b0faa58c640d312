"""How a command ends, as a number for scripts: one list for all commands."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """The exit statuses. A failure never shares one with an answer.

    `FAILED` is Python's own after a traceback, `USAGE` that of the command line's parser. An answer that asks
    for something to be done is 10 or more.
    """

    DONE = 0
    FAILED = 1
    USAGE = 2
    LOOK = 10
    RETRAIN = 11
    REJECTED = 20
    UNDECIDED = 21
    NOT_REPRODUCIBLE = 22


# By what `gate`, `review`, `monitor` and `retrain` answer. Who could not judge has failed to answer.
BY_ANSWER = {
    "eligible": Status.DONE,
    "unchanged": Status.DONE,
    "nothing": Status.DONE,
    "look": Status.LOOK,
    "retrain": Status.RETRAIN,
    "rejected": Status.REJECTED,
    "undecided": Status.UNDECIDED,
    "not reproducible": Status.NOT_REPRODUCIBLE,
    "could not judge": Status.FAILED,
}
