"""The gate's policy: the sections `gate` and `tolerance` of params.yaml, here or in a trusted commit."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from perenne.common import sections
from perenne.common.errors import PerenneError, hint
from perenne.common.params import Tolerance
from perenne.common.task import Task
from perenne.common.typed import Model
from perenne.documents.verdict import PolicyRecord
from perenne.gate.rules import Rules
from perenne.stats.influence import INFLUENCE
from perenne.stats.metrics import METRICS


def paired(task: Task) -> list[str]:
    """The metrics of a task that a gate can decide by: those with a paired test and a better direction."""
    return [name for name in task.metrics if name in INFLUENCE and METRICS[name].goal.better != "towards"]


class GateSection(Model):
    """The section `gate`: what a model must prove, and the probability that one that is not better passes."""

    intent: Literal["auto", "better", "fresher"] = "auto"
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    metric: str
    rules: Rules = Rules()


class Policy(GateSection):
    """The section `gate`, and how wrong is still right: the section `tolerance` of the same file."""

    tolerance: Tolerance = Tolerance()

    @classmethod
    def of(cls, section: GateSection, tolerance: Tolerance) -> Self:
        """Return the policy of the two sections of one file."""
        return cls(**dict(section), tolerance=tolerance)

    def record(self) -> PolicyRecord:
        """Return the policy as documents hold it: without the rules that are not configured."""
        return PolicyRecord.model_validate(self.model_dump(mode="json", exclude_none=True))


def load(rev: str | None, task: Task) -> Policy:
    """Return the policy of a commit, or of the working tree (None).

    Parameters
    ----------
    rev
        The commit.
    task
        That of the contract: the metric must have a test for it.

    Raises
    ------
    PerenneError
        If the section is missing or wrong, no rule is configured, or the metric has no paired test.

    """
    name = sections.title(rev)
    if not sections.tree(rev).get("gate"):
        raise PerenneError(
            f"{name}: gate: missing, so no model can be eligible; see the examples in data/cases/"
        )
    policy = Policy.of(
        sections.section("gate", GateSection, rev), sections.section("tolerance", Tolerance, rev)
    )
    if not policy.rules.configured:
        raise PerenneError(
            f"{name}: gate.rules: no rule is configured, so no model can be eligible; "
            f"valid: {', '.join(Rules.model_fields)}"
        )
    if policy.metric not in paired(task):
        raise PerenneError(
            f"{name}: gate.metric: no paired test for {policy.metric!r} in a {task} task; "
            f"{hint(policy.metric, paired(task))}"
        )
    return policy
