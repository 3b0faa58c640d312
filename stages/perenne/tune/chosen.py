"""Which settings come out of a search, and the commit that holds them: one change of params.yaml.

The best of many is better than it will be: it was lucky too. So its difference to the params as they stand is
judged at a level that allows for all that were tried (Bonferroni), in this search and in those before it on
the same rows, and only a clear gain changes anything by itself: each change that goes to the gate spends a
look at the sealed holdout.
"""

from __future__ import annotations

from typing import NamedTuple

from perenne.common import git, sections
from perenne.common.disk import replacing
from perenne.common.errors import PerenneError
from perenne.common.names import PARAMS
from perenne.loop import edit
from perenne.review.pairing import ALPHA
from perenne.review.tried import TRAILER
from perenne.tune.journal import FOLDER, Trial
from perenne.tune.search import Searched
from perenne.tune.space import applied, canonical

UNDERWAY = FOLDER / "params.yaml"  # the text that is being committed


class Chosen(NamedTuple):
    """The best trial, the bounds of its gain that allow for all that were tried, and whether it is clear."""

    trial: Trial
    bounds: tuple[float, float] | None
    clear: bool


def level(number: int) -> float:
    """Return the level of a search on some rows, the first being number 1: those of all sum to `ALPHA`.

    >>> [round(level(number) / ALPHA, 3) for number in (1, 2, 3)]
    [0.5, 0.167, 0.083]
    """
    return ALPHA / (number * (number + 1))


def best(searched: Searched) -> Chosen:
    """Return the best trial beside the params as they stand."""
    trial = searched.fitted[0]
    gain = trial.gain
    bounds = gain.bounds(level(searched.number) / len(searched.fitted)) if gain else None
    return Chosen(trial, bounds, clear=bounds is not None and bounds[0] > 0)


def edited(searched: Searched, chosen: Chosen) -> str:
    """Return the text of params.yaml with the chosen settings; all else stays, comments included.

    Raises
    ------
    PerenneError
        If params.yaml is another one since the search began, or a value cannot be written there.

    """
    if PARAMS.read_text(encoding="utf-8") != searched.params:
        raise PerenneError(f"{PARAMS}: changed since the search began; perenne tune again searches by it")
    settings = {key: chosen.trial.settings[key] for key in searched.space}  # a record has lost their order
    changes = applied(sections.tree()["train"], settings).changes
    return edit.placed(PARAMS.read_text(encoding="utf-8"), changes, str(PARAMS))


def message(searched: Searched, chosen: Chosen) -> str:
    """Return the commit message; the same search gives the same one."""
    tried, metric = len(searched.trials), searched.metric.replace("_", " ")
    before, after = searched.standing.value, chosen.trial.value
    subject = f"Tune: {metric} {before:.4g} -> {after:.4g} on validation, {tried} tried"
    pairs = {
        key: [canonical(trial.settings[key]) for trial in (searched.standing, chosen.trial)]
        for key in searched.space
    }
    changed = [f"- {key}: {old} -> {new}" for key, (old, new) in pairs.items() if old != new]
    body = "\n".join(changed)
    where = "Measured on the walk-forward folds of the training window; the holdout was not read.\n"
    doubt = "" if chosen.clear else "Not clearly better than what stood, allowing for all that were tried.\n"
    trailers = f"{TRAILER}: {tried}\nTuned-Search: {searched.record.stem}\n"
    return f"{subject}\n\n{body}\n\n{where}{doubt}\n{trailers}"


def commit(text: str, message: str) -> str:
    """Commit params.yaml, with the date of the commit below: the same search on it is the same commit.

    Parameters
    ----------
    text
        The new params.yaml.
    message
        The commit message.

    Returns
    -------
    str
        The id of the commit.

    """
    for path in (UNDERWAY, PARAMS):
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    at = git.git("show", "--no-patch", "--format=%cd", "--date=raw", "HEAD")
    git.git("add", "--", str(PARAMS))
    git.git(
        *("commit", "--quiet", "--no-verify", "--file=-"),
        stdin=message,
        env={"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at},
    )
    UNDERWAY.unlink()
    return git.commit("HEAD")


def undo() -> None:
    """Take back a params.yaml that a killed process wrote and did not commit; the search is on record."""
    if UNDERWAY.is_file():
        if UNDERWAY.read_bytes() == PARAMS.read_bytes():
            git.git("checkout", "--quiet", "HEAD", "--", str(PARAMS))
        UNDERWAY.unlink()
