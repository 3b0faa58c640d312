"""Which batches of a holdout have been shown already: as validation, by another commit of this repository.

Whoever makes the holdout shorter (`split.holdout: 1`) turns yesterday's holdout into validation, whose
figures are printed; so does a branch whose `as_of` is later. The best of twenty equal models by such figures
is no model that was fixed beforehand. So the gate judges by those batches alone that were in the window of no
commit, whichever branch, tag or experiment of DVC holds it. As `as_of` moves on, a holdout is later than
all windows before it, and nothing is left out.

This sees what Git has here: commits, also those of `dvc exp run` and of other working trees. It does not see
params that were run and never committed, commits that were thrown away or are in another clone, or a window
under another name of the case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from perenne.common import git, periods, strict_yaml
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.names import CASES, PARAMS
from perenne.common.params import Split
from perenne.common.typed import parse


def shown(held: Iterable[pd.Period], case: str) -> Mapping[str, str]:
    """Return the batches of a holdout that were in a window.

    Parameters
    ----------
    held
        The periods of the holdout.
    case
        The current case.

    Returns
    -------
    Mapping
        Period -> the commit, as Git names it. Commits whose params or contract this version cannot read show
        nothing.

    """
    known = list(held)
    found = dict[str, str]()
    for commit, (params, contract) in _pairs(case).items():
        cut = _cut(params, contract, case)
        if cut:
            found = {str(period): commit for period in known if _in(cut, period)} | found
    return dict(sorted(found.items()))


def _pairs(case: str) -> Mapping[str, tuple[str, str]]:
    """The blobs of params and contract, each pair once, by a commit that has it; newer commits first."""
    commits = git.git("rev-list", "--all").split()
    paths = f"./{PARAMS}", f"./{CASES / case / 'contract.yaml'}"
    asked = "".join(f"{commit}:{path}\n" for commit in commits for path in paths)
    blobs = [line.split() for line in git.git("cat-file", "--batch-check", stdin=asked).splitlines()]
    pairs = dict[tuple[str, str], str]()
    for commit, params, contract in zip(commits, blobs[::2], blobs[1::2], strict=True):
        if params[1] == contract[1] == "blob":  # else the commit lacks one
            pairs.setdefault((params[0], contract[0]), commit)
    return {commit: pair for pair, commit in pairs.items()}


def _cut(params: str, contract: str, case: str) -> Cut | None:
    """Where history is cut by two blobs; None if they are of another case, or cannot be read."""
    try:
        content = strict_yaml.loads(git.blob(params).decode("utf-8"), str(PARAMS))
        if not isinstance(content, dict) or content.get("case") != case:
            return None
        read = parse(Contract, strict_yaml.loads(git.blob(contract).decode("utf-8"), case), case)
        return Cut.of(parse(Split, content.get("split"), str(PARAMS), prefix="split"), read)
    except (PerenneError, UnicodeDecodeError):
        return None


def _in(cut: Cut, period: pd.Period) -> bool:
    """Whether a period was in the window of a cut, whose periods may be shorter or longer."""
    return any(cut.part(theirs) == "train" for theirs in _within(period, cut.as_of.freqstr))


def _within(period: pd.Period, frequency: str) -> Iterator[pd.Period]:
    """The periods of a frequency that a period meets."""
    theirs = pd.Period(period.start_time, freq=frequency)
    while theirs.start_time <= period.end_time:
        yield theirs
        theirs += 1


def unseen(rows: pd.DataFrame, contract: Contract, case: str) -> tuple[pd.DataFrame, Mapping[str, str]]:
    """Return the rows of a holdout whose batches were not shown, and the batches that were.

    Parameters
    ----------
    rows
        The holdout.
    contract
        Names the time, and the length of a period.
    case
        The current case.

    Returns
    -------
    tuple
        The rows, counted anew, and what `shown` returns. There may be no row left.

    """
    of = pd.PeriodIndex(periods.of(rows[contract.time], contract.period, contract.zone))
    known = shown(of.unique(), case)
    if not known:
        return rows, known
    return rows[~of.isin([period for period in of.unique() if str(period) in known])].reset_index(
        drop=True
    ), known
