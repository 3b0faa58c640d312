"""The texts of the loop: for the terminal, a pull request, an issue."""

from __future__ import annotations

from tabulate import tabulate

from perenne.documents.decision import Attempt, CandidateVerdict, MonitorDecision
from perenne.documents.verdict import Verdict
from perenne.pages.text import number, plain
from perenne.pages.verdict import markdown

MOST_ROWS = 12  # of a table in an issue
FEW = 4  # the latest windows that are shown


def headline(decision: MonitorDecision) -> str:
    """The decision in one line, then its reasons; if it is too early to retrain, the earliest `as_of`."""
    version, through = decision.champion.version, decision.through
    summary = {
        "nothing": "; ".join(decision.reasons),
        "look": f"the data through {through} differ from what {version} was trained on",
        "retrain": f"{version} is no longer right, by the labels through {through}",
    }[decision.answer]
    lines = [f"{decision.case}: {decision.answer}: {summary}"]
    if decision.answer != "nothing":
        lines += decision.reasons
    lines += _estimated(decision)
    if decision.wait_for:
        lines.append(f"earliest as_of with enough labels to train and evaluate: {decision.wait_for}")
    return "\n  ".join(lines)


def _estimated(decision: MonitorDecision) -> list[str]:
    """What is estimated of the latest batch, while its labels are missing."""
    latest = decision.windows[-1] if decision.windows else None
    if latest is None or latest.concept or latest.estimated is None or not latest.estimated.metrics:
        return []
    shown = (f"{m.metric} {m.estimate:.3g} ({m.low:.3g} to {m.high:.3g})" for m in latest.estimated.metrics)
    return [f"estimated without labels for {latest.period}: {', '.join(shown)}"]


def tried(line: CandidateVerdict) -> str:
    """A candidate and its verdict in one line."""
    return f"{line.name}: {line.answer}: {line.why}"


def waiting(known: Attempt) -> str:
    """How many more labels an undecided retraining needs."""
    more = [line.more_blocks for line in known.tried if line.answer == "undecided"]
    least = min((m for m in more if m is not None), default=None)
    if least is None:
        return "undecided: no number of labels would decide at the observed effect; the next retraining may"
    return f"undecided: about {least:,.0f} more blocks with labels would decide; the next retraining has more"


def pull_request(decision: MonitorDecision, verdict: Verdict, issue: int | None) -> str:
    """The text of a pull request: the verdict, and why there was a retraining."""
    parts = [markdown(verdict), f"### Why\n\n{_seen(decision)}"]
    if issue is not None:
        parts.append(f"Closes #{issue}")
    return "\n\n".join(parts)


def experiments(decision: MonitorDecision, known: Attempt) -> tuple[str, str]:
    """The title and the text of the issue that asks for experiments."""
    version = decision.champion.version
    title = f"{decision.case}: {version} is no longer right, and retraining is not enough"
    lines = "\n".join(f"- {plain(tried(line))}" for line in known.tried)
    parts = [
        f"The model in prod, `{version}`, is marked `degraded`: its predictions are no longer right, and the "
        "gate rejected the same recipe on newer data. It needs other features, another estimator, or another "
        "target.",
        f"### What was seen\n\n{_seen(decision)}",
        f"### What was tried, on the data through {known.as_of}\n\n{lines}",
        f"### Where to begin\n\n{_begin(decision)}",
        "This issue is kept up to date, and is closed when another version is in prod.",
    ]
    return title, "\n\n".join(parts) + "\n"


def _seen(decision: MonitorDecision) -> str:
    since = f"Since {decision.since}, in the data through {decision.through}:" if decision.since else "Seen:"
    reasons = "\n".join(f"- {plain(reason)}" for reason in decision.reasons)
    return "\n\n".join(part for part in (since, reasons, _moved(decision), _slices(decision)) if part)


def _moved(decision: MonitorDecision) -> str:
    """The features that have moved in the last windows."""
    rows = [
        [window.period, plain(test.feature), test.test, number(test.effect)]
        for window in decision.windows[-FEW:]
        for test in window.moved
    ]
    if not rows:
        return "No feature has moved: the relation between features and outcomes has changed."
    return tabulate(rows[:MOST_ROWS], ["period", "moved", "test", "effect"], tablefmt="github")


def _slices(decision: MonitorDecision) -> str:
    """Observed and expected by slice, and by class where there are several: where the model is wrong."""
    shown = decision.slices[:MOST_ROWS]
    several = any(s.of for s in shown)
    rows = [
        [plain(s.slice), *[plain(s.of)] * several, f"{s.rows:,}", number(s.observed), number(s.expected)]
        for s in shown
    ]
    head = ["slice", *["class"] * several, "labels", "observed", "expected"]
    return tabulate(rows, head, tablefmt="github", disable_numparse=True) if rows else ""


def _begin(decision: MonitorDecision) -> str:
    """The first commands of the experiments."""
    sets = f"-S split.as_of={decision.through} -S ingest.through={decision.through}"
    lines = [
        "git switch -c experiment origin/main",
        f"dvc exp run {sets} -S train.params.max_iter=300",
        "dvc exp show --only-changed",
        "perenne gate",
    ]
    return "```sh\n" + "\n".join(lines) + "\n```"
