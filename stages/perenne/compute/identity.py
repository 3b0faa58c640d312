"""What runs in a process: a worker that runs other code would make other results."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import distributions

from perenne.common import kept
from perenne.common.typed import Model


class WorkerIdentity(Model):
    """What results depend on, beside the project's files.

    `code` is a hash of our code and the project's own, and `packages` are versions by name.
    """

    code: str
    python: str
    packages: dict[str, str]

    def differs(self, here: WorkerIdentity) -> str | None:
        """What is not the same in this one as here, as the end of a sentence; None: nothing that counts.

        A package that only one of them has does not count: what runs in both does without it.
        """
        if self.python != here.python:
            return f"has Python {self.python}, here it is {here.python}"
        for name, version in here.packages.items():
            there = self.packages.get(name, version)
            if there != version:
                return f"has {name} {there}, here it is {version}"
        return None if self.code == here.code else "has other code than there is here"


@cache
def of_process() -> WorkerIdentity:
    """The identity of this process when it was first asked: what was loaded stays, whatever is written."""
    return WorkerIdentity(
        code=kept.key(*kept.all_code()),
        python=platform.python_version(),
        packages={each.name.lower(): each.version for each in distributions() if each.name},
    )
