"""The search: trial after trial, each on disk before the next begins, so that a killed one can go on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from perenne.common import sections
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import PARAMS, TRAIN
from perenne.compute import engine
from perenne.tune import fingerprint, journal, proposals, ready, space
from perenne.tune.journal import Journal, Trial
from perenne.tune.space import Settings, TuneSettings


class Searched(NamedTuple):
    """All trials in order, the first one of the params as they stand, and what they were compared by.

    `space` are the keys that were searched, `record` is the file of the trials, and `params` the text of
    params.yaml that they are of. `number`: which search on these rows it is.
    """

    trials: tuple[Trial, ...]
    metric: str
    space: tuple[str, ...]
    record: Path
    params: str
    number: int = 1

    @property
    def standing(self) -> Trial:
        """The params as they stand."""
        return self.trials[0]

    @property
    def fitted(self) -> list[Trial]:
        """The other trials that have a value, the best first; of equal ones the first that was tried."""
        found = [trial for trial in self.trials[1:] if trial.shortfall is not None]
        return sorted(found, key=lambda trial: (trial.shortfall or 0.0, trial.number))


def search() -> Searched:
    """Search the space of params.yaml, or go on with a search that was interrupted.

    Raises
    ------
    PerenneError
        If the space or the data are not in order, the params as they stand cannot be fitted, no trial can, or
        the search is interrupted: what was tried is kept.

    """
    settings, case, params = space.load(), sections.case(), PARAMS.read_text(encoding="utf-8")
    contract = sections.contract_of(case)
    proposals.installed()
    metric = metric_of(contract)
    tree: Mapping[str, object] = sections.tree()["train"]
    standing = space.present(tree, settings.space, contract)
    space.checked(tree, settings.space, contract)
    ready.must_be_current()
    inputs = fingerprint.inputs(case, metric)
    name = fingerprint.together(inputs)
    changed = journal.changed_since(case, inputs, name)
    with journal.opened(case, inputs, name, str(TRAIN)) as record:
        _say(record, settings, changed)
        _filled(record, settings, contract, metric, standing)
        trials = tuple(record.trials[: settings.trials])
    found = Searched(trials, metric, tuple(settings.space), record.path, params, record.search)
    if not found.fitted:
        raise PerenneError(
            f"tune: none of {len(trials) - 1} settings could be fitted; the first: {trials[1].failed}"
            if len(trials) > 1
            else "tune: the space has nothing but the params as they stand"
        )
    return found


def metric_of(contract: Contract) -> str:
    """Return what trials are compared by: the gate's metric, or the task's main one where there is no gate.

    Raises
    ------
    PerenneError
        If the section `gate` is wrong.

    """
    from perenne.gate import policy

    if not sections.tree().get("gate"):
        return contract.task.metrics[0]
    return policy.load(None, contract.task).metric


def _filled(
    record: Journal, settings: TuneSettings, contract: Contract, metric: str, standing: Settings
) -> None:
    """Try settings until there are enough trials, or nothing in the space is left to try."""
    if len(record.trials) >= settings.trials:
        return
    from perenne.tune.objective import Objective

    with (
        engine.opened() as workers,
        tqdm(
            total=settings.trials, initial=len(record.trials), desc="tune", unit="trial", disable=None
        ) as bar,
    ):
        try:
            objective = Objective.of(contract, metric, workers)
            while len(record.trials) < settings.trials:
                number = len(record.trials)
                chosen = (
                    proposals.proposed(settings.space, record.trials, settings.seed) if number else standing
                )
                if chosen is None:
                    break
                record.append(objective.trial(number, chosen))
                bar.set_postfix_str(_best(record.trials, metric), refresh=False)
                bar.update()
        except KeyboardInterrupt:
            raise PerenneError(
                f"tune: interrupted after {len(record.trials)} of {settings.trials} trials; they are in "
                f"{record.path}, and perenne tune goes on from there"
            ) from None


def _best(trials: list[Trial], metric: str) -> str:
    known = [trial for trial in trials if trial.shortfall is not None]
    best = min(known, key=lambda trial: trial.shortfall or 0.0, default=None)
    return f"best {metric} {best.value:.4g}" if best and best.value is not None else ""


def _say(record: Journal, settings: TuneSettings, changed: list[str]) -> None:
    """Say on stderr whether a search goes on or begins, and why one that was begun is not gone on with."""
    known = min(len(record.trials), settings.trials)
    if known:
        line = f"{known} of {settings.trials} trials are known from {record.path}"
    elif changed:
        line = (
            f"a new search, for {', '.join(changed)} changed since the last one; its record is {record.path}"
        )
    else:
        line = f"a new search; its record is {record.path}"
    print(f"tune: {line}", file=sys.stderr, flush=True)
