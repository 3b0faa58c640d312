"""What is tried next depends on what was tried, and on nothing else."""

from __future__ import annotations

import builtins
import math
import sys

import pytest

from perenne.common.errors import PerenneError
from perenne.common.typed import parse
from perenne.tune import proposals
from perenne.tune.journal import Trial
from perenne.tune.space import Dimension, Settings

SPACE = {
    name: parse(Dimension, keys, "params.yaml")
    for name, keys in {
        "train.params.a": {"low": 0.001, "high": 1.0, "log": True},
        "train.params.b": {"low": 2, "high": 40},
        "train.params.c": {"values": ["x", None, [1, 2]]},
        "train.params.d": {"low": 0.0, "high": 1.0, "step": 0.25},
    }.items()
}


def loss(settings: Settings) -> float:
    """Return a loss that is least at a = .03, b = 20, c = None."""
    a, b, c, _ = settings.values()
    assert isinstance(a, float)
    assert isinstance(b, int)
    return (math.log10(a / 0.03)) ** 2 + ((b - 20) / 20) ** 2 + (c is not None)


def searched(count: int, seed: int, trials: list[Trial] | None = None) -> list[Trial]:
    """Return trials, beginning with one outside of the space."""
    trials = trials or [Trial(number=0, settings=dict.fromkeys(SPACE, 7.5), value=9.0, shortfall=9.0)]
    while len(trials) < count:
        settings = proposals.proposed(SPACE, trials, seed)
        assert settings is not None
        value = loss(settings)
        failed = "refused" if value > 3 else ""
        known = None if failed else value
        trials.append(
            Trial(number=len(trials), settings=settings, value=known, shortfall=known, failed=failed)
        )
    return trials


def test_search_finds_what_is_good() -> None:
    """Better than as many random draws do: their best is what the first ten are like."""
    trials = [trial for trial in searched(40, 0) if trial.shortfall is not None]
    early, late = (min(t.shortfall or 0.0 for t in part) for part in (trials[1:10], trials[10:]))
    assert late < early
    assert late < 0.1


def test_search_that_begins_again_proposes_the_same() -> None:
    """From any trial on, whatever this process did before."""
    whole = searched(18, 1)
    for known in (1, 7, 15):
        read = [Trial.model_validate_json(trial.model_dump_json()) for trial in whole[:known]]
        assert searched(18, 1, read) == whole
    assert searched(18, 2) != whole


def test_every_proposal_is_of_the_space_and_new() -> None:
    """Integers stay integers; nothing is tried twice."""
    tried = [trial.settings for trial in searched(40, 3)[1:]]
    assert all(one.has(settings[key]) for settings in tried for key, one in SPACE.items())
    assert {type(settings["train.params.b"]) for settings in tried} == {int}
    assert len({str(settings) for settings in tried}) == len(tried)


def test_space_that_is_exhausted_proposes_nothing() -> None:
    """A search of more trials than there are settings ends."""
    space = {"train.params.c": SPACE["train.params.c"]}
    trials: list[Trial] = []
    while (settings := proposals.proposed(space, trials, 0)) is not None:
        trials.append(Trial(number=len(trials), settings=settings, value=1.0, shortfall=1.0))
    assert len(trials) == 3


def test_without_optuna_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    real = builtins.__import__

    def missing(name: str, *rest: object) -> object:
        if name == "optuna":
            raise ModuleNotFoundError("No module named 'optuna'", name="optuna")
        return real(name, *rest)  # type: ignore[arg-type] # as they came

    monkeypatch.delitem(sys.modules, "optuna", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(PerenneError, match=r"perenne tune needs Optuna, and optuna is missing: make dev"):
        proposals.installed()
