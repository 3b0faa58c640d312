"""Work in this process, and in several."""

from __future__ import annotations

import gc
import os
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from perenne.common import disk
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
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(PerenneError, match=r"^data\.csv: row 5: no$"):
            done.extend(two.map(work.refused, range(3000), title="", unit=""))
        gc.collect()
    assert said == [], "the error is all that is to be said"
    with pytest.raises(CodeError, match=r"^code fails for 0$") as caught:
        list(two.map(work.of_code, [0], title="", unit=""))
    assert (caught.value.row, caught.value.brief) == (0, "code fails")


def test_large_arrays_are_as_they_are_here() -> None:
    """Code that writes to one, as an estimator may to its own, works in other processes too."""
    work_ = partial(work.written, np.zeros(200_000))  # more than a megabyte
    assert list(Processes(2).map(work_, [1, 2], title="", unit="")) == [1.0, 2.0]


def test_a_killed_process_is_one_line() -> None:
    """As where memory is short."""
    with pytest.raises(PerenneError, match=r"^params\.yaml: compute\.workers: one of the proc"):
        list(Processes(2).map(work.always_killed, [0], title="", unit=""))


def test_work_of_an_earlier_run_does_not_write_into_a_later_one(tmp_path: Path) -> None:
    """A worker of a cluster may still be at it when the next run, of other params, fills the same folder."""
    with pytest.raises(PerenneError), disk.filling(tmp_path / "clean") as earlier:
        raise PerenneError
    with disk.filling(tmp_path / "clean") as later:
        with later.replacing("batch") as temporary:
            temporary.write_text("new", encoding="utf-8")
        with pytest.raises(FileNotFoundError), earlier.replacing("batch") as temporary:
            temporary.write_text("old", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["clean"]
    assert (tmp_path / "clean" / "batch").read_text(encoding="utf-8") == "new"
