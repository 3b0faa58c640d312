"""The parts of a review's page, each from what `review.json` holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tabulate import tabulate

from perenne.common.task import TASKS
from perenne.gate import show
from perenne.gate.show import number, plain
from perenne.review import charts
from perenne.review.review import Review
from perenne.review.sides import OUTSIDE

MOST_ROWS = 40  # of a table; the rest is in review.json
LOSSES = {task.metrics[0] for task in TASKS.values()}  # what the plot of the slices may be of
MOST_TEXT = 200  # characters of a text that comes from the change

WARNINGS: list[tuple[str, str, Callable[[Review], bool]]] = [
    (
        "WARNING",
        "Nothing was run again (`review.trust: lock`): every figure here is what `dvc.lock` says it is, and "
        "whoever wrote that could have made it up.",
        lambda found: bool(found["trust"] == "lock" and found["answer"] != "unchanged"),
    ),
    (
        "NOTE",
        "`dvc.lock` was not of this commit; it was reproduced for this review. Run `dvc repro`, commit it.",
        lambda found: bool(found["lock"] == "stale"),
    ),
]

Part = tuple[str, str, bool]
"""Title, Markdown, and whether it is folded; a part without Markdown is left out."""


def headline(found: Review) -> str:
    """What the answer means, without the case's name."""
    match found["answer"]:
        case "unchanged":
            return _unchanged(found)
        case "not reproducible":
            return "this commit does not make the results that it says it has"
        case "could not judge":
            return f"could not be judged: {found['error']}"
        case "eligible":
            return f"can be merged: {_better(found['gate'])}"
        case "rejected":
            return f"should not be merged: {found['gate']['why']}"
        case _:
            return f"not decided: {_missing(found['gate'])}"


def warnings(found: Review) -> list[str]:
    """What changes how far the page can be believed, said loudly."""
    told = [f"> [!{kind}]\n> {text}" for kind, text, applies in WARNINGS if applies(found)]
    if found["findings"]:
        lines = "\n".join(f"> - {plain(_cut(line))}" for line in found["findings"][:MOST_ROWS])
        told.append(f"> [!CAUTION]\n{lines}")
    return told


def sections(found: Review) -> Iterator[Part]:
    """The parts, what matters most first."""
    judged = found["gate"]
    if judged:
        yield "Metrics", metrics(judged), False
        yield "The gate, rule by rule", rules(judged), False
        yield "Slices that got worse", worse(judged), False
    yield "Data", data(found), False
    yield "Params and contract", params(found), False
    yield "Drift", drift(found), False
    if judged:
        yield "All slices", slices(found), True
        yield "Charts", plots(found), True
    yield "Time and memory of each stage", costs(found), True


def metrics(judged: dict[str, Any]) -> str:
    """Each metric with its interval, and beside it every opponent on the same rows."""
    opponents = judged.get("opponents", [])
    head = ["metric", "this change"]
    for opponent in opponents:
        head += [plain(opponent["name"]), "better by"]
    rows = []
    for name, mine in (judged.get("metrics") or {}).items():
        row = [_bold(name, judged), _interval(mine)]
        for opponent in opponents:
            theirs = opponent["metrics"].get(name)
            row += [number(theirs["value"]), _gain(theirs["gain"])] if theirs else ["-", "-"]
        rows.append(row)
    note = "Intervals of 95 %; ▲ better and ▼ worse where the interval leaves 0 out." if opponents else ""
    return _joined(_table(head, rows), note)


def rules(judged: dict[str, Any]) -> str:
    """As `perenne gate` shows them, without the slices."""
    return _joined(show.rules(judged), "\n".join(f"- {plain(note)}" for note in show.notes(judged)))


def worse(judged: dict[str, Any]) -> str:
    """The slices in which the main metric fell, the worst first."""
    found = [
        (part, rule["against"])
        for rule in judged["rules"]
        for part in rule["parts"]
        if part["value"] is not None and part["value"] < 0
    ]
    found.sort(key=lambda one: one[0]["value"])
    rows = [
        [plain(part["against"]), plain(against), number(part["value"]), _bounds(part), _sure(part)]
        for part, against in found
    ]
    measured = any(rule["parts"] for rule in judged["rules"])
    head = ["slice", "against", f"{plain(judged['policy']['metric'])} gained", "bounds", ""]
    return _table(head, rows) or "None." * measured


def slices(found: Review) -> str:
    """Every slice against every opponent, and the loss of each beside the first opponent's as a chart."""
    judged = found["gate"]
    tables = (f"**{title}**\n\n{table}" for title, table in show.slices(judged))
    return _joined(_losses(found), *tables)


def _losses(found: Review) -> str:
    """The loss by slice; the opponent's is what was gained on it, where the gate's metric is that loss."""
    judged = found["gate"]
    first = next((rule for rule in judged["rules"] if rule["parts"]), None)
    if not first or judged["policy"]["metric"] not in LOSSES:
        return ""
    gained = {p["against"]: p["value"] for p in first["parts"] if p["value"] is not None}
    rows = [(name, float(loss)) for name, _, loss in found["plots"]["slices"] if name in gained]
    title = f"{judged['policy']['metric']}: this change {charts.FIRST}, {first['against']} {charts.SECOND}"
    mine, theirs = [loss for _, loss in rows], [loss + gained[name] for name, loss in rows]
    names = [name for name, _ in rows]
    return charts.chart(title, names, "less is better", [("bar", mine), ("line", theirs)], lying=True)


