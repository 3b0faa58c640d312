"""The rows of periods, read when they are asked for, so that memory holds one period, or a few columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

FEW = 2**22  # bytes of files that are read once, and kept: some half a million rows

Read = Callable[[pd.Period, Sequence[str] | None], pd.DataFrame]


class ReferenceRows(Mapping[pd.Period, pd.DataFrame]):
    """The rows of some periods.

    Parameters
    ----------
    periods
        In order.
    read
        Returns the rows of a period: all columns, or those that are named.
    keep
        Read each period once and keep it: for those who have few rows.

    """

    def __init__(self, periods: Sequence[pd.Period], read: Read, *, keep: bool) -> None:
        self._periods, self._read = dict.fromkeys(periods), read
        self._kept: dict[pd.Period, pd.DataFrame] | None = {} if keep else None

    def __len__(self) -> int:
        return len(self._periods)

    def __iter__(self) -> Iterator[pd.Period]:
        return iter(self._periods)

    def __getitem__(self, period: pd.Period) -> pd.DataFrame:
        if period not in self._periods:
            raise KeyError(period)
        if self._kept is None:
            return self._read(period, None)
        if period not in self._kept:
            self._kept[period] = self._read(period, None)
        return self._kept[period]

    def only(self, period: pd.Period, names: Sequence[str]) -> pd.DataFrame:
        """The rows of a period with some columns, in any order."""
        return self._read(period, names) if self._kept is None else self[period]


def only(
    reference: Mapping[pd.Period, pd.DataFrame], period: pd.Period, names: Sequence[str]
) -> pd.DataFrame:
    """The rows of a period with some columns at least."""
    return reference.only(period, names) if isinstance(reference, ReferenceRows) else reference[period]


def few(files: Iterable[Path]) -> bool:
    """Whether files are small enough to be kept in memory together."""
    return sum(path.stat().st_size for path in files) <= FEW
