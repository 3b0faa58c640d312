"""The look that a review made at a holdout, written into the ledger: a read-only run cannot push it.

What people see in a review spends of the holdout's alpha as any other look does. The review says which models
it compared on which batches; what that spends is decided here, by the policy of the commit that it was judged
by. Its verdict is not taken over: a release makes its own.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field

from perenne.actions import artifact, comment
from perenne.common import git, notes
from perenne.common.errors import PerenneError
from perenne.common.names import REVIEW_JSON
from perenne.common.sections import contract_of
from perenne.common.typed import Model, parse
from perenne.documents.verdict import Intent, ModelFile
from perenne.forge import runner
from perenne.gate import ledger, policy
from perenne.gate.ledger import Comparison

MOST = 2_000_000  # bytes of review.json

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(pattern=r"^[\w./-]{1,100}$")]


class Challenger(Model):
    """The model that was judged."""

    sha256: Sha256
    size: Annotated[int, Field(gt=0)]


class Looked(Model):
    """All that is taken from a review: which models were compared, and on which batches."""

    base: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    case: Text
    intent: Intent
    challenger: Challenger
    against: Annotated[tuple[Sha256, ...], Field(max_length=2, strict=False)]
    batches: Annotated[dict[Text, Sha256], Field(min_length=1, max_length=1000)]


def look() -> str:
    """Write down the look of a review whose run has ended; return what it has spent, or why nothing was."""
    run = runner.event()["workflow_run"]
    with artifact.of(run["id"], "review", comment.MOST_BYTES) as found:
        whole = found is not None and str(REVIEW_JSON) in found.names()
        seen = looked(found.text(str(REVIEW_JSON), MOST)) if found and whole else None
    if seen is None:
        return "no model was compared with another: nothing to write down"
    if not git.succeeds("merge-base", "--is-ancestor", seen.base, "HEAD"):
        return f"::warning::{seen.base[:7]} is no commit of the default branch: the look is not written down"
    rules = policy.load(seen.base, contract_of(seen.case, seen.base).task)
    comparison = Comparison(
        case=seen.case,
        challenger=ModelFile(sha256=seen.challenger.sha256, size=seen.challenger.size),
        intent=seen.intent,
        policy=rules.record(),
        against=seen.against,
    )
    with runner.rights():
        notes.fetch()
        spent = ledger.look(seen.batches, comparison, rules.alpha, sharing=True)
    return f"look {spent.number} spends {spent.alpha:.2g}; of {rules.alpha:g}, {spent.left:.2g} is left"


def looked(text: str) -> Looked | None:
    """What a review has compared; None if it came to no comparison."""
    try:
        found = json.loads(text)
        judged = found["gate"]
        if judged is None or "alpha" not in judged:
            return None
        # Only these: the whole may be of another version of Perenne, or forged.
        fields = {name: judged[name] for name in ("case", "intent", "challenger", "against")}
        fields |= {"base": found["base"], "batches": judged["holdout"]["batches"]}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise PerenneError(f"{REVIEW_JSON}: not what a review writes: {error!r:.100}") from error
    return parse(Looked, fields, str(REVIEW_JSON))
