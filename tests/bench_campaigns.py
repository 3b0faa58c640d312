"""Campaigns of people who try many things at one holdout: how often do they get a model through in the end.

The gate's own code judges simulated scores, and it prints what a sealed verdict prints. Beside it the same
campaigns where figures of the holdout are printed, and looks spend 67, 15, 6 ... % of alpha, as it was before
verdicts were sealed. Then what once made looks begin anew, or showed the holdout beforehand, and the same as
it is now. Fixed seeds, exact 95 % intervals. Everything together takes under four minutes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import special
from tqdm import tqdm

from perenne.common.task import TASKS
from perenne.gate import judge
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.policy import Policy
from perenne.gate.rules import Improvement, Rules
from perenne.stats import influence, paired, spending
from perenne.stats.metrics import Array
from perenne.tune import chosen
from perenne.tune.journal import Trial, numbers
from perenne.tune.search import Searched
from tests.bench_bounds import share

ROWS = 1_000  # of the holdout; validation has twice as many
TOTAL = 0.05
BLOCKS = np.arange(ROWS)
POLICY = Policy(metric="log_loss", rules=Rules(improvement=Improvement(min_gain=0)))
NOISE = 0.3  # of a model's logits: all models that have it are equal
CLOSE = 0.9  # the correlation of a perturbation with the model that it is made of
PROBES = 6
LOOKS = (20, 40)
GOAL = "goal: <= .05"
CAMPAIGNS = 1_000
SHOWN = 3 * ROWS // 4  # of the holdout, where it was made shorter for a while
TRIED, TUNED = 50, 4_000  # settings of a search; searches
SEARCHES, CAMPAIGNS = 20, 400  # searches on the same rows; by how many people
Generator = np.random.Generator


class Sample(NamedTuple):
    """Rows: the true logits, and the outcomes."""

    logit: Array
    y: Array

    @classmethod
    def drawn(cls, rng: Generator, rows: int) -> Sample:
        """Draw rows, 30 % of them with an event."""
        logit = rng.normal(-1, 1, rows)
        return cls(logit, (rng.random(rows) < special.expit(logit)).astype(np.float64))

    def scores(self, noise: Array) -> Array:
        """Return the scores of a model whose logits are off by some noise."""
        return special.expit(self.logit + noise)


class Holdout:
    """A holdout with a champion, whose looks are counted."""

    def __init__(self, rng: Generator) -> None:
        self.rng, self.rows = rng, Sample.drawn(rng, ROWS)
        self.champion = self.model()
        self.looks, self.left = 0, TOTAL

    def again(self) -> Holdout:
        """Return the same rows and champion, before the first look."""
        self.looks, self.left = 0, TOTAL
        return self

    def model(self, near: Array | None = None) -> Array:
        """Draw the noise of a model that equals the champion, or one near another."""
        fresh = NOISE * self.rng.normal(size=ROWS)
        return fresh if near is None else CLOSE * near + math.sqrt(1 - CLOSE**2) * fresh

    def evidence(self, noise: Array, alpha: float, first: int = 0) -> Evidence:
        """Return what the gate judges by; `first` is the first row of it."""
        new, old = (
            Contender(name, self.rows.scores(each)[first:])
            for name, each in (("new", noise), ("old", self.champion))
        )
        return Evidence(
            TASKS["binary"],
            self.rows.y[first:],
            BLOCKS[first:],
            new,
            (old,),
            champion=True,
            mean=0.3,
            slices={},
            metric=POLICY.metric,
            tolerance=POLICY.tolerance,
            alpha=alpha,
        )

    def passes(self, noise: Array) -> bool:
        """Look: all that a sealed verdict tells."""
        self.looks += 1
        alpha = spending.alpha(self.looks, TOTAL, self.left)
        self.left -= alpha
        return judge.judge(self.evidence(noise, alpha), POLICY, "better").answer == "eligible"

    def anew(self, noise: Array, first: int = 0) -> bool:
        """Look as if nobody had looked before, at the rows from the first on."""
        evidence = self.evidence(noise, spending.alpha(1, TOTAL, TOTAL), first)
        return judge.judge(evidence, POLICY, "better").answer == "eligible"

    def printed(self, noise: Array) -> tuple[bool, float]:
        """Look as it was before: whether it passes, and the printed gain."""
        self.looks += 1
        evidence = self.evidence(noise, 0.05)
        gain = evidence.gain(evidence.opponents[0])
        return gain.bounds(TOTAL * before(self.looks))[0] > 0, gain.value


def before(look: int) -> float:
    """Return the share that a look had before verdicts were sealed."""
    return float(look**-2.2 / special.zeta(2.2))


def table() -> str:
    """Return the table as text."""
    head = f"{'':62}{'figures are printed':>23}{'sealed':>23}"
    lines = [f"Campaigns: a model that is not better than the champion passes ({GOAL} when sealed)", head]
    for tries in (5, 20, 100):
        found = [best_of(tries, seed) for seed in tqdm(range(1_000), f"best of {tries}", leave=False)]
        lines.append(row(f"best of {tries} equal models by all that is shown, then one look", found))
    for name, probes, apart in (
        ("a climber, equal models", 0.5, 1.0),
        (f"a climber with {PROBES} better models as probes", PROBES, 0.5),
    ):
        for looks in LOOKS:
            first = int(looks * probes) if probes < 1 else PROBES
            seeds = tqdm(range(300), name, leave=False)
            found = [climbed(seed, first, looks, apart) for seed in seeds]
            lines.append(row(f"{name}, {looks} looks", found))
    return "\n".join([*lines, "", escaped(), "", tuned()])


def escaped() -> str:
    """Return the table of campaigns whose looks began anew, or that had seen labels of the holdout."""
    lines = [
        f"Campaigns around the ledger: a model that is not better than the champion passes ({GOAL} now)",
        f"{'':85}{'before':>23}{'now':>23}",
    ]
    for name, campaign in (
        ("20 equal models, a look each: by another period, or another name and a row less", renamed),
        ("20 equal models in 20 clones that do not push their looks, and then release", cloned),
        ("best of 20 equal models by validation on 3 of 4 batches of the holdout, then a look", shortened),
    ):
        found = [campaign(seed) for seed in tqdm(range(CAMPAIGNS), name, leave=False)]
        lines.append(f"{name:85}" + "".join(f"{share(each):>23}" for each in zip(*found, strict=True)))
    return "\n".join(lines)


def renamed(seed: int) -> tuple[bool, bool]:
    """Each look was number 1; now they are counted, for the labels are the same."""
    holdout = Holdout(np.random.default_rng([10, seed]))
    models = [holdout.model() for _ in range(LOOKS[0])]
    return any(map(holdout.anew, models)), any(map(holdout.passes, models))


def cloned(seed: int) -> tuple[bool, bool]:
    """Whoever had a pass released; now a release counts what all clones have spent, and that is too much."""
    holdout = Holdout(np.random.default_rng([11, seed]))
    passed = any(holdout.anew(holdout.model()) for _ in range(LOOKS[0]))
    return passed, passed and LOOKS[0] * spending.alpha(1, TOTAL, TOTAL) <= TOTAL


def shortened(seed: int) -> tuple[bool, bool]:
    """All of the holdout judged; now the batches do that no commit had in its window."""
    holdout = Holdout(np.random.default_rng([12, seed]))
    models = np.array([holdout.model() for _ in range(LOOKS[0])])
    shown = Sample(holdout.rows.logit[:SHOWN], holdout.rows.y[:SHOWN])
    best = models[np.argmin(losses(shown, models[:, :SHOWN]))]
    return holdout.anew(best), holdout.anew(best, SHOWN)


def tuned() -> str:
    """Return the table of what `perenne tune` lets through, whose settings are all as good as what stands."""
    found = [searched(seed) for seed in tqdm(range(TUNED), "tune", leave=False)]
    clear, passed, taken = zip(*found, strict=True)
    rows = {
        "is clearly better on validation, so that it is committed": clear,
        f"is, and then passes the gate in one look ({GOAL})": passed,
        f"is committed all the same (--take-best), and passes in one look ({GOAL})": taken,
    }
    lines = [f"perenne tune: of {TRIED} models as good as the champion, the best on validation"]
    again = tuple(any(searches(seed)) for seed in tqdm(range(CAMPAIGNS), "tune again", leave=False))
    rows[f"in any of {SEARCHES} searches on the same rows is clearly better on validation ({GOAL})"] = again
    return "\n".join([*lines, *(f"{name:85}{share(column):>23}" for name, column in rows.items())])


def searches(seed: int) -> list[bool]:
    """Return of each search on the same rows, by other seeds, whether its best is clear."""
    rng = np.random.default_rng([10, seed])
    validation, standing = Sample.drawn(rng, 2 * ROWS), NOISE * rng.normal(size=(1, 2 * ROWS))
    return [
        clearly(validation, np.vstack([standing, NOISE * rng.normal(size=(TRIED, 2 * ROWS))]), number)[1]
        for number in range(1, SEARCHES + 1)
    ]


def searched(seed: int) -> tuple[bool, bool, bool]:
    """Return whether the best of a search is clear; whether it is and passes the gate; whether it passes."""
    rng = np.random.default_rng([9, seed])
    holdout, validation = Holdout(rng), Sample.drawn(rng, 2 * ROWS)
    here, there = NOISE * rng.normal(size=(TRIED, ROWS)), NOISE * rng.normal(size=(TRIED + 1, 2 * ROWS))
    best, clear = clearly(validation, there)
    passes = holdout.passes(here[best])
    return clear, clear and passes, passes


def clearly(validation: Sample, there: Array, number: int = 1) -> tuple[int, bool]:
    """Return which of the settings, of which the first one stands, is the best, and whether it is clear."""
    found = losses(validation, there).tolist()
    best = int(np.argmin(found[1:]))
    new, old = (influence.log_loss(validation.y, validation.scores(there[i])) for i in (best + 1, 0))
    gain = paired.gain("log_loss", new, old, np.arange(2 * ROWS), 2 * ROWS)
    trials = tuple(
        Trial(
            number=i, settings={}, value=loss, shortfall=loss, gained=numbers(gain) if i == best + 1 else ()
        )
        for i, loss in enumerate(found)
    )
    return best, chosen.best(Searched(trials, "log_loss", (), Path(), "", number)).clear


def row(name: str, found: list[tuple[bool, bool]]) -> str:
    """Return a line: how often campaigns succeed where figures are printed, and where they are sealed."""
    return f"{name:62}" + "".join(f"{share(column):>23}" for column in zip(*found, strict=True))


def best_of(tries: int, seed: int) -> tuple[bool, bool]:
    """Choose by the figures of the holdout, or by those of validation, which is all that is shown now."""
    rng = np.random.default_rng([8, tries, seed])
    holdout = Holdout(rng)
    models = NOISE * rng.normal(size=(tries, ROWS))
    # On other rows a model's noise has nothing in common with its noise here but its size.
    validation, elsewhere = Sample.drawn(rng, 2 * ROWS), NOISE * rng.normal(size=(tries, 2 * ROWS))
    old, new = (
        models[np.argmin(losses(holdout.rows, models))],
        models[np.argmin(losses(validation, elsewhere))],
    )
    return holdout.printed(old)[0], holdout.again().passes(new)


def losses(rows: Sample, noise: Array) -> Array:
    """Return the log loss of models, of whose noise each is a row."""
    logit = rows.logit + noise
    found: Array = np.mean(np.logaddexp(0, logit) - rows.y * logit, axis=1)
    return found


def climbed(seed: int, probes: int, looks: int, apart: float) -> tuple[bool, bool]:
    """Return whether a campaign succeeds that first learns where the noise of the holdout lies.

    Of each probe it has a figure, or whether it passed. What differs from the mean of these, times the noise
    of the probe, adds up to a direction that suits this holdout alone (Blum & Hardt 2015, the boosting
    attack). `apart` is the size of the probes' noise, of a model's that equals the champion.
    """
    rng = np.random.default_rng([probes, looks, seed])
    holdout = Holdout(rng)
    tried = [apart * holdout.model() for _ in range(probes)]
    better = apart < 1  # then a pass is deserved, and no success
    old = [holdout.printed(each) for each in tried]
    succeeded = not better and any(passed for passed, _ in old)
    along = pointed(tried, [gain for _, gain in old])
    succeeded |= any(holdout.printed(holdout.model(along))[0] for _ in range(looks - probes))
    holdout.again()
    bits = [holdout.passes(each) for each in tried]
    sealed = not better and any(bits)
    along = pointed(tried, [float(bit) for bit in bits])
    return succeeded, sealed or any(holdout.passes(holdout.model(along)) for _ in range(looks - probes))


def pointed(tried: list[Array], answers: list[float]) -> Array:
    """Return the noise of an equal model in the direction that answers point to; none if all are the same."""
    weights = np.array(answers) - np.mean(answers)
    direction: Array = weights @ np.array(tried)
    return NOISE * direction / (float(direction.std()) or 1.0)


if __name__ == "__main__":
    print(table())
