"""Rows of one entity at one time: repeats, corrections and contradictions. None wins by its values."""

from __future__ import annotations

import pandas as pd

from perenne.common.contract import Contract

OUTDATED, REPEATED, CONTRADICTION = "outdated", "duplicate", "contradiction"
RESOLVED = frozenset({OUTDATED, REPEATED})  # a rule says which row counts, so nothing is wrong with the data


def outdated(rows: pd.DataFrame, contract: Contract) -> pd.Series:
    """Whether a row has the entity and time of one with a later version, shape (rows,).

    Parameters
    ----------
    rows
        In the contract's types. A row without a version is older than all that have one.
    contract
        Names entity, time and version; without a version, no row is outdated.

    """
    old = pd.Series(data=False, index=rows.index)
    if contract.version is None:
        return old
    same = _same(rows, contract)
    if same.empty:
        return old
    version = same[contract.version]
    latest = version.groupby(_group(same, contract)).transform("max")
    old.loc[same.index] = (latest.notna() & ~version.eq(latest).fillna(value=False)).to_numpy(dtype=bool)
    return old


def repeats(rows: pd.DataFrame, contract: Contract) -> pd.Series:
    """Why a row does not count beside others of its entity and time: it repeats or contradicts one.

    Of rows that differ in nothing the first counts. A label that was missing does not contradict one that has
    arrived since: then the first row with a label counts. Rows that differ otherwise contradict each other.

    Parameters
    ----------
    rows
        In the contract's types, outdated ones left out.
    contract
        Names entity and time; a row without one of them is not compared, nor any row without an entity.

    Returns
    -------
    Series
        `REPEATED` or `CONTRADICTION` by the index of `rows`; rows that count are left out.

    """
    same, target = _same(rows, contract), contract.target
    if same.empty:
        return pd.Series(dtype="str", index=same.index)
    same = same.iloc[same[target].isna().to_numpy().argsort(kind="stable")]
    group = _group(same, contract)
    label = same[target].where(same[target].notna(), same[target].groupby(group).transform("first"))
    again = same.assign(**{target: label}).duplicated(list(contract.raw))
    alone = (~again).groupby(group).transform("sum").eq(1)
    why = pd.Series(REPEATED, index=same.index, dtype="str").where(alone, CONTRADICTION)
    return why[again | ~alone].sort_index()


def _same(rows: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The rows whose entity and time another row has too."""
    key = [*contract.entity, contract.time]
    if not contract.entity:
        return rows[:0]
    return rows[rows.duplicated(key, keep=False) & rows[key].notna().all(axis=1)]


def _group(rows: pd.DataFrame, contract: Contract) -> pd.Series:
    """A number for each entity and time."""
    return rows.groupby([*contract.entity, contract.time], sort=False).ngroup()
