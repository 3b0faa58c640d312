"""What the gate has computed, as the verdict holds it: the only place where one becomes the other."""

from __future__ import annotations

from collections.abc import Mapping

from perenne.common.contract import Contract
from perenne.documents.verdict import MetricInterval, OpponentMetric, OpponentRecord, RuleFinding
from perenne.gate.evidence import Contender, Evidence, Gain
from perenne.gate.finding import Finding
from perenne.stats.influence import INFLUENCE

CONFIDENCE = 0.95  # of the intervals of the metrics; the rules' own bounds are at the alpha of the look


def finding(one: Finding) -> RuleFinding:
    """Return a finding as the document holds it."""
    return RuleFinding.model_validate(one._asdict() | {"parts": tuple(finding(part) for part in one.parts)})


def measured(evidence: Evidence, contract: Contract) -> dict[str, MetricInterval]:
    """Return the metrics of the challenger, measured here and now.

    Returns
    -------
    dict
        Metric -> its value and 95 % interval. Metrics without an influence function are left out.

    """
    return {name: MetricInterval(**_interval(evidence.measured(name))) for name in _names(contract)}


def opponent(evidence: Evidence, other: Contender, contract: Contract) -> OpponentRecord:
    """Return the metrics of an opponent on the same rows, and how much better the challenger's are.

    Parameters
    ----------
    evidence
        The challenger's scores, and the rows.
    other
        The opponent.
    contract
        Its task names the metrics. Those without an influence function are left out.

    Returns
    -------
    OpponentRecord
        With 95 % intervals; a gain is above 0 if the challenger's metric is nearer its best value.

    """
    values = {
        name: OpponentMetric(
            **_interval(evidence.measured(name, other)),
            gain=MetricInterval(**_interval(evidence.compared(name, other))),
        )
        for name in _names(contract)
    }
    return OpponentRecord(name=other.name, size=other.size, metrics=values)


def _names(contract: Contract) -> list[str]:
    """The metrics of the task that have an interval, in the order of the report."""
    return [name for name in contract.task.metrics if name in INFLUENCE]


def _interval(gain: Gain) -> Mapping[str, float]:
    low, high = gain.bounds((1 - CONFIDENCE) / 2)
    return {"value": gain.value, "low": low, "high": high}
