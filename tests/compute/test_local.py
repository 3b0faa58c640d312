"""Work in this process, and in several."""

from __future__ import annotations

import os

import pytest

from perenne.common.errors import PerenneError
from perenne.common.project_code import CodeError
from perenne.compute.local import HERE, Processes
from tests.compute import work


def test_this_process_alone_works_here() -> None:
    """Whatever the work is: a function of no module does as well."""
    assert list(HERE.map(lambda item: (item, os.getpid()), [1], title="", unit="")) == [(1, os.getpid())]


def test_several_processes() -> None:
    """Results come in the order of the items; an error is that of the first item that has one."""
    two = Processes(2)
    assert list(two.map(work.doubled, range(20), title="", unit="")) == list(range(0, 40, 2))
    assert os.getpid() not in set(two.map(work.process, range(4), title="", unit=""))
    done: list[int] = []
    with pytest.raises(PerenneError, match=r"^data\.csv: row 5: no$"):
        done.extend(two.map(work.refused, range(9), title="", unit=""))
    with pytest.raises(CodeError, match=r"^code fails for 0$") as caught:
        list(two.map(work.of_code, [0], title="", unit=""))
    assert (caught.value.row, caught.value.brief) == (0, "code fails")
