"""A verdict for people: a table on the terminal, Markdown in a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabulate import tabulate

from perenne.documents.verdict import RuleFinding, Verdict
from perenne.pages.text import bounds, bullets, folded, joined, number, plain, table

HEAD = ("rule", "against", "answer", "measured", "bounds", "needed", "")
MARKS = {
    "pass": "✅",
    "fail": "❌",
    "undecided": "❔",
    "not judged": "⬜",
    "sealed": "🔒",
    "eligible": "✅",
    "rejected": "❌",
    "unchanged": "⬜",
}
GAIN = "; gains are shares of what the mean loses"
INTENT = {"better": "must be better", "fresher": "need not be better: only its data are newer"}


def headline(verdict: Verdict) -> str:
    """Return the verdict in one line, such as `rain: rejected: slices against v1.0.0 in prod`."""
    said = verdict.why if verdict.answer == "unchanged" else f"{verdict.answer}: {verdict.why}"
    return f"{verdict.case}: {said}"


def text(verdict: Verdict) -> str:
    """Return the headline, a table of the rules, and the notes, for a terminal."""
    rows = [_cells(finding) for finding in verdict.rules]
    rules_table = tabulate(rows, HEAD, tablefmt="plain", disable_numparse=True) if rows else ""
    return joined(headline(verdict), rules_table, "\n".join(notes(verdict)))


def markdown(verdict: Verdict) -> str:
    """Return the same as Markdown, with all slices folded."""
    head = f"{MARKS[verdict.answer]} **{plain(headline(verdict))}**"
    tables = (folded(title, body) for title, body in slices(verdict))
    return joined(head, rules(verdict), *tables, bullets(list(map(plain, notes(verdict))))) + "\n"


def rules(verdict: Verdict) -> str:
    """Return a table of the rules in Markdown; empty if none was applied."""
    return _table(verdict.rules)


def slices(verdict: Verdict) -> list[tuple[str, str]]:
    """Return, for each opponent, a title and a table of all slices in Markdown; so for the classes of a rule.

    Returns
    -------
    Pairs of title and table, both in Markdown; findings without parts are left out.

    """
    return [
        (
            f"All {'slices' if finding.rule == 'slices' else 'classes'} against {plain(finding.against)}",
            _table(finding.parts),
        )
        for finding in verdict.rules
        if finding.parts
    ]


def notes(verdict: Verdict) -> Iterator[str]:
    """Yield what a reader must know beside the rules, if any was applied: intent, holdout, alpha, policy."""
    if verdict.answer == "unchanged":
        return
    if verdict.champion:
        yield f"{verdict.policy.metric} {INTENT[verdict.intent]}" + GAIN * verdict.opened
    holdout = verdict.holdout
    why = f" ({holdout.block})" if holdout.block else ""
    blocks = f"{holdout.rows:,} rows in {holdout.blocks:,} blocks{why}"
    yield f"holdout {holdout.first} to {holdout.last}: {blocks}"
    if holdout.shown:
        commits = ", ".join(sorted({commit[:7] for commit in holdout.shown.values()}))
        yield f"left out, as validation of {commits} has shown their labels: {', '.join(holdout.shown)}"
    if verdict.released:
        yield "a release puts the same recipe to use, fitted on all that is known: the holdout as well"
    if verdict.alpha:
        alpha = verdict.alpha
        yield (
            f"alpha: look {alpha.look} at this holdout spends {alpha.spent:.2g}; "
            f"of {alpha.total:g}, {alpha.left:.2g} is left"
        )
        yield (
            "the holdout is open: no other model can be proven on it"
            if verdict.opened
            else "the labels of the holdout are sealed: they were used for one answer, whether all rules pass"
        )
    if verdict.policy_from:
        yield f"policy of commit {verdict.policy_from[:7]}"


def _table(findings: Sequence[RuleFinding]) -> str:
    rows = [[plain(cell) for cell in _cells(finding)] for finding in findings]
    for row, finding in zip(rows, findings, strict=True):
        row[2] = f"{MARKS[finding.answer]} {row[2]}"
    return table(HEAD, rows)


def _cells(finding: RuleFinding) -> list[str]:
    return [
        finding.rule,
        finding.against,
        finding.answer,
        number(finding.value),
        bounds(finding.low, finding.high),
        finding.needed,
        "; ".join(filter(None, [finding.says, _missing(finding)])),
    ]


def _missing(finding: RuleFinding) -> str:
    """How many more blocks would decide; empty where blocks are not what is missing."""
    if finding.answer == "sealed":
        return _foreseen(finding.more_blocks)
    if finding.answer != "undecided" or finding.more_blocks == 0:
        return ""
    if finding.more_blocks is None:
        return "no number of blocks would decide"
    return f"{finding.more_blocks:,.0f} more blocks would decide"


def _foreseen(more: float | None) -> str:
    """What a rule would say of a model whose scores are right."""
    if more is None:
        return "would not pass, were its scores right"
    return (
        f"would pass with {more:,.0f} more blocks, were its scores right"
        if more
        else "would pass, were its scores right"
    )
