"""The look that a review made at a holdout, written into the ledger: the read-only run cannot push it.

A review spends the holdout's alpha like any other look, since people see its result. The review's file names
the models that it compared and the batches, and nothing else is taken from it. The policy and its alpha are
the default branch's, and GitHub says whether a fork's code wrote the file: then it spends the allowance of
forks. The review's verdict is not used: a release makes its own.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import pandas as pd
from pydantic import Field

from perenne import forge
from perenne.actions import artifact, runner
from perenne.actions.events import RunEnded
from perenne.common import notes, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import REVIEW_JSON
from perenne.common.sections import contract_of
from perenne.common.typed import Model, parse
from perenne.documents.verdict import Intent, LabelSketch, ModelFile
from perenne.gate import ledger, policy
from perenne.gate.ledger import ComparedModels
from perenne.registry import tags

HEAD = "HEAD"  # of the default branch: comment.yml checks out nothing else
MOST = 2_000_000  # bytes of review.json

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Period = Annotated[str, Field(pattern=r"^[\w /:-]{1,30}$")]
Text = Annotated[str, Field(pattern=r"^[\w./-]{1,100}$")]


class JudgedFile(Model):
    """A model file: the one that was judged, or the one that a release would put to use."""

    sha256: Sha256
    size: Annotated[int, Field(gt=0)]


class Looked(Model):
    """The only values that are used from a review: which models were compared, and on which batches."""

    case: Text
    intent: Intent
    challenger: JudgedFile
    against: Annotated[tuple[Sha256, ...], Field(max_length=3, strict=False)]
    view: Sha256 | None
    grouping: Annotated[str, Field(max_length=1000)] | None
    released: JudgedFile | None
    batches: Annotated[dict[Period, Sha256], Field(min_length=1, max_length=1000)]
    sketch: LabelSketch | None


def look(now: datetime | None = None) -> str:
    """Record the look of a review whose run has ended; return how much alpha it spent, or why none.

    Parameters
    ----------
    now
        The time, without a zone, in UTC; None: the clock's. A batch that begins later does not exist.

    Raises
    ------
    PerenneError
        If the artifact is damaged or too large, or is not what a review writes; if the ledger is incomplete.

    """
    host, ended = forge.required(), runner.event(RunEnded)
    with artifact.downloaded(host, ended.run.id, artifact.REVIEW, artifact.MOST_REVIEW) as review:
        complete = review is not None and str(REVIEW_JSON) in review.names()
        compared = looked(review.text(str(REVIEW_JSON), MOST)) if review and complete else None
    if compared is None:
        return "the review compared no models: no look to record"
    try:
        contract = contract_of(compared.case, HEAD)
    except PerenneError:
        return f"::warning::{compared.case}: not a case of the default branch: the look is not recorded"
    exist(compared, contract, now or datetime.now(UTC).replace(tzinfo=None))
    rules = policy.load(HEAD, contract.task)
    comparison = ComparedModels(
        case=compared.case,
        challenger=ModelFile(sha256=compared.challenger.sha256, size=compared.challenger.size),
        intent=compared.intent,
        policy=rules.record(),
        against=compared.against,
        view=compared.view,
        grouping=compared.grouping,
        released=compared.released.sha256 if compared.released else None,
    )
    with runner.rights():
        tags.fetch()
        notes.fetch()
        ledger.complete(tags.read(compared.case))
        spent = ledger.look(
            compared.batches,
            comparison,
            rules.alpha,
            sharing=True,
            labels=compared.sketch,
            asker=ended.asker,
        )
    return f"look {spent.number} spends {spent.alpha:.2g}; of {spent.total:g}, {spent.left:.2g} is left"


def exist(compared: Looked, contract: Contract, now: datetime) -> None:
    """Raise a `PerenneError` if a batch of a look cannot exist: it is not a period, or not over yet.

    Parameters
    ----------
    compared
        From `looked`.
    contract
        Names the length of a period.
    now
        The time, without a zone.

    """
    for batch in compared.batches:
        where = f"{REVIEW_JSON}: gate.holdout.batches"
        if periods.exact(batch, contract.period, where).end_time >= pd.Timestamp(now):
            raise PerenneError(f"{where}: {batch} is not over yet, so it has no labels to look at")


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
        fields |= {"batches": judged["holdout"]["batches"], "released": judged.get("released")}
        fields |= {name: judged["holdout"].get(name) for name in ("view", "grouping", "sketch")}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise PerenneError(f"{REVIEW_JSON}: not what a review writes: {error!r:.100}") from error
    return parse(Looked, fields, str(REVIEW_JSON))
