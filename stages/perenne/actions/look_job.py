"""The look that a review made at a holdout, written into the ledger: the read-only run cannot push it.

A review spends the holdout's alpha like any other look, since people see its result. The review's file names
the models that it compared and the batches; how much alpha that spends is computed here, by the policy of the
base commit. The review's verdict is not used: a release makes its own.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field

from perenne import forge
from perenne.actions import artifact, runner
from perenne.actions.events import RunEnded
from perenne.common import git, notes
from perenne.common.errors import PerenneError
from perenne.common.names import REVIEW_JSON
from perenne.common.sections import contract_of
from perenne.common.typed import Model, parse
from perenne.documents.verdict import Intent, ModelFile
from perenne.gate import ledger, policy
from perenne.gate.ledger import ComparedModels

MOST = 2_000_000  # bytes of review.json

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(pattern=r"^[\w./-]{1,100}$")]


class Challenger(Model):
    """The model that was judged."""

    sha256: Sha256
    size: Annotated[int, Field(gt=0)]


class Looked(Model):
    """The only values that are used from a review: which models were compared, and on which batches."""

    base: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    case: Text
    intent: Intent
    challenger: Challenger
    against: Annotated[tuple[Sha256, ...], Field(max_length=2, strict=False)]
    batches: Annotated[dict[Text, Sha256], Field(min_length=1, max_length=1000)]


def look() -> str:
    """Record the look of a review whose run has ended; return how much alpha it spent, or why none.

    Raises
    ------
    PerenneError
        If the artifact is damaged or too large, or is not what a review writes.

    """
    host, run = forge.required(), runner.event(RunEnded).run
    with artifact.downloaded(host, run.id, artifact.REVIEW, artifact.MOST_REVIEW) as review:
        complete = review is not None and str(REVIEW_JSON) in review.names()
        compared = looked(review.text(str(REVIEW_JSON), MOST)) if review and complete else None
    if compared is None:
        return "the review compared no models: no look to record"
    base = compared.base
    if not git.succeeds("merge-base", "--is-ancestor", base, "HEAD"):
        return f"::warning::{base[:7]} is not a commit of the default branch: the look is not recorded"
    rules = policy.load(base, contract_of(compared.case, base).task)
    comparison = ComparedModels(
        case=compared.case,
        challenger=ModelFile(sha256=compared.challenger.sha256, size=compared.challenger.size),
        intent=compared.intent,
        policy=rules.record(),
        against=compared.against,
    )
    with runner.rights():
        notes.fetch()
        spent = ledger.look(compared.batches, comparison, rules.alpha, sharing=True)
    return f"look {spent.number} spends {spent.alpha:.2g}; of {rules.alpha:g}, {spent.left:.2g} is left"


def looked(text: str) -> Looked | None:
    """Return what a review has compared, from the text of its JSON; None if it compared nothing.

    Raises
    ------
    PerenneError
        If no review writes such a text.

    """
    try:
        review = json.loads(text)
        judged = review["gate"]
        if judged is None or "alpha" not in judged:
            return None
        # Only these: the whole may be of another version of Perenne, or forged.
        fields = {name: judged[name] for name in ("case", "intent", "challenger", "against")}
        fields |= {"base": review["base"], "batches": judged["holdout"]["batches"]}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise PerenneError(f"{REVIEW_JSON}: not what a review writes: {error!r:.100}") from error
    return parse(Looked, fields, str(REVIEW_JSON))
