"""The two models of a version: the one that was proven, and the one that a release puts to use.

The first has not seen the holdout, so the gate judges it. The second is the same recipe fitted on all that
was known by `as_of` (`perenne.pipeline.refit`). What is shown of the recipe holds for it too, unless
something went wrong as it was fitted. So it must be like the first on the holdout: it has learned from these
rows, and a model that is then worse there is not what was proven. A sealed verdict does not tell this from a
rule that does not pass: another answer would tell more of the labels than a look pays for.
"""

from __future__ import annotations

import pandas as pd

from perenne.common import locked, periods
from perenne.common.contract import Contract
from perenne.common.sections import contract_of, released_cut_of
from perenne.gate import contenders
from perenne.gate.contenders import Loaded
from perenne.gate.evidence import Contender, Evidence
from perenne.registry.tags import TaggedModel, Version
from perenne.stats.metrics import METRICS

ALPHA = 0.05  # of each one-sided bound: of few rows, chance must not stop a release that was proven


def here(contract: Contract) -> Loaded:
    """Return the model of the working tree that a release would put to use; raises as `contenders.here`."""
    return contenders.here(contract, locked.load().released, "the refitted model")


def of_champion(version: Version, case: str, rows: pd.DataFrame) -> TaggedModel:
    """Return the champion's model that stands for it on a holdout: the one in use, if that has not seen it.

    Else it is the one that was proven: it is older, as the challenger is older than what a release puts to
    use, so the two recipes meet on equal terms.

    Parameters
    ----------
    version
        The champion.
    case
        Whose contract it was trained with.
    rows
        The holdout.

    Raises
    ------
    PerenneError
        If the tag holds no proof, or the params or the contract of its commit cannot be read.

    """
    if version.released == version.proven:
        return version.proven
    contract = contract_of(case, version.commit)
    if contract.time not in rows:
        return version.proven
    cut = released_cut_of(contract, version.commit)
    held = periods.of(rows[contract.time], contract.period, contract.zone).unique()
    return version.proven if any(cut.part(period) == "train" for period in held) else version.released


def unlike(evidence: Evidence, refitted: Contender) -> str:
    """Return how the refitted model is unlike the challenger, which was proven; empty if it is like it.

    Parameters
    ----------
    evidence
        The challenger's scores and the labels of the holdout.
    refitted
        With scores of the same rows.

    Returns
    -------
    str
        Without figures and without classes, which would tell of the labels. Wrong is a loss that is clearly
        higher, by more than the tolerance, and a model that is clearly not right in the large, in all or in
        one of several classes, and farther off than the challenger.

    """
    where = "the refitted model is not like the proven one on rows that it has learned from"
    if not evidence.gain(refitted).bounds(ALPHA)[0] <= evidence.tolerated:
        return f"{where}: its {evidence.metric} is worse by more than the tolerance"
    known = [place for place in range(len(evidence.classes)) if not evidence.few(place)]
    if any(_farther(evidence, refitted, place) for place in (known if evidence.classes else [None])):
        return f"{where}: its {evidence.task.calibration_title} is farther off than the tolerance"
    return ""


def _farther(evidence: Evidence, refitted: Contender, place: int | None) -> bool:
    """Whether the refitted model is clearly not right in the large, and farther off than the challenger."""
    best = METRICS[evidence.task.calibration].goal.best
    allowed = evidence.tolerance.calibration * evidence.calibration_unit
    proven, other = (evidence.calibrated(who, place) for who in (evidence.challenger, refitted))
    low, high = other.bounds(ALPHA / max(len(evidence.classes), 1))
    outside = not (low <= best + allowed and best - allowed <= high)
    return outside and not abs(other.value - best) <= abs(proven.value - best)
