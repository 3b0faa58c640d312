"""The gate's policy: the section `gate` of params.yaml, here or in a commit that is trusted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from perenne.common import sections
from perenne.common.errors import PerenneError, hint
from perenne.common.typed import Model
from perenne.gate.rules import Rules

# Those that stages/perenne/stats/influence.py has a test for.
METRICS = {
    "binary": ("log_loss", "brier", "roc_auc"),
    "regression": ("mae", "rmse", "r2"),
}


class Policy(Model):
    """What a model must prove, and how often chance may prove it."""

    intent: Literal["auto", "better", "fresher"] = "auto"
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    metric: str
    rules: Rules = Rules()


def load(rev: str | None, task: str) -> Policy:
    """The policy of a commit, or of the working tree (None); an error if no rule is configured."""
    name = sections.title(rev)
    if not sections.tree(rev).get("gate"):
        raise PerenneError(f"{name}: gate: missing, so no model can be eligible; data/cases/ has examples")
    policy = sections.section("gate", Policy, rev)
    if not policy.rules.configured:
        raise PerenneError(
            f"{name}: gate.rules: no rule is configured, so no model can be eligible; "
            f"valid: {', '.join(Rules.model_fields)}"
        )
    if policy.metric not in METRICS[task]:
        raise PerenneError(
            f"{name}: gate.metric: no paired test for {policy.metric!r} in a {task} task; "
            f"{hint(policy.metric, METRICS[task])}"
        )
    return policy
