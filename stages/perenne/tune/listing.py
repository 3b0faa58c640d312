"""A search as text: what was tried, the best first, and what follows from it."""

from __future__ import annotations

from tabulate import tabulate

from perenne.common.errors import printable
from perenne.pages.text import bounds, number
from perenne.review.pairing import ALPHA
from perenne.tune.chosen import Chosen
from perenne.tune.journal import Trial
from perenne.tune.search import Searched
from perenne.tune.space import canonical


def table(searched: Searched) -> str:
    """Return a table of all trials: the params as they stand, then the best first, those that failed last."""
    failed = [trial for trial in searched.trials if trial.failed]
    rows = [_row(trial, searched) for trial in (searched.standing, *searched.fitted, *failed)]
    head = ["trial", *_titles(searched.space), searched.metric, "better by", ""]
    return tabulate(rows, head, tablefmt="plain", disable_numparse=True)


def conclusion(searched: Searched, chosen: Chosen) -> str:
    """Return one sentence: whether the best trial is clearly better, and by how much."""
    trial, tried = chosen.trial, len(searched.fitted)
    gain = trial.gain
    before, after = number(searched.standing.value), number(trial.value)
    if gain is None or chosen.bounds is None:
        why = "there are too few blocks to tell by how much"
    else:
        before_it = f" and {searched.number - 1} earlier searches" if searched.number > 1 else ""
        why = f"by {number(gain.value)} {bounds(*chosen.bounds)}, allowing for {tried} tries{before_it}"
    verdict = f"trial {trial.number} is clearly better" if chosen.clear else "no trial is clearly better"
    return f"{verdict}: the best has {searched.metric} {after} instead of {before} on validation ({why})"


def _row(trial: Trial, searched: Searched) -> list[str]:
    shown = [printable(_shown(trial.settings[key])) for key in searched.space]
    name = f"{trial.number} (stands)" if trial.number == 0 else str(trial.number)
    if trial.failed:
        return [name, *shown, "failed", "", printable(trial.failed)]
    return [name, *shown, number(trial.value), *_gain(trial)]


def _gain(trial: Trial) -> list[str]:
    gain = trial.gain
    if gain is None:
        return ["", ""]
    low, high = gain.bounds(ALPHA)
    mark = "▲" if low > 0 else "▼" if high < 0 else ""
    return [f"{gain.value:+.4g} {bounds(low, high)}", mark]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else canonical(value)


def _titles(keys: tuple[str, ...]) -> list[str]:
    """The last part of each key; all of it where two would be the same."""
    last = [key.rpartition(".")[2] for key in keys]
    return [short if last.count(short) == 1 else key for short, key in zip(last, keys, strict=True)]