def plots(found: Review) -> str:
    """What happened beside what was predicted: by period, and by how likely it was said to be."""
    drawn = []
    by = f"observed {charts.FIRST}, predicted {charts.SECOND}"
    timeline = found["plots"]["timeline"]
    if len(timeline) > 1:
        periods, *columns = zip(*timeline, strict=True)
        series = [_numbers(column) for column in columns]
        drawn.append(
            charts.chart(f"By period: {by}", periods, "headline figure", [("line", s) for s in series])
        )
    reliability = found["plots"]["reliability"]
    if reliability:
        said, seen = (_numbers(column) for column in list(zip(*reliability, strict=True))[:2])
        names = [f"{value:.3g}" for value in said]
        drawn.append(charts.chart(f"Reliability: {by}", names, "share", [("bar", seen), ("line", said)]))
    return _joined(*drawn)


def data(found: Review) -> str:
    """The batches that are not those of before."""
    changed = found["data"]
    if changed is None:
        return "Which batches changed cannot be told: the listing of data/raw cannot be had."
    rows = [
        [plain(batch["period"]), batch["how"], _count(batch["rows"]), _count(batch["quarantined"])]
        for batch in changed
    ]
    return _table(["batch", "", "rows", "quarantined"], rows)


def params(found: Review) -> str:
    """What params.yaml says otherwise, and what callers would notice."""
    rows = [
        [f"{plain(_cut(c['key']))}", plain(_cut(c["before"])), plain(_cut(c["after"]))]
        for c in found["params"]
    ]
    later = any(c["key"].split(".")[0] in OUTSIDE for c in found["params"])
    note = "How models are judged and served counts from the merge on: this review follows the base." * later
    contract = "\n".join(f"- {plain(_cut(line))}" for line in found["contract"])
    return _joined(_table(["param", "before", "after"], rows), note, contract)


def drift(found: Review) -> str:
    """The advice of the stage `drift`, if it is another one or says to do something."""
    advice, before = found["drift"], found["drift_before"]
    if not advice or (advice == before and advice["level"] == "none"):
        return ""
    reasons = "\n".join(f"- {plain(_cut(reason))}" for reason in advice["reasons"][:MOST_ROWS])
    was = f" (before: {before['level']})" if before and before["level"] != advice["level"] else ""
    return f"**{plain(advice['level'])}**{was}\n\n{reasons}"


def costs(found: Review) -> str:
    """Seconds and memory of each stage, beside those of the base where they were noted."""
    now, before = found["costs"], found["costs_before"]
    rows = [[plain(stage), *(_beside(i, now[stage], before.get(stage)) for i in (0, 1))] for stage in now]
    return _table(["stage", "seconds (before)", "MB (before)"], rows)


def _unchanged(found: Review) -> str:
    news = found["data"] or []
    advice = found["drift"]
    told = f"; {len(news)} batch(es) of data are new" if news else ""
    told += f"; drift says {advice['level']}" if advice and advice["level"] != "none" else ""
    return f"the model is unchanged{told}"


def _better(judged: dict[str, Any]) -> str:
    metric = judged["policy"]["metric"]
    if not judged["opponents"]:
        return "all rules pass; there is no model to compare with yet"
    how = "better than" if judged["intent"] == "better" else "no worse, on newer data, than"
    against = " and ".join(opponent["name"] for opponent in judged["opponents"])
    values = ", ".join(number(o["metrics"][metric]["value"]) for o in judged["opponents"])
    return f"it is {how} {against}: {metric} {number(judged['metrics'][metric]['value'])} instead of {values}"


def _missing(judged: dict[str, Any]) -> str:
    """What would decide, or why nothing would."""
    waiting = [rule for rule in judged["rules"] if rule["answer"] == "undecided"]
    more = [math.inf if rule["more_blocks"] is None else rule["more_blocks"] for rule in waiting]
    most = max(more, default=0)
    if not most:
        return str(judged["why"])
    if math.isinf(most):
        return f"{judged['why']}; no number of labels would decide at what was seen"
    return f"{judged['why']}; about {most:,.0f} more blocks with labels would decide"


def _table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    table = tabulate(rows[:MOST_ROWS], head, tablefmt="github", disable_numparse=True)
    left = len(rows) - MOST_ROWS
    return _joined(table, f"{left} more are in review.json." if left > 0 else "")


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _numbers(texts: Iterable[str]) -> list[float]:
    return [float(text) if text else math.nan for text in texts]


def _bold(name: str, judged: dict[str, Any]) -> str:
    shown = plain(name)
    return f"**{shown}**" if name == judged["policy"]["metric"] else shown


def _interval(found: dict[str, Any]) -> str:
    return f"{number(found['value'])} {_bounds(found)}"


def _gain(found: dict[str, Any]) -> str:
    return f"{_interval(found)} {_sure(found)}".strip()


def _bounds(found: dict[str, Any]) -> str:
    return "" if found["low"] is None else f"[{number(found['low'])}, {number(found['high'])}]"


def _sure(found: dict[str, Any]) -> str:
    if found["low"] is None or found["high"] is None:
        return ""
    return "▲" if found["low"] > 0 else "▼" if found["high"] < 0 else ""


def _beside(place: int, now: list[float], before: list[float] | None) -> str:
    was = f" ({before[place]:.3g})" if before else ""
    return f"{now[place]:.3g}{was}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"
