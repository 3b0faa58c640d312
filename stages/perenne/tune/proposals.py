"""Which settings to try next: Optuna's tree-structured Parzen estimator, a function of what was tried alone.

Nothing of Optuna's is kept between two trials. Each proposal has a sampler of its own, whose seed is that of
params.yaml and the number of the trial, and which learns from the list of trials. So a search that was killed
goes on as if it had not been.

References
----------
Bergstra, Bardenet, Bengio & Kégl 2011, Algorithms for hyper-parameter optimization, NeurIPS 24. Akiba et al.
2019, Optuna, KDD 25.

"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from perenne.common import extras
from perenne.common.errors import PerenneError
from perenne.tune.journal import Trial
from perenne.tune.space import Dimension, Settings, canonical

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

AGAIN = 200  # draws of settings that were not tried yet; a small space may have none left


def installed() -> None:
    """Raise a `PerenneError` that says how to install Optuna, if it is not."""
    try:
        with _quiet():
            import optuna  # noqa: F401 -- whether it is there
    except ImportError as error:
        raise PerenneError(
            f"perenne tune needs Optuna, and {error.name} is missing: {extras.install('tune')}"
        ) from error


def proposed(space: Mapping[str, Dimension], trials: Sequence[Trial], seed: int) -> Settings | None:
    """Return settings that were not tried yet; None if none were found.

    Parameters
    ----------
    space
        What is searched.
    trials
        What was tried, in order; the first one need not be of the space.
    seed
        That of params.yaml.

    """
    known = {canonical(trial.settings) for trial in trials}
    with _quiet():
        for again in range(AGAIN):
            settings = _drawn(space, trials, _seed(seed, len(trials), again))
            if canonical(settings) not in known:
                return settings
    return None


def _drawn(space: Mapping[str, Dimension], trials: Sequence[Trial], seed: int) -> Settings:
    import optuna

    distributions = {key: _distribution(one) for key, one in space.items()}
    # By itself Optuna draws each value alone, and does not see which go well together.
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    study = optuna.create_study(sampler=sampler)
    for trial in trials:
        if trial.shortfall is not None and all(space[key].has(trial.settings[key]) for key in space):
            params = {key: _internal(space[key], trial.settings[key]) for key in space}
            study.add_trial(
                optuna.trial.create_trial(params=params, distributions=distributions, value=trial.shortfall)
            )
    asked = study.ask(distributions).params
    return {
        key: one.choices[asked[key]] if one.choices else one.neat(asked[key]) for key, one in space.items()
    }


def _distribution(one: Dimension) -> BaseDistribution:
    """What Optuna draws from; of choices it draws their places, for it takes no lists."""
    import optuna.distributions as of

    if one.kind == "choice":
        return of.CategoricalDistribution(range(len(one.choices)))
    low, high = one.ends
    if one.kind == "integer":
        return of.IntDistribution(int(low), int(high), log=bool(one.log), step=int(one.grid) or 1)
    return of.FloatDistribution(low, high, log=bool(one.log), step=one.grid or None)


def _internal(one: Dimension, value: object) -> object:
    return list(map(canonical, one.choices)).index(canonical(value)) if one.choices else value


def _seed(seed: int, number: int, again: int) -> int:
    return int(np.random.SeedSequence([seed, number, again]).generate_state(1)[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Let Optuna neither log nor warn: what it says is about its own calls, made here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)
