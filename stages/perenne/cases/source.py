"""A source: where batches come from. Every other module in this folder is one, under its own name.

`ingest.source` in params.yaml names the module. Its class says which keys the section `ingest` has, and
yields the batches. Folders in this one are none. No list has to be kept: `tests/cases/test_source.py` reads
this folder too.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import ConfigDict, PrivateAttr

from perenne import cases
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError, hint
from perenne.common.names import HIDDEN, INCOMING, PARAMS
from perenne.common.params import Ingest
from perenne.common.typed import parse

Batch = tuple[pd.Period, pd.DataFrame]
FILE, ROW = f"{HIDDEN}file", f"{HIDDEN}row"  # columns of a table: where a row is from
NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}  # a missing id makes no float of it


class TableBatch(NamedTuple):
    """A batch as a table, sorted by time and entity; its column `FILE` has places in `paths`."""

    period: pd.Period
    table: pa.Table
    paths: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """The rows as `Source.batches` yields them, with pairs of file and row as their index."""
        rows: pd.DataFrame = self.table.drop_columns([FILE, ROW]).to_pandas(types_mapper=NULLABLE.get)
        numbers, places = np.unique(self.table[ROW].to_numpy(), return_inverse=True)
        levels: Any = [pd.Index(self.paths), pd.Index(numbers)]  # the stubs want lists, which are slow
        codes: Any = [self.table[FILE].to_numpy(), places]
        return rows.set_axis(pd.MultiIndex(levels, codes=codes), axis=0)


class Source(Ingest):
    """The section `ingest` of one source, checked: its fields are the keys."""

    model_config = ConfigDict(extra="forbid")

    # Rows are delivered, in files of data/incoming/CASE/: they may go beyond `through`, and DVC keeps them.
    delivered: ClassVar[bool] = False
    # Simulated: it has the keys `start` and `seed`, and each seed is another history.
    simulated: ClassVar[bool] = False

    _case: str = PrivateAttr(default="")

    def of_case(self, case: str) -> Self:
        """The same source, of a case."""
        copy = self.model_copy()
        copy._case = case
        return copy

    @property
    def incoming(self) -> Path:
        """Where files of the case arrive: another case's are none of its business."""
        return INCOMING / self._case

    def batches(self, contract: Contract) -> Iterator[Batch]:
        """Yield the batches up to `through`, oldest first, with all of the contract's columns.

        Yields
        ------
        Batch
            The period and its rows. Errors name a row by its index, which may be pairs of file and row.

        Raises
        ------
        PerenneError
            If there is nothing to bring in, or something that cannot be read.

        """
        raise NotImplementedError(f"{type(self).__name__} yields no batches of {contract.row}")


class TableSource(Source):
    """A source whose batches arrive as tables."""

    def tables(self, contract: Contract) -> Iterator[TableBatch]:
        """Yield the batches of `batches` as they arrive."""
        raise NotImplementedError(f"{type(self).__name__} yields no tables of {contract.row}")

    def batches(self, contract: Contract) -> Iterator[Batch]:
        """Yield the batches as frames; see `Source.batches`."""
        yield from ((batch.period, batch.frame()) for batch in self.tables(contract))


def names() -> list[str]:
    """What `ingest.source` may be."""
    return sorted(
        module.name for module in iter_modules(cases.__path__) if not module.ispkg and module.name != "source"
    )


def model(name: str) -> type[Source]:
    """The class of a source, from its module.

    Parameters
    ----------
    name
        One of :func:`names`.

    Raises
    ------
    ModuleNotFoundError
        If no source has this name.

    """
    module = import_module(f"{cases.__name__}.{name}")
    (source,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Source) and value.__module__ == module.__name__
    )
    return source


def source_of(ingest: Ingest, case: str, name: str = str(PARAMS)) -> Source:
    """The source that the section `ingest` describes, checked.

    Parameters
    ----------
    ingest
        The section.
    case
        Whose source it is.
    name
        What errors call the file.

    Raises
    ------
    PerenneError
        Names the key, the value and what would be accepted.

    """
    if isinstance(ingest, Source):
        return ingest.of_case(case)
    if not ingest.source:
        for key in get_close_matches("source", ingest.model_extra or {}, n=1):
            raise PerenneError(f"{name}: ingest.{key}: unknown key; did you mean 'source'?")
        raise PerenneError(f"{name}: ingest.source: missing; valid: {', '.join(names())}")
    if ingest.source not in names():
        raise PerenneError(
            f"{name}: ingest.source: {ingest.source!r} is not known; {hint(ingest.source, names())}"
        )
    return parse(model(ingest.source), ingest.model_dump(), name, prefix="ingest").of_case(case)
