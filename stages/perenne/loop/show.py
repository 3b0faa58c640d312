"""What the loop has to say, as people read it: on the terminal, in a pull request, in an issue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from perenne.documents.verdict import Verdict
from perenne.pages.text import number, plain
from perenne.pages.verdict import markdown

if TYPE_CHECKING:  # they bring scikit-learn with them: two seconds
    from perenne.loop.history import Attempt
    from perenne.loop.monitor import Monitored

MOST_ROWS = 12  # of a table in an issue
FEW = 4  # windows that are shown


def headline(found: Monitored) -> str:
    """The decision in a line, its reasons in further ones, and what has to be waited for."""
    version, through = found["champion"]["version"], found["through"]
    says = {
        "nothing": "; ".join(found["reasons"]),
        "look": f"something differs from what {version} has learned, by {through}",
        "retrain": f"{version} is no longer right, by the labels up to {through}",
    }[found["answer"]]
    lines = [f"{found['case']}: {found['answer']}: {says}"]
    if found["answer"] != "nothing":
        lines += found["reasons"]
    if found["wait_for"]:
        lines.append(f"too early: {found['wait_for']} is the first as_of to learn and to be judged by")
    return "\n  ".join(lines)


def tried(line: dict[str, Any]) -> str:
    """A candidate and its verdict in a line."""
    return f"{line['name']}: {line['answer']}: {line['why']}"


def waiting(known: Attempt) -> str:
    """For how many labels an undecided retraining waits."""
    more = [line["more_blocks"] for line in known.tried if line["answer"] == "undecided"]
    least = min((m for m in more if m is not None), default=None)
    if least is None:
        return "undecided: no number of labels would decide at what was seen; the next retraining may"
    return f"undecided: some {least:,.0f} more blocks with labels would decide; the next retraining has more"


def pull_request(found: Monitored, verdict: Verdict, issue: int | None) -> str:
    """The text of a pull request: the verdict, and why there was a retraining."""
    parts = [markdown(verdict), f"### Why\n\n{_seen(found)}"]
    if issue is not None:
        parts.append(f"Closes #{issue}")
    return "\n\n".join(parts)


def experiments(found: Monitored, known: Attempt) -> tuple[str, str]:
    """The title and the text of the issue that asks for experiments."""
    version = found["champion"]["version"]
    title = f"{found['case']}: {version} is no longer right, and retraining is not enough"
    lines = "\n".join(f"- {plain(tried(line))}" for line in known.tried)
    parts = [
        f"The model in prod, `{version}`, is marked `degraded`: what it says is wrong, and the gate rejected "
        "the same recipe on newer data. It takes other features, another estimator, or another question.",
        f"### What was seen\n\n{_seen(found)}",
        f"### What was tried, on what was known by {known.as_of}\n\n{lines}",
        f"### Where to begin\n\n{_begin(found)}",
        "This issue is kept up to date, and is closed when another version is in prod.",
    ]
    return title, "\n\n".join(parts) + "\n"


def _seen(found: Monitored) -> str:
    since = f"Since {found['since']}, seen by {found['through']}:" if found["since"] else "Seen:"
    reasons = "\n".join(f"- {plain(reason)}" for reason in found["reasons"])
    return "\n\n".join(part for part in (since, reasons, _moved(found), _slices(found)) if part)


def _moved(found: Monitored) -> str:
    """The features that have moved in the last windows."""
    rows = [
        [window["period"], plain(test["feature"]), test["test"], number(test["effect"])]
        for window in found["windows"][-FEW:]
        for test in window["moved"]
    ]
    if not rows:
        return "No feature has moved: what has changed is what follows from them."
    return tabulate(rows[:MOST_ROWS], ["period", "moved", "by the test of", "effect"], tablefmt="github")


def _slices(found: Monitored) -> str:
    """Observed and expected by slice: who it is wrong about."""
    rows = [
        [plain(s["slice"]), f"{s['rows']:,}", number(s["observed"]), number(s["expected"])]
        for s in found["slices"][:MOST_ROWS]
    ]
    head = ["slice", "labels", "observed", "expected"]
    return tabulate(rows, head, tablefmt="github", disable_numparse=True) if rows else ""


def _begin(found: Monitored) -> str:
    """The commands that begin the experiments."""
    sets = f"-S split.as_of={found['through']} -S ingest.through={found['through']}"
    lines = [
        "git switch -c experiment origin/main",
        f"dvc exp run {sets} -S train.params.max_iter=300",
        "dvc exp show --only-changed",
        "perenne gate",
    ]
    return "```sh\n" + "\n".join(lines) + "\n```"
